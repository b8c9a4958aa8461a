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

// Shows nothing that stands before an '@', which may be a password, or behind a '?' or '#', which
// may be a token.
Error bad(const char* what, std::string_view text, const char* example) {
  const auto mark = std::min(text.find_first_of("?#"), text.size());
  const auto at = text.rfind('@');
  std::string_view shown = text.substr(0, mark + 1);
  if (at != std::string_view::npos) shown = shown.substr(std::min(at, shown.size()));
  shown = shown.substr(0, 100);
  return make_error(errc::bad_address, "%s: \"%.*s%s\"; it looks like %s", what,
                    static_cast<int>(shown.size()), shown.data(),
                    mark + 1 < text.size() ? "..." : "", example);
}

constexpr std::size_t longest_name = 253;  // RFC 1035 section 2.3.4, without the root's dot

// The last label of what is an address to those who read such (WHATWG URL, "ends in a number").
bool is_number(std::string_view label) noexcept {
  if (label.starts_with("0x") || label.starts_with("0X"))
    return label.find_first_not_of("0123456789abcdefABCDEF", 2) == std::string_view::npos;
  return label.find_first_not_of("0123456789") == std::string_view::npos;
}

// Why nobody should look up this host, or prove to be it: others may take it for another one. Null
// when it is fine.
const char* fault_of(std::string_view host) noexcept {
  if (host.empty()) return "the URL has no host";
  if (host.find_first_not_of(of_name) != std::string_view::npos) return "the URL's host is not one";
  if (IpAddress::parse(host)) return nullptr;
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.starts_with('.') || host.ends_with('.') ||
      host.find("..") != std::string_view::npos)
    return "the URL's host has an empty label";
  if (is_number(host.substr(host.rfind('.') + 1)))
    return "the URL's host ends in a number, and is no IPv4 address";
  if (host.size() > longest_name)
    return "the URL's host is longer than a name may be, which is 253";
  return nullptr;
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
  if (host.find('@') != std::string_view::npos)
    return refuse("a user in the URL is not sent: use an Authorization header");

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
  } else if (const char* const fault = fault_of(host)) {
    return refuse(fault);
  }
  url = {.host = std::string{host}, .port = port, .is_secure = is_secure, .target = {}};
  if (!target.starts_with('/')) url.target = '/';
  url.target += target;
  return {};
}

}  // namespace timtow
