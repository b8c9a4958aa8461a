#include "deflate.hpp"

#include "timtow/deflate.hpp"

std::shared_ptr<const timtow::Compression> example::deflate(const Arguments&,
                                                            bool context_takeover) {
  timtow::DeflateOptions options;
  options.server_no_context_takeover = options.client_no_context_takeover = !context_takeover;
  return std::make_shared<timtow::Deflate>(options);
}
