// A client's way through an HTTP proxy: which one, and what is said to it (RFC 9110 section 9.3.6,
// CONNECT). Behind its answer the stream is a tunnel to the server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "timtow/bytes.hpp"
#include "timtow/error.hpp"
#include "timtow/http.hpp"
#include "timtow/url.hpp"

namespace timtow {

struct Proxy {
  std::string host;  // a name or an address, IPv6 without brackets
  std::uint16_t port = 80;
  // For Basic authentication (RFC 7617), which anybody on the way to the proxy can read.
  // "user:word", percent-decoded; empty for none.
  std::string credentials = {};

  // "http://user:word@host:port", or without "http://". errc::bad_address, with what is wrong.
  static Error parse(std::string_view text, Proxy& proxy);
};

// Looks up a variable of the environment; null when there is none.
using Environment = std::function<const char*(const char* name)>;

// The proxy that the environment names for this server: https_proxy for wss://, http_proxy for
// ws://, all_proxy for both, and none for what no_proxy lists: names with all below them,
// addresses, networks, each perhaps with a port, or "*". A name in capitals counts as well, but not
// HTTP_PROXY, which a web server sets from a request's header.
Error proxy_from_environment(const Url& url, const Environment& environment,
                             std::optional<Proxy>& proxy);

// What asks a proxy for a tunnel to the server.
std::string format_connect(const Proxy& proxy, const Url& url);

// Errors of the proxy's answer: the value is its status, as it is neither ours nor the server's.
const std::error_category& proxy_category() noexcept;

// Reads a proxy's answer as it arrives.
class ConnectAnswer {
 public:
  // Takes what came. How much of it was the answer's is in `used` when the tunnel stands, and what
  // follows is the server's. An error is the answer's status (proxy_category()),
  // errc::bad_proxy_answer or no_memory, and final.
  // Returns whether the tunnel stands.
  bool take(Bytes bytes, std::size_t& used, std::error_code& error) noexcept;

 private:
  bool take_head(std::error_code& error);

  HeadScanner scanner_;
  std::string head_;
};

}  // namespace timtow
