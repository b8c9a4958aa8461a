#include "timtow/origin_policy.hpp"

#include <algorithm>

namespace timtow {
namespace {

// "https://example.org:8443" in its parts. The port is empty where it is the scheme's own.
struct Origin {
  std::string_view scheme;
  std::string_view host;
  std::string_view port;
};

// False for what has no scheme, or more than that and a host and a port.
bool split(std::string_view text, Origin& origin) noexcept {
  constexpr std::string_view digits = "0123456789";
  constexpr std::string_view of_scheme =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-.";
  const auto colon = text.find("://");
  if (colon == std::string_view::npos || colon == 0) return false;
  origin.scheme = text.substr(0, colon);
  if (origin.scheme.find_first_not_of(of_scheme) != std::string_view::npos) return false;
  std::string_view rest = text.substr(colon + 3);
  if (rest.empty() || rest.find_first_of("/?#@ \t,") != std::string_view::npos) return false;
  const auto bracket = rest.rfind(']');
  const auto port = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
  origin.host = rest.substr(0, port);
  origin.port = port == std::string_view::npos ? std::string_view{} : rest.substr(port + 1);
  if (origin.host.empty() || (port != std::string_view::npos && origin.port.empty()) ||
      origin.port.find_first_not_of(digits) != std::string_view::npos)
    return false;
  const bool is_default = (equal_ignoring_case(origin.scheme, "http") && origin.port == "80") ||
                          (equal_ignoring_case(origin.scheme, "https") && origin.port == "443");
  if (is_default) origin.port = {};
  return true;
}

// "*.example.org" stands for all hosts below that one.
bool matches(std::string_view pattern, std::string_view host) noexcept {
  if (!pattern.starts_with("*.")) return equal_ignoring_case(pattern, host);
  const std::string_view domain = pattern.substr(1);
  return host.size() > domain.size() &&
         equal_ignoring_case(host.substr(host.size() - domain.size()), domain);
}

bool allows(std::string_view allowed, std::string_view text) noexcept {
  if (allowed == "null" || text == "null") return allowed == text;
  Origin pattern;
  Origin origin;
  return split(allowed, pattern) && split(text, origin) &&
         equal_ignoring_case(pattern.scheme, origin.scheme) && pattern.port == origin.port &&
         matches(pattern.host, origin.host);
}

bool is_of_host(std::string_view text, const Destination& to) noexcept {
  Origin origin;
  if (!split(text, origin)) return false;
  const bool is_secure = equal_ignoring_case(origin.scheme, "https");
  if (!is_secure && !equal_ignoring_case(origin.scheme, "http")) return false;
  if (!to.scheme.empty() && !equal_ignoring_case(origin.scheme, to.scheme)) return false;
  // Browsers leave the default port out of both headers; what stands between may write it.
  std::string_view host = to.host;
  const std::string_view port = is_secure ? ":443" : ":80";
  if (host.ends_with(port)) host.remove_suffix(port.size());
  const std::string_view page = text.substr(origin.scheme.size() + 3);
  return equal_ignoring_case(origin.port.empty() ? origin.host : page, host);
}

}  // namespace

Error OriginPolicy::check() const {
  for (const std::string_view each : allowed) {
    Origin origin;
    const bool is_one = each == "null" || split(each, origin);
    if (!is_one || origin.host.find('*', 1) != std::string_view::npos ||
        (origin.host.starts_with('*') &&
         !(origin.host.starts_with("*.") && origin.host.size() > 2)))
      return make_error(errc::bad_address,
                        "\"%.*s\" is no origin; origins look like https://example.org, "
                        "http://localhost:8080, https://*.example.org or null",
                        static_cast<int>(each.substr(0, 64).size()), each.data());
  }
  return {};
}

bool Request::is_same_origin() const noexcept { return !check_origin({}, *this, {host(), {}}); }

Refusal check_origin(const OriginPolicy& policy, const Request& request, const Destination& to) {
  if (policy.any) return {};
  if (request.origin().empty() && !request.headers.has("Origin")) {
    if (policy.without) return {};
    return {403, make_error(errc::origin_refused,
                            "the request has no Origin; this server takes upgrades from pages "
                            "alone (OriginPolicy::without lets programs in)")};
  }
  const std::string_view origin = request.origin();
  if (policy.same_host && is_of_host(origin, to)) return {};
  if (std::any_of(policy.allowed.begin(), policy.allowed.end(),
                  [&](std::string_view each) { return allows(each, origin); }))
    return {};
  const std::string_view host = to.host.substr(0, 64);
  return {403,
          make_error(errc::origin_refused,
                     "pages of the origin \"%.*s\" may not connect to %.*s; if they should, add "
                     "it to OriginPolicy::allowed",
                     static_cast<int>(origin.substr(0, 80).size()), origin.data(),
                     static_cast<int>(host.size()), host.data())};
}

}  // namespace timtow
