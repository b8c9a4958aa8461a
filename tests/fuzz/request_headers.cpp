// The headers of a request that say who it is from: Cookie, Origin, Forwarded, X-Forwarded-For. The
// input is a header's value, and lines behind it are more of that name.
#include "support.hpp"
#include "timtow/cookie.hpp"
#include "timtow/forwarded.hpp"
#include "timtow/origin_policy.hpp"

namespace {

using namespace timtow;

Request with(std::string_view name, std::string_view text) {
  std::vector<Header> headers;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    headers.push_back({name, text.substr(0, end)});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {"GET", "/", Headers{std::move(headers)}};
}

bool is_inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_cookies(std::string_view text) {
  const Request request = with("Cookie", text);
  std::size_t size = 0;
  for (const auto& [name, value] : parse_cookies(request.headers)) {
    fuzz::check(is_inside(name, text) && is_inside(value, text), "cookies are views of the header");
    fuzz::check(name.find_first_of("=;") == name.npos, "a cookie's name ends where it ends");
    fuzz::check(value.find(';') == value.npos, "a cookie ends at a semicolon");
    size += name.size() + value.size();
    if (!name.empty()) request.cookie(name);
    std::string header;
    const SetCookie set{.name = std::string{name}, .value = std::string{value}};
    if (!set.format(header))
      fuzz::check(is_header_value(header) && header == set.name + '=' + set.value,
                  "what is set is one cookie");
  }
  fuzz::check(size <= text.size(), "no byte is in two cookies");
}

void check_origins(std::string_view text) {
  const Request request = with("Origin", text);
  const Destination to{"example.org", {}};
  const bool is_in = !check_origin({}, request, to);
  if (is_in && request.headers.has("Origin"))
    fuzz::check(request.origin().size() >= 18, "an origin that is let in names our host");
  const OriginPolicy policy{.same_host = false, .allowed = {std::string{text}}};
  if (!policy.check() && text.find('*') == text.npos && text.find('\n') == text.npos)
    fuzz::check(!check_origin(policy, request, to), "an origin that is named is let in");
}

void check_forwarded(std::string_view text) {
  Networks trusted;
  fuzz::check(!Networks::parse({"10.0.0.0/8", "::1"}, trusted), "these are networks");
  const Endpoint peer{.host = "10.0.0.1", .port = 1, .path = {}};
  for (const auto header : {ForwardedHeader::forwarded, ForwardedHeader::x_forwarded_for}) {
    const bool is_rfc = header == ForwardedHeader::forwarded;
    const Request request = with(is_rfc ? "Forwarded" : "X-Forwarded-For", text);
    const auto told = parse_forwarded(request, peer, trusted, header);
    if (!told) continue;
    const std::string& host = told->client.host;
    fuzz::check(IpAddress::parse(host) || host.starts_with('_') || host.size() == 7,
                "a client is an address, hidden, or unknown");
    // What stands in front, anybody may have written.
    const std::string more = "for=1.2.3.4, " + std::string{text};
    const Request longer = with(is_rfc ? "Forwarded" : "X-Forwarded-For",
                                is_rfc ? more : std::string_view{more}.substr(4));
    const auto again = parse_forwarded(longer, peer, trusted, header);
    if (!trusted.contains(told->client))
      fuzz::check(again && again->client.host == host, "nobody can add a client in front");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  check_cookies(text);
  check_origins(text);
  check_forwarded(text);
  return 0;
}
