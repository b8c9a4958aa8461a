// A connection's deflater and inflater, and the pool's that connections borrow.
#pragma once

#include <cstdint>
#include <memory>

#include "timtow/compression.hpp"

namespace timtow::deflate {

// How to compress: all that makes a difference to what comes out.
struct Compressing {
  int window_bits = 15;  // 8 to 15
  int level = 6;
  int memory_level = 8;

  friend bool operator==(const Compressing&, const Compressing&) = default;
};

// What was agreed on, as one side sees it.
struct Agreed {
  Compressing compressing;
  bool compressing_takes_over = false;
  bool decompressing_takes_over = false;
  std::size_t min_size = 0;
};

// Throws std::bad_alloc.
std::unique_ptr<Codec> make_codec(const Agreed& agreed, Pool& pool);

}  // namespace timtow::deflate
