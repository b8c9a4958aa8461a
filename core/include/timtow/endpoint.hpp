// Where a server listens: a TCP host and port, or the path of a Unix socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "timtow/error.hpp"

namespace timtow {

struct Endpoint {
  std::string host;  // an address or a name, IPv6 without brackets; empty for a Unix socket
  std::uint16_t port = 0;
  std::string path;  // of a Unix socket; empty for TCP

  bool is_unix() const noexcept { return !path.empty(); }

  // "127.0.0.1:9001", "[::1]:9001", "localhost:9001" or "unix:/run/chat.sock".
  static Error parse(std::string_view text, Endpoint& endpoint);
};

std::string to_string(const Endpoint& endpoint);

}  // namespace timtow
