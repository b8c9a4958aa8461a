#include "deflate.hpp"

std::shared_ptr<const timtow::Compression> example::deflate(const Arguments& arguments, bool) {
  arguments.refuse(
      "--deflate needs timtow::deflate, which this build lacks: install zlib's headers");
}
