#include "timtow/cookie.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace timtow {
namespace {

// Browsers drop a cookie whose name and value are longer, and an attribute that is (RFC 6265bis
// section 5.6).
constexpr std::size_t most_of_pair = 4096;
constexpr std::size_t most_of_attribute = 1024;

bool begins_with(std::string_view name, std::string_view prefix) noexcept {
  return equal_ignoring_case(name.substr(0, prefix.size()), prefix);
}

bool is_path(std::string_view text) noexcept {
  return text.starts_with('/') && text.size() <= most_of_attribute &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= ' ' && c <= '~' && c != ';'; });
}

bool is_domain(std::string_view text) noexcept {
  constexpr std::string_view of_names =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-.";
  return text.size() <= most_of_attribute && !text.starts_with('.') && !text.ends_with('.') &&
         text.find_first_not_of(of_names) == std::string_view::npos;
}

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7).
std::string format_date(std::chrono::sys_seconds time) {
  using namespace std::chrono;
  constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = floor<std::chrono::days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{time - day};
  std::array<char, 64> text;
  std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
                days[weekday{day}.c_encoding()], static_cast<unsigned>(date.day()),
                months[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text.data();
}

// What is wrong, or null.
const char* fault_of(const SetCookie& cookie) noexcept {
  using namespace std::chrono;
  std::string_view value = cookie.value;
  if (value.size() >= 2 && value.starts_with('"') && value.ends_with('"'))
    value = value.substr(1, value.size() - 2);
  if (!is_token(cookie.name)) return "its name is not a token";
  if (!is_cookie_value(value))
    return "its value holds a control character, a space, or one of \" , ; \\: encode it";
  if (cookie.name.size() + cookie.value.size() > most_of_pair)
    return "name and value are longer than 4096 bytes, which browsers do not keep";
  if (!cookie.path.empty() && !is_path(cookie.path))
    return "its path does not start with '/', holds a ';' or what is not US-ASCII, or is too long";
  if (!cookie.domain.empty() && !is_domain(cookie.domain))
    return "its domain is not a host name, which has no dot in front";
  if (cookie.expires && (*cookie.expires < sys_days{1601y / 1 / 1} ||
                         *cookie.expires >= sys_days{year{9999} / 1 / 1}))
    return "it expires in no year from 1601 to 9998";
  if (cookie.same_site == SameSite::none && !cookie.secure)
    return "browsers take SameSite=None only with Secure";
  if (cookie.partitioned && !cookie.secure) return "browsers take Partitioned only with Secure";
  const bool is_of_host = begins_with(cookie.name, "__Host-");
  if ((is_of_host || begins_with(cookie.name, "__Secure-")) && !cookie.secure)
    return "browsers take __Secure- and __Host- only with Secure";
  if (is_of_host && (cookie.path != "/" || !cookie.domain.empty()))
    return "browsers take __Host- only with the path / and without a domain";
  return nullptr;
}

}  // namespace

std::vector<Cookie> parse_cookies(const Headers& headers) {
  std::vector<Cookie> cookies;
  for (const auto& header : headers) {
    if (!equal_ignoring_case(header.name, "Cookie")) continue;
    for (std::string_view rest = header.value; !rest.empty();) {
      const auto end = std::min(rest.find(';'), rest.size());
      const std::string_view pair = trimmed(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const auto equals = pair.find('=');
      if (equals != std::string_view::npos)
        cookies.push_back({trimmed(pair.substr(0, equals)), trimmed(pair.substr(equals + 1))});
      else if (!pair.empty())
        cookies.push_back({{}, pair});
    }
  }
  return cookies;
}

std::string_view Request::cookie(std::string_view name) const {
  for (const Cookie& each : parse_cookies(headers))
    if (each.name == name && !name.empty()) return each.value;
  return {};
}

bool is_cookie_value(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c <= '~' && c != '"' && c != ',' && c != ';' && c != '\\';
  });
}

Error SetCookie::format(std::string& header) const {
  if (const char* fault = fault_of(*this))
    return make_error(errc::invalid_header, "the cookie \"%.64s\" cannot be set: %s", name.c_str(),
                      fault);
  std::string text = name + '=' + value;
  if (expires) text += "; Expires=" + format_date(*expires);
  if (max_age) text += "; Max-Age=" + std::to_string(max_age->count());
  if (!domain.empty()) text += "; Domain=" + domain;
  if (!path.empty()) text += "; Path=" + path;
  if (secure) text += "; Secure";
  if (http_only) text += "; HttpOnly";
  if (same_site == SameSite::lax) text += "; SameSite=Lax";
  if (same_site == SameSite::strict) text += "; SameSite=Strict";
  if (same_site == SameSite::none) text += "; SameSite=None";
  if (partitioned) text += "; Partitioned";
  header = std::move(text);
  return {};
}

}  // namespace timtow
