// What an operator wants to know of a server or a client: Server::metrics(), Client::metrics().
// docs/operating.md says what each number tells.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "timtow/close_code.hpp"

namespace timtow {

struct Error;
class Event;

// What the sessions of one SessionOptions have done so far, which is where they count it.
struct Traffic {
  // The first four are not in the order of their meaning: compilers add to two neighbours in one
  // vector, which takes more instructions.
  std::uint64_t messages_received = 0;
  // Of what is queued to be sent all frames are counted in one place, and apart from that those
  // that end no message.
  std::uint64_t frames_sent = 0;
  std::uint64_t message_bytes_received = 0;  // their payloads, decompressed
  std::uint64_t frame_bytes_sent = 0;        // their payloads, before they were compressed
  std::uint64_t bytes_received = 0;  // of the stream, heads and all: over TLS what was encrypted
  std::uint64_t bytes_sent = 0;
  std::uint64_t pings_received = 0;
  std::uint64_t pongs_received = 0;
  std::uint64_t fragments_sent = 0;  // frames of messages that end in a later one
  std::uint64_t pings_sent = 0;
  std::uint64_t pongs_sent = 0;
  std::uint64_t closes_sent = 0;
  std::uint64_t control_bytes_sent = 0;  // of the last three
  std::uint64_t messages_dropped = 0;    // that a peer was too slow for

  // What a session shows of what it received.
  void count(const Event& event) noexcept;
  std::uint64_t messages_sent() const noexcept {
    return frames_sent - fragments_sent - pings_sent - pongs_sent - closes_sent;
  }
  std::uint64_t message_bytes_sent() const noexcept {
    return frame_bytes_sent - control_bytes_sent;
  }
};

// Close codes, by what they are.
struct CloseCounts {
  std::array<std::uint64_t, 16> standard{};  // 1000 to 1015
  std::uint64_t libraries = 0;               // 3000 to 3999
  std::uint64_t applications = 0;            // 4000 to 4999
  std::uint64_t others = 0;                  // of drafts, that the RFC does not know

  void count(CloseCode code) noexcept;
};

// Counters grow from the making of the server or client on; what is told of now is marked.
struct Metrics {
  // Peers that connected, those turned away included. Of a client: connections that it made.
  std::uint64_t accepted = 0;
  // Those of them whose opening handshake succeeded.
  std::uint64_t opened = 0;
  // Requests that asked for no WebSocket, and were answered.
  std::uint64_t answered = 0;
  // Now: in the opening handshake, open, and ended but waiting for the end of the stream.
  std::uint64_t opening = 0;
  std::uint64_t open = 0;
  std::uint64_t closing = 0;

  // Those that did not open, by cause. Of a client: what failed once it was connected.
  struct Refused {
    std::uint64_t bad_request = 0;     // malformed, or not what RFC 6455 asks for
    std::uint64_t head_too_large = 0;  // Limits::handshake_bytes, handshake_headers
    std::uint64_t timeout = 0;         // Limits::handshake_time
    std::uint64_t gone = 0;            // the peer ended or broke the stream
    std::uint64_t origin = 0;          // ServerOptions::origins
    std::uint64_t subprotocol = 0;     // ServerOptions::needs_subprotocol
    std::uint64_t by_application = 0;  // or, of a client, by the server
    std::uint64_t by_us = 0;           // a shutdown, or abort()
    std::uint64_t connections = 0;     // ServerOptions::connections
    std::uint64_t of_one_address = 0;  // ServerOptions::connections_per_address
    std::uint64_t proxy_header = 0;    // missing, malformed, or not trusted
    std::uint64_t tls = 0;             // TLS failed
    std::uint64_t memory = 0;          // there was none, or none left of the budget
    std::uint64_t others = 0;

    // One that failed with this error, which may be of TLS; but not for one of the two caps, of
    // which some are closed before they can fail.
    void count(const Error& error, bool is_of_tls) noexcept;
  } refused;
  // How often accept() found no descriptors, or failed otherwise; that waits for descriptors, and
  // nobody is lost by it yet.
  std::uint64_t accepts_without_descriptors = 0;
  std::uint64_t accepts_failed = 0;

  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t message_bytes_received = 0;
  std::uint64_t message_bytes_sent = 0;
  std::uint64_t pings_received = 0;
  std::uint64_t pings_sent = 0;
  std::uint64_t pongs_received = 0;
  std::uint64_t pongs_sent = 0;

  // Of connections that were open and are closed. Each is in closes_received once, as Closed::code
  // has it: 1005 for a close frame that named none, 1006 for none. In closes_sent are those to whom
  // we sent a close frame.
  CloseCounts closes_received;
  CloseCounts closes_sent;

  // Slow readers: messages that were not queued for them, and connections closed for it.
  std::uint64_t dropped = 0;
  std::uint64_t slow_closed = 0;
  // The most bytes that have waited for one peer when an event was over.
  std::uint64_t largest_output = 0;

  // Now: what connections have borrowed from the loop's pool, which all on the loop share, and how
  // much that may be.
  std::uint64_t memory_in_use = 0;
  std::uint64_t memory_budget = 0;

  // Adds what sessions have counted.
  void add(const Traffic& traffic) noexcept;
};

// The text format of Prometheus (exposition format 0.0.4; its Content-Type is below), with names
// that begin with "timtow_". Throws std::bad_alloc.
std::string to_prometheus(const Metrics& metrics);
inline constexpr const char* prometheus_content_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace timtow
