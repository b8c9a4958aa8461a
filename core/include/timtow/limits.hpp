// What a peer may cost: every limit is on by default and has a name. A peer that breaks one gets
// the status or close code said here, and the program an Error that says which limit it was, its
// value and what arrived.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "timtow/time.hpp"

namespace timtow {

// What becomes of a whole message that is sent to a peer whose output has passed the high water,
// and not yet fallen to the low water. (Parts of a message that was begun, pings and close frames
// are queued as ever.)
enum class SlowReaders : std::uint8_t {
  wait,         // it is queued, up to output_bytes
  drop_newest,  // it is not: send() returns errc::slow_reader
  // It waits beside the output, as do at most output_high_water bytes: the oldest that wait there
  // go for it.
  drop_oldest,
  // The same, and of the messages of one topic only the latest waits (PreparedMessage::topic(); all
  // others are of topic 0), in the place of the one before.
  conflate,
  close  // the connection is closed with 1008: send() returns errc::slow_reader
};

// A duration of zero switches its rule off.
struct Limits {
  // The opening handshake: a request or response head, up to and with its empty line.
  std::size_t handshake_bytes = 16 * 1024;             // 431 beyond
  std::size_t handshake_headers = 100;                 // 431 beyond
  Duration handshake_time = std::chrono::seconds{10};  // 408 when it passes

  // A message, whole or in pieces. 131,072 fragments let 8 MiB come in pieces of 64 bytes.
  std::size_t message_bytes = 16 * 1024 * 1024;  // 1009 beyond
  std::size_t message_fragments = 128 * 1024;    // 1008 beyond
  // How many times as large a compressed message may become as it came, once it is larger than
  // inflate_free; 0 is any. The limit of message_bytes is for what it becomes.
  std::size_t inflate_ratio = 200;  // 1009 beyond
  std::size_t inflate_free = 1024 * 1024;
  // From the first byte of a message, or of a frame's header, until it is whole. It does not pass
  // while nothing is read: in a pause, or over the high water of output.
  Duration message_time = std::chrono::minutes{5};  // 1008 when it passes

  // Output that the peer has not taken yet. Over the high water nothing more is read from the
  // peer until the low water is reached; a send that would pass output_bytes is refused.
  std::size_t output_high_water = 1024 * 1024;
  std::size_t output_low_water = 256 * 1024;
  std::size_t output_bytes = 64 * 1024 * 1024;
  SlowReaders slow_readers = SlowReaders::wait;

  // All that a connection holds: input, what is gathered and decompressed, output. All connections
  // of a loop together have Loop::limit_memory().
  std::size_t connection_bytes = 96 * 1024 * 1024;  // 1013 beyond

  // Silence. A sign of life is a whole frame, output that the peer takes (but for our ping), or
  // idle_bytes of a frame that is still coming: a peer cannot hold a connection by a byte at a
  // time. What the system takes at once is none: it would, for a peer that is long gone.
  Duration ping_interval = std::chrono::seconds{30};  // silence after which we send a ping
  Duration idle_time = std::chrono::seconds{120};     // silence after which we close with 1008
  std::size_t idle_bytes = 1024;

  // From our close frame, or the end of the session, until the connection is cut, whatever output
  // still waits then.
  Duration close_time = std::chrono::seconds{5};
};

}  // namespace timtow
