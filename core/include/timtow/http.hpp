// As much of HTTP/1.1 as an opening handshake needs: one request head, or one response head,
// scanned as it arrives and then read strictly (RFC 9112, RFC 9110).
//
// Everything here is a view into the head it was read from.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "timtow/bytes.hpp"
#include "timtow/error.hpp"
#include "timtow/protocol_version.hpp"

namespace timtow {

// Whether two texts are equal but for the case of ASCII letters.
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

// Whether the text is a token (RFC 9110 section 5.6.2): a method, a header's name, a subprotocol.
bool is_token(std::string_view text) noexcept;

// Whether the text may be a header's value: no control characters but tab.
bool is_header_value(std::string_view text) noexcept;

// Without the spaces and tabs at both ends (RFC 9110 section 5.6.3).
std::string_view trimmed(std::string_view text) noexcept;

struct Header {
  std::string_view name;
  std::string_view value;
};

// The headers of one message, in the order they came. Names are compared without regard to case.
class Headers {
 public:
  Headers() = default;
  explicit Headers(std::vector<Header> all) noexcept : all_(std::move(all)) {}

  auto begin() const noexcept { return all_.begin(); }
  auto end() const noexcept { return all_.end(); }
  std::size_t size() const noexcept { return all_.size(); }

  std::size_t count(std::string_view name) const noexcept;
  // The first value of that name; empty when there is none.
  std::string_view operator[](std::string_view name) const noexcept;
  bool has(std::string_view name) const noexcept { return count(name) != 0; }

  // The elements of a comma separated list, over all headers of that name (RFC 9110 section 5.6.1).
  // Commas inside quoted strings do not separate; empty elements are left out.
  std::vector<std::string_view> list(std::string_view name) const;
  // Whether one element of that list is this token, in any case.
  bool has_token(std::string_view name, std::string_view token) const;

 private:
  std::vector<Header> all_;
};

// A request, with the questions an application has for it.
struct Request {
  std::string_view method;
  std::string_view target;  // as it came, "/chat?room=1" or "http://example.org/chat?room=1"
  Headers headers;

  std::string_view path() const noexcept;   // "/chat"; not percent-decoded
  std::string_view query() const noexcept;  // "room=1"
  // "example.org:8080": of the Host header, unless the target names one (RFC 9112 section 3.2.2).
  std::string_view host() const noexcept;
  // Of the Origin header; versions 7 and 8 may call it Sec-WebSocket-Origin.
  std::string_view origin() const noexcept;
  // The value of a cookie, the first of that name; empty when there is none. See parse_cookies().
  std::string_view cookie(std::string_view name) const;

  // Whether it asks for a WebSocket. If not, it is a plain GET that the application may answer.
  bool is_upgrade() const { return headers.has_token("Upgrade", "websocket"); }
  // Which WebSocket it asks for, by its headers. One that is not spoken is refused before the
  // application hears of it.
  ProtocolVersion version() const;
  // Whether the page it came from lives at this host and port, or no browser sent it. A Server asks
  // this by itself (ServerOptions::origins); who has none has to (RFC 6455 section 10.2). The
  // scheme is not compared: only who ends TLS knows ours.
  bool is_same_origin() const noexcept;

  // What the client offers, in its order of preference.
  std::vector<std::string_view> subprotocols() const;
  std::vector<std::string_view> extensions() const {
    return headers.list("Sec-WebSocket-Extensions");
  }
};

// A response as a client received it.
struct Response {
  int status = 0;
  std::string_view reason;
  Headers headers;
};

// A response that a server sends instead of an upgrade. Content-Length and Connection: close are
// added; so is a text/plain Content-Type if there is a body and no type given.
struct Reply {
  int status = 200;
  std::string_view body;
  std::vector<Header> headers;
};

// The status line's words for a status; "Status" for one that has none.
std::string_view reason_phrase(int status) noexcept;

// Looks for the end of a head in bytes that arrive piece by piece. Each byte is looked at once, and
// one that no head may hold is found as it arrives: control characters, CR or LF alone.
class HeadScanner {
 public:
  enum class Result { incomplete, complete, bad };

  // `head` is all that has arrived so far.
  Result scan(std::string_view head) noexcept;

  // Bytes up to and with the empty line, or up to the bad byte.
  std::size_t scanned() const noexcept { return scanned_; }

 private:
  std::size_t scanned_ = 0;
  std::size_t line_length_ = 0;
  bool after_cr_ = false;
};

// Why a request is refused: the status to answer and the error, whose sentence is the body.
struct Refusal {
  int status = 0;  // 0: not refused
  Error error;

  explicit operator bool() const noexcept { return status != 0; }
};

// Reads a complete head, as HeadScanner found it.
Refusal parse_request(std::string_view head, std::size_t max_headers, Request& request);
Error parse_response(std::string_view head, std::size_t max_headers, Response& response);

}  // namespace timtow
