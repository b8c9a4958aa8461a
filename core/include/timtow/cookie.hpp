// Cookies (RFC 6265): those that a request brings, and those that a response sets.
//
//   for (const auto& [name, value] : timtow::parse_cookies(request.headers)) ...
//
//   std::string header;
//   if (auto error = timtow::SetCookie{.name = "id", .value = "31d4"}.format(header)) ...
//   peer.accept({.headers = {{"Set-Cookie", header}}});
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "timtow/error.hpp"
#include "timtow/http.hpp"

namespace timtow {

// One of a request's, as views into it. Of what has no '=' the name is empty, as in browsers.
struct Cookie {
  std::string_view name;   // has case
  std::string_view value;  // as it came: quotes are part of it, and nothing is decoded
};

// All cookies of all Cookie headers, in the order in which they came; the first of a name is the
// one with the longest path (section 5.4). What is malformed is taken as browsers would send it.
std::vector<Cookie> parse_cookies(const Headers& headers);

// Whether the text may be a cookie's value: US-ASCII but for control characters, space, '"', ',',
// ';' and '\' (section 4.1.1).
bool is_cookie_value(std::string_view text) noexcept;

enum class SameSite : std::uint8_t {
  unset,  // as the browser has it, which is lax in most
  lax,
  strict,
  none  // sent to all pages; needs `secure`
};

// A cookie as a server sets it (section 4.1). Without `expires` and `max_age` it is forgotten when
// the browser ends.
struct SetCookie {
  std::string name;   // a token
  std::string value;  // see is_cookie_value(); it may stand in quotes
  std::optional<std::chrono::sys_seconds> expires = {};
  std::optional<std::chrono::seconds> max_age = {};  // goes before `expires`; 0 deletes
  std::string domain = {};                           // and all below it; empty: this host alone
  std::string path = {};                             // and all below it; empty: that of the request
  bool secure = false;                               // only over TLS
  bool http_only = false;                            // not for scripts
  SameSite same_site = SameSite::unset;
  bool partitioned = false;  // one for each site that embeds ours; needs `secure`

  // Writes the value of a Set-Cookie header. errc::invalid_header tells what browsers would not
  // take, the rules of __Host- and __Secure- included; then `header` stays as it was.
  // Throws std::bad_alloc.
  Error format(std::string& header) const;
};

}  // namespace timtow
