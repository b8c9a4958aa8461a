// Where a WebSocket server is, as people write it (RFC 6455 section 3): ws://host:port/path?query,
// wss:// for the same over TLS, or ws+unix:/path/to/socket:/path?query for a Unix socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "timtow/error.hpp"

namespace timtow {

struct Url {
  std::string host;          // a name or an address, IPv6 without brackets
  std::uint16_t port = 80;   // 443 for wss:// that names none
  bool is_secure = false;    // wss://
  std::string target = "/";  // path and query, as they are sent: nothing is decoded
  std::string path = {};     // of a Unix socket, whose host is localhost; empty for TCP

  bool is_unix() const noexcept { return !path.empty(); }
  // For the Host header: "example.org", "[::1]:9001", without the port if it is the scheme's own.
  std::string authority() const;

  // errc::bad_address, with what is wrong, and then `url` stays as it was.
  static Error parse(std::string_view text, Url& url);
};

}  // namespace timtow
