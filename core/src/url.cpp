#include "timtow/url.hpp"

#include <algorithm>
#include <charconv>

#include "timtow/http.hpp"

namespace timtow {
namespace {

constexpr std::uint16_t default_port(bool is_secure) noexcept { return is_secure ? 443 : 80; }

bool is_target(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

std::string Url::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  const std::string name = v6 ? '[' + host + ']' : host;
  return port == default_port(is_secure) ? name : name + ':' + std::to_string(port);
}

Error Url::parse(std::string_view text, Url& url) {
  const auto bad = [&](const char* what) {
    return make_error(errc::bad_address, "%s: \"%.*s\"; it looks like ws://example.org:9001/path",
                      what, static_cast<int>(text.substr(0, 100).size()), text.data());
  };
  const auto colon = text.find("://");
  if (colon == std::string_view::npos) return bad("the URL has no scheme");
  const std::string_view scheme = text.substr(0, colon);
  const bool is_secure = equal_ignoring_case(scheme, "wss");
  if (!is_secure && !equal_ignoring_case(scheme, "ws"))
    return bad("the URL's scheme is not ws or wss");

  const std::string_view rest = text.substr(colon + 3);
  if (rest.find('#') != std::string_view::npos) return bad("a WebSocket URL has no fragment");
  const auto end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view host = rest.substr(0, end);
  const std::string_view target = rest.substr(end);
  if (!is_target(target)) return bad("the URL's path is not percent-encoded");
  if (host.find('@') != std::string_view::npos)
    return bad("a user in the URL is not sent: use an Authorization header");

  std::uint16_t port = default_port(is_secure);
  const auto bracket = host.rfind(']');
  if (host.starts_with('[') && bracket == std::string_view::npos)
    return bad("the URL's IPv6 address is not closed by ]");
  const auto separator = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (separator != std::string_view::npos) {
    const std::string_view digits = host.substr(separator + 1);
    host = host.substr(0, separator);
    const char* const stop = digits.data() + digits.size();
    const auto [read, failure] = std::from_chars(digits.data(), stop, port);
    if (!digits.empty() && (failure != std::errc{} || read != stop || port == 0))
      return bad("the URL's port is not a number from 1 to 65535");
  }
  if (host.starts_with('[')) {
    constexpr std::string_view of_ipv6 = "0123456789abcdefABCDEF:.";
    if (!host.ends_with(']')) return bad("the URL's IPv6 address is not closed by ]");
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == std::string_view::npos ||
        host.find_first_not_of(of_ipv6) != std::string_view::npos)
      return bad("what stands in brackets is no IPv6 address");
  } else if (host.find_first_of("[]:%") != std::string_view::npos || !is_target(host)) {
    return bad("the URL's host is not one");
  }
  if (host.empty()) return bad("the URL has no host");
  url = {.host = std::string{host}, .port = port, .is_secure = is_secure, .target = {}};
  if (!target.starts_with('/')) url.target = '/';
  url.target += target;
  return {};
}

}  // namespace timtow
