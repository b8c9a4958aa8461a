#include "timtow/error.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <new>

#include "timtow/utf8.hpp"

namespace timtow {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "timtow"; }

  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::ok:
        return "success";
      case errc::bad_request:
        return "malformed request";
      case errc::method_not_allowed:
        return "method not allowed";
      case errc::handshake_too_large:
        return "handshake too large";
      case errc::http_version:
        return "HTTP version not supported";
      case errc::websocket_version:
        return "WebSocket version not supported";
      case errc::rejected:
        return "upgrade rejected";
      case errc::bad_response:
        return "bad response to the upgrade";
      case errc::handshake_timeout:
        return "handshake timed out";
      case errc::handshake_incomplete:
        return "stream ended inside the handshake";
      case errc::invalid_header:
        return "invalid header";
      case errc::not_an_upgrade:
        return "request is not an upgrade";
      case errc::no_request:
        return "no request is waiting";
      case errc::origin_refused:
        return "origin refused";
      case errc::bad_proxy_answer:
        return "the proxy gave no answer to CONNECT that can be read";
      case errc::proxy_header_missing:
        return "a trusted proxy sent no PROXY header: switch it on there, or off here";
      case errc::bad_proxy_header:
        return "a trusted proxy sent a malformed PROXY header";
      case errc::proxy_header_untrusted:
        return "a PROXY header came from an address that is not among the trusted proxies";
      case errc::too_many_connections:
        return "too many connections";
      case errc::too_many_of_one_address:
        return "too many connections of one address";
      case errc::no_subprotocol:
        return "no subprotocol in common";
      case errc::protocol_error:
        return "protocol error";
      case errc::invalid_utf8:
        return "invalid UTF-8";
      case errc::message_too_big:
        return "message too big";
      case errc::too_many_fragments:
        return "too many fragments";
      case errc::bad_compression:
        return "bad compressed data";
      case errc::inflate_ratio:
        return "compressed beyond measure";
      case errc::idle_timeout:
        return "idle for too long";
      case errc::message_timeout:
        return "message took too long";
      case errc::close_timeout:
        return "closing took too long";
      case errc::connection_lost:
        return "connection lost";
      case errc::cancelled:
        return "cancelled";
      case errc::memory_budget:
        return "a budget of memory is used up";
      case errc::peer_too_slow:
        return "the peer reads too slowly";
      case errc::handler_threw:
        return "a handler threw an exception";
      case errc::not_open:
        return "connection is not open";
      case errc::output_full:
        return "output queue is full";
      case errc::slow_reader:
        return "the peer reads too slowly for more messages";
      case errc::message_unfinished:
        return "a fragmented message is unfinished";
      case errc::invalid_close:
        return "invalid close code or reason";
      case errc::payload_too_long:
        return "control frame payload too long";
      case errc::no_memory:
        return "out of memory";
      case errc::no_entropy:
        return "no source of randomness";
      case errc::unsupported_by_draft:
        return "not supported by the draft that is spoken";
      case errc::bad_address:
        return "bad address";
      case errc::host_not_found:
        return "host not found";
      case errc::connect_timeout:
        return "connecting took too long";
      case errc::tls_needed:
        return "a TLS context is needed";
    }
    return "unknown error " + std::to_string(value);
  }
};

bool is_not_ascii(char c) noexcept { return static_cast<unsigned char>(c) > 0x7F; }

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// What a terminal or a log would take for more than text: C0, DEL, and C1, which in UTF-8 is the
// byte C2 and one up to 9F.
void replace_controls(std::string& text) {
  for (std::size_t i = 0; i + 1 < text.size(); ++i)
    if (text[i] == '\xC2' && static_cast<unsigned char>(text[i + 1]) < 0xA0)
      text.replace(i, 2, 1, '?');
  std::replace_if(text.begin(), text.end(), is_control, '?');
}

}  // namespace

const std::error_category& error_category() noexcept {
  static const Category category;
  return category;
}

Error make_error(std::error_code code, const char* format, ...) noexcept {
  char text[256];
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  Error error{code, {}};
  try {
    error.text = text;
    // What a peer sent may be part of it, and it may become the body of a response.
    if (!is_utf8(as_bytes(error.text)))
      std::replace_if(error.text.begin(), error.text.end(), is_not_ascii, '?');
    replace_controls(error.text);
  } catch (const std::bad_alloc&) {
    // The code says what happened.
  }
  return error;
}

}  // namespace timtow
