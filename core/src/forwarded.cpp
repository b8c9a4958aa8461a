#include "timtow/forwarded.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

namespace timtow {
namespace {

// A quoted string without its quotes and backslashes, or a text that has neither. (What is no
// token, such as 192.0.2.1:80, many send unquoted.) Nothing else: behind a quote that a client has
// left open, those of the next proxy are the wrong way round.
std::optional<std::string> unquoted(std::string_view text) {
  if (!text.starts_with('"')) {
    if (text.find_first_of("\"\\") != std::string_view::npos) return std::nullopt;
    return std::string{text};
  }
  std::string plain;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return i + 1 == text.size() ? std::optional{plain} : std::nullopt;
    if (text[i] == '\\' && ++i == text.size()) break;
    plain += text[i];
  }
  return std::nullopt;
}

// The parameters of one proxy.
struct Hop {
  std::string client;
  std::string host;
  std::string scheme;
};

// RFC 7239 section 4: for=192.0.2.60;proto=http;by=203.0.113.43. False when it is not that, or
// tells one of these twice.
bool parse_hop(std::string_view text, Hop& hop) {
  struct {
    const char* name;
    std::string& to;
    bool came;
  } wanted[] = {
      {"for", hop.client, false}, {"host", hop.host, false}, {"proto", hop.scheme, false}};
  while (!text.empty()) {
    bool quoted = false;
    std::size_t end = 0;
    for (; end < text.size() && (quoted || text[end] != ';'); ++end) {
      if (quoted && text[end] == '\\')
        ++end;
      else if (text[end] == '"')
        quoted = !quoted;
    }
    const std::string_view pair = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view name = pair.substr(0, equals);
    std::optional<std::string> value = unquoted(pair.substr(equals + 1));
    if (!is_token(name) || !value) return false;
    auto* const its = std::find_if(std::begin(wanted), std::end(wanted), [name](const auto& each) {
      return equal_ignoring_case(name, each.name);
    });
    if (its == std::end(wanted)) continue;
    if (std::exchange(its->came, true)) return false;
    its->to = std::move(*value);
  }
  return true;
}

// What stands between commas, over all headers of that name. Quotes mean nothing there: a client
// could hide with one what a proxy appends to its header.
std::vector<std::string_view> split(const Headers& headers, std::string_view name) {
  std::vector<std::string_view> all;
  for (const Header& header : headers) {
    if (!equal_ignoring_case(header.name, name)) continue;
    for (std::string_view rest = header.value; !rest.empty();) {
      const auto end = std::min(rest.find(','), rest.size());
      if (const auto each = trimmed(rest.substr(0, end)); !each.empty()) all.push_back(each);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return all;
}

// One for each proxy; of X-Forwarded-Host and -Proto the last are of the last, and where there are
// fewer, the first is of all before it.
std::vector<Hop> hops_of(const Headers& headers, ForwardedHeader header) {
  std::vector<Hop> hops;
  if (header == ForwardedHeader::forwarded) {
    for (const std::string_view element : headers.list("Forwarded"))
      if (!parse_hop(element, hops.emplace_back())) hops.back() = {};
    return hops;
  }
  for (const std::string_view address : split(headers, "X-Forwarded-For"))
    hops.push_back({std::string{address}, {}, {}});
  const auto spread = [&](const char* name, std::string Hop::*to) {
    const auto values = split(headers, name);
    for (std::size_t i = 0; i < hops.size() && !values.empty(); ++i)
      hops[hops.size() - 1 - i].*to = values[values.size() - 1 - std::min(i, values.size() - 1)];
  };
  spread("X-Forwarded-Host", &Hop::host);
  spread("X-Forwarded-Proto", &Hop::scheme);
  return hops;
}

// RFC 7239 section 6: an address, "unknown" or "_name", and perhaps a port, which may be a name as
// well. An address of IPv6 with a port stands in brackets; in X-Forwarded-For it may stand bare.
bool parse_node(std::string_view text, Endpoint& node) {
  std::string_view host = text;
  std::string_view port;
  if (host.starts_with('[')) {
    const auto bracket = host.find(']');
    if (bracket == std::string_view::npos) return false;
    port = host.substr(bracket + 1);
    host = host.substr(1, bracket - 1);
  } else if (const auto colon = host.find(':'); colon == host.rfind(':')) {
    port = host.substr(std::min(colon, host.size()));
    host = host.substr(0, colon);
  }
  if (!port.empty() && !port.starts_with(':')) return false;
  if (!port.empty()) port.remove_prefix(1);
  node = {.host = std::string{host}, .port = 0, .path = {}};
  const char* const end = port.data() + port.size();
  const auto [stop, failure] = std::from_chars(port.data(), end, node.port);
  if (!port.starts_with('_') && (stop != end || (failure != std::errc{} && !port.empty())))
    return false;
  if (equal_ignoring_case(host, "unknown")) return true;
  return host.starts_with('_') ? is_token(host) : IpAddress::parse(host).has_value();
}

std::string known_scheme(std::string_view text) {
  for (const auto& [name, scheme] : {std::pair{"http", "http"}, std::pair{"https", "https"},
                                     std::pair{"ws", "http"}, std::pair{"wss", "https"}})
    if (equal_ignoring_case(text, name)) return scheme;
  return {};
}

}  // namespace

std::optional<Forwarded> parse_forwarded(const Request& request, const Endpoint& peer,
                                         const Networks& trusted, ForwardedHeader header) {
  if (!trusted.contains(peer)) return std::nullopt;
  const std::vector<Hop> hops = hops_of(request.headers, header);
  std::optional<Forwarded> told;
  for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
    Endpoint from;
    // Whoever wrote it is a proxy, and the client is not that.
    if (!parse_node(hop->client, from)) from = {.host = "unknown", .port = 0, .path = {}};
    told = {from, hop->host, known_scheme(hop->scheme)};
    if (!trusted.contains(from)) break;
  }
  return told;
}

}  // namespace timtow
