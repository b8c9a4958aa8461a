// The messages of a run, made before it: a ring of client frames as they go out, and beside it the
// bytes that a right echo of them is. A connection plays it round and round.
//
// Several batches of --pipeline messages lie on it. All messages have the same size, each its own
// payload and, as RFC 6455, section 5.3 wants it, its own masking key that nobody can predict.
#pragma once

#include <cstddef>
#include <string>

#include "options.hpp"

namespace load {

struct Tape {
  explicit Tape(const Options& options);

  bool framed;         // what comes back are frames of a server
  std::string sent;    // what goes out
  std::string echoed;  // what comes back
  std::size_t batches;
  std::size_t messages;
  std::size_t sent_unit;      // bytes of each message there
  std::size_t echoed_unit;    // and there
  std::size_t echoed_header;  // of which so many are its header
};

// A Close frame of a client, code 1000.
std::string close_frame();

}  // namespace load
