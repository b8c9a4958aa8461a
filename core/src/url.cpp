#include "timtow/url.hpp"

#include <algorithm>
#include <charconv>

#include "timtow/http.hpp"
#include "timtow/ip_address.hpp"

namespace timtow {
namespace {

// RFC 3986 section 3.2.2, without the comma, that lists separate by, and what is percent-encoded.
constexpr std::string_view of_name =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~!$&'()*+;=";

constexpr std::uint16_t default_port(bool is_secure) noexcept { return is_secure ? 443 : 80; }

bool is_target(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

Error bad(const char* what, std::string_view text, const char* example) {
  const std::string_view shown = text.substr(0, 100);
  return make_error(errc::bad_address, "%s: \"%.*s\"; it looks like %s", what,
                    static_cast<int>(shown.size()), shown.data(), example);
}

// What Node's ws calls a URL for IPC: the socket's path, and behind a colon the target. (It also
// takes the path behind two slashes, as if there were a host that is empty.)
Error parse_unix(std::string_view text, std::string_view rest, Url& url) {
  const auto refuse = [&](const char* what) {
    return bad(what, text, "ws+unix:/path/to/socket:/target");
  };
  if (rest.starts_with("//")) rest.remove_prefix(2);
  const auto colon = std::min(rest.find(':'), rest.size());
  const std::string_view path = rest.substr(0, colon);
  const std::string_view target = rest.substr(std::min(colon + 1, rest.size()));
  if (!path.starts_with('/')) return refuse("the path of the Unix socket is not absolute");
  if (!is_target(rest)) return refuse("the URL is not percent-encoded");
  if (rest.find('#') != std::string_view::npos) return refuse("a WebSocket URL has no fragment");
  url = {.host = "localhost", .target = {}, .path = std::string{path}};
  if (!target.starts_with('/')) url.target = '/';
  url.target += target;
  return {};
}

}  // namespace

std::string Url::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  const std::string name = v6 ? '[' + host + ']' : host;
  return port == default_port(is_secure) ? name : name + ':' + std::to_string(port);
}

Error Url::parse(std::string_view text, Url& url) {
  constexpr const char* example = "ws://example.org:9001/path";
  const auto refuse = [&](const char* what) { return bad(what, text, example); };
  const auto colon = std::min(text.find(':'), text.size());
  const std::string_view scheme = text.substr(0, colon);
  if (equal_ignoring_case(scheme, "ws+unix") && colon < text.size())
    return parse_unix(text, text.substr(colon + 1), url);
  if (!text.substr(colon).starts_with("://")) return refuse("the URL has no scheme");
  const bool is_secure = equal_ignoring_case(scheme, "wss");
  if (!is_secure && !equal_ignoring_case(scheme, "ws"))
    return refuse("the URL's scheme is none of ws, wss and ws+unix");

  const std::string_view rest = text.substr(colon + 3);
  if (rest.find('#') != std::string_view::npos) return refuse("a WebSocket URL has no fragment");
  const auto end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view host = rest.substr(0, end);
  const std::string_view target = rest.substr(end);
  if (!is_target(target)) return refuse("the URL's path is not percent-encoded");
  if (const auto at = rest.substr(0, end).rfind('@'); at != std::string_view::npos)
    return bad("a user in the URL is not sent: use an Authorization header", rest.substr(at),
               example);  // not to repeat a password

  std::uint16_t port = default_port(is_secure);
  const auto bracket = host.rfind(']');
  if (host.starts_with('[') && bracket == std::string_view::npos)
    return refuse("the URL's IPv6 address is not closed by ]");
  const auto separator = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (separator != std::string_view::npos) {
    const std::string_view digits = host.substr(separator + 1);
    host = host.substr(0, separator);
    const char* const stop = digits.data() + digits.size();
    const auto [read, failure] = std::from_chars(digits.data(), stop, port);
    if (!digits.empty() && (failure != std::errc{} || read != stop || port == 0))
      return refuse("the URL's port is not a number from 1 to 65535");
  }
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) return refuse("the URL's IPv6 address is not closed by ]");
    host = host.substr(1, host.size() - 2);
    if (host.find('%') != std::string_view::npos)
      return refuse("an address in a URL has no zone: give it in ClientOptions::endpoint");
    if (host.find(':') == std::string_view::npos || !IpAddress::parse(host))
      return refuse("what stands in brackets is no IPv6 address");
  } else if (host.find_first_not_of(of_name) != std::string_view::npos) {
    return refuse("the URL's host is not one");
  }
  if (host.empty()) return refuse("the URL has no host");
  url = {.host = std::string{host}, .port = port, .is_secure = is_secure, .target = {}};
  if (!target.starts_with('/')) url.target = '/';
  url.target += target;
  return {};
}

}  // namespace timtow
