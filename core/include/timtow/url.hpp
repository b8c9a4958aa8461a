// Where a WebSocket server is, as people write it: ws://host:port/path?query, and wss:// over TLS
// (RFC 6455 section 3).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "timtow/error.hpp"

namespace timtow {

struct Url {
  std::string host;  // a name or an address, IPv6 without brackets
  std::uint16_t port = 80;
  bool is_secure = false;    // wss://
  std::string target = "/";  // path and query, as they are sent

  // For the Host header: "example.org", "[::1]:9001".
  std::string authority() const;

  static Error parse(std::string_view text, Url& url);
};

}  // namespace timtow
