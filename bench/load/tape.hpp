// The messages of a run, made before it: a ring of client frames as they go out, and beside it the
// bytes that a right echo of them is. A connection plays it round and round.
//
// It holds several batches of --pipeline messages, or, if they are large, several messages, so that
// it pushes nobody out of the caches. All have the same size, each its own payload and, as RFC
// 6455, section 5.3 wants it, its own masking key that nobody can predict.
#pragma once

#include <cstddef>
#include <string>

#include "options.hpp"

namespace load {

struct Tape {
  explicit Tape(const Options& options);

  // Where on it the connection of that number begins: neighbours at different batches.
  std::size_t place_of(unsigned number) const { return number * batch % messages; }

  bool framed;                // what comes back are frames of a server, not what was sent
  std::size_t messages;       // on it
  std::size_t batch;          // of which so many are sent together
  std::string sent;           // what goes out
  std::size_t sent_unit;      // bytes of each message in it
  std::string echoed;         // what comes back
  std::size_t echoed_unit;    // bytes of each message in it
  std::size_t echoed_header;  // of which so many are the header
};

// A Close frame of a client, code 1000.
std::string close_frame();

}  // namespace load
