// Errors are values: a code that programs compare, and a sentence that a person can act on.
#pragma once

#include <string>
#include <system_error>

namespace timtow {

enum class errc {
  ok = 0,

  // The opening handshake.
  bad_request,           // the request is malformed; answered 400
  method_not_allowed,    // not GET; answered 405
  handshake_too_large,   // more bytes or headers than Limits allow; answered 431
  http_version,          // not HTTP/1.1; answered 505
  websocket_version,     // not version 13; answered 426
  rejected,              // the application, or the server we called, refused the upgrade
  bad_response,          // the server's answer to our upgrade breaks RFC 6455 section 4.1
  handshake_timeout,     // Limits::handshake_time passed; a server answers 408
  handshake_incomplete,  // the stream ended inside the handshake
  invalid_header,        // a header, status or subprotocol that must not be sent
  not_an_upgrade,        // accept() of a request that asks for no WebSocket
  no_request,            // accept() or respond() with no request waiting for it
  origin_refused,        // the page is not let in by ServerOptions::origins; answered 403
  bad_proxy_answer,      // ClientOptions::proxy gave no answer that can be read
  proxy_header_missing,  // a trusted proxy sent no PROXY header; see ServerOptions::proxy_protocol
  bad_proxy_header,      // it sent a malformed one
  proxy_header_untrusted,   // somebody else sent one
  too_many_connections,     // ServerOptions::connections; answered 503
  too_many_of_one_address,  // ServerOptions::connections_per_address; answered 503
  no_subprotocol,           // none that the client offers is ours, and one has to be; answered 400

  // The connection.
  protocol_error,      // the peer broke RFC 6455; closed with 1002
  invalid_utf8,        // text or a close reason is not UTF-8; closed with 1007
  message_too_big,     // Limits::message_bytes; closed with 1009
  too_many_fragments,  // Limits::message_fragments; closed with 1008
  bad_compression,     // a compressed message cannot be decompressed; closed with 1007
  inflate_ratio,       // Limits::inflate_ratio; closed with 1009
  idle_timeout,        // Limits::idle_time; closed with 1008
  message_timeout,     // Limits::message_time; closed with 1008
  close_timeout,       // Limits::close_time; the connection is cut
  connection_lost,     // the stream ended, or broke, without a close frame
  cancelled,           // our own side gave up: abort(), or a server that was destroyed
  memory_budget,       // Limits::connection_bytes, or Loop::limit_memory(); closed with 1013
  peer_too_slow,       // Limits::slow_readers is close; closed with 1008
  handler_threw,       // a handler threw; closed with 1011, an upgrade answered 500

  // Calls.
  not_open,              // the connection is not open, or is closing: nothing was sent
  output_full,           // Limits::output_bytes: nothing was queued, try when drained
  slow_reader,           // Limits::slow_readers: nothing was queued
  message_unfinished,    // a fragmented message must end before another one starts
  invalid_close,         // a close code or reason that must not be sent
  payload_too_long,      // a ping or pong payload over 125 bytes
  no_memory,             // memory, or the pool's budget, ran out
  no_entropy,            // the system gave no randomness for a masking key
  unsupported_by_draft,  // a binary message, ping or pong on a connection of drafts 75 or 76
  bad_address,           // an address or URL that cannot be read, or names nothing

  // Connecting.
  host_not_found,   // the name has no address, or nobody could be asked
  connect_timeout,  // ClientOptions::connect_time
  tls_needed,       // a wss:// URL, or a secured listener, without a TLS context
};

const std::error_category& error_category() noexcept;

inline std::error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}

// A failure and its cause. Tests as true when there is one.
struct Error {
  std::error_code code;
  std::string text;  // one sentence: the cause, and what to do

  explicit operator bool() const noexcept { return static_cast<bool>(code); }
};

// An Error whose sentence is formatted as by printf, at most 255 bytes of it, and always UTF-8
// without control characters.
// Should there be no memory for the sentence, the code alone remains.
[[gnu::format(printf, 2, 3)]] Error make_error(std::error_code code, const char* format,
                                               ...) noexcept;

}  // namespace timtow

template <>
struct std::is_error_code_enum<timtow::errc> : std::true_type {};
