#include "timtow/endpoint.hpp"

#include <charconv>

namespace timtow {

Error Endpoint::parse(std::string_view text, Endpoint& endpoint) {
  const auto bad = [&](const char* what) {
    return make_error(errc::bad_address,
                      "%s: \"%.*s\"; addresses look like 127.0.0.1:9001, [::1]:9001, "
                      "localhost:9001 or unix:/path",
                      what, static_cast<int>(text.substr(0, 64).size()), text.data());
  };
  if (text.starts_with("unix:")) {
    if (text.size() == 5) return bad("the path is missing");
    endpoint = {.host = {}, .port = 0, .path = std::string{text.substr(5)}};
    return {};
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']')) return bad("the port is missing");
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return bad("an IPv6 address stands in brackets");
  if (host.empty()) return bad("the host is missing");

  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data() + colon + 1, end, port);
  if (failure != std::errc{} || stop != end) return bad("the port is not a number up to 65535");
  endpoint = {.host = std::string{host}, .port = port, .path = {}};
  return {};
}

std::string to_string(const Endpoint& endpoint) {
  if (endpoint.is_unix()) return "unix:" + endpoint.path;
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return (v6 ? '[' + endpoint.host + ']' : endpoint.host) + ':' + std::to_string(endpoint.port);
}

}  // namespace timtow
