// Cookies: RFC 6265, and what browsers have made of it (RFC 6265bis).
#include "timtow/cookie.hpp"

#include <doctest/doctest.h>

#include <ostream>
#include <string>

using namespace timtow;
using namespace std::chrono_literals;

namespace {

std::string parsed(std::vector<Header> headers) {
  std::string text;
  for (const auto& [name, value] : parse_cookies(Headers{std::move(headers)}))
    text.append("[").append(name).append("|").append(value).append("]");
  return text;
}

std::string formatted(const SetCookie& cookie) {
  std::string header = "as it was";
  const Error error = cookie.format(header);
  if (!error) return header;
  CHECK(error.code == errc::invalid_header);
  CHECK(header == "as it was");
  return error.text;
}

}  // namespace

TEST_CASE("cookies: all of a request, in order") {
  CHECK(parsed({}).empty());
  CHECK(parsed({{"Cookie", "a=1"}}) == "[a|1]");
  CHECK(parsed({{"Cookie", "a=1; b=2"}, {"X", "c=3"}, {"cookie", "a=4"}}) == "[a|1][b|2][a|4]");
}

TEST_CASE("cookies: what is malformed is taken as browsers send it") {
  CHECK(parsed({{"Cookie", ";; a=1 ;\tb = 2;c;=d;=;e=;"}}) == "[a|1][b|2][|c][|d][|][e|]");
  CHECK(parsed({{"Cookie", "a=\"1; 2\""}}) == "[a|\"1][|2\"]");  // quotes hide no ';'
  CHECK(parsed({{"Cookie", "a=\"x\""}}) == "[a|\"x\"]");         // and are part of the value
  CHECK(parsed({{"Cookie", "a=1, b=2"}}) == "[a|1, b=2]");       // nor does a comma separate
  CHECK(parsed({{"Cookie", "a=x=y==; b=%20"}}) == "[a|x=y==][b|%20]");
  CHECK(parsed({{"Cookie", "a=\xC3\xA4; n\xFF=1"}}) == "[a|\xC3\xA4][n\xFF|1]");
  CHECK(parsed({{"Cookie", "$Version=1; a=1; $Path=/"}}) == "[$Version|1][a|1][$Path|/]");
}

TEST_CASE("cookies: one to set, with each attribute") {
  CHECK(formatted({.name = "a", .value = ""}) == "a=");
  CHECK(formatted({.name = "a", .value = "\"b\""}) == "a=\"b\"");
  CHECK(formatted({.name = "id",
                   .value = "31d4d96e407aad42",
                   .expires = std::chrono::sys_seconds{784111777s},
                   .max_age = 3600s,
                   .domain = "example.org",
                   .path = "/chat",
                   .secure = true,
                   .http_only = true,
                   .same_site = SameSite::none,
                   .partitioned = true}) ==
        "id=31d4d96e407aad42; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=3600; "
        "Domain=example.org; Path=/chat; Secure; HttpOnly; SameSite=None; Partitioned");
  CHECK(formatted({.name = "a", .value = "b", .same_site = SameSite::lax}) == "a=b; SameSite=Lax");
  CHECK(formatted({.name = "a", .value = "b", .same_site = SameSite::strict}) ==
        "a=b; SameSite=Strict");
  CHECK(formatted({.name = "a", .value = "b", .max_age = -1s}) == "a=b; Max-Age=-1");
  CHECK(formatted({.name = "a", .value = "b", .expires = std::chrono::sys_seconds{0s}}) ==
        "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(formatted({.name = "a", .value = "b", .expires = std::chrono::sys_seconds{-1s}}) ==
        "a=b; Expires=Wed, 31 Dec 1969 23:59:59 GMT");
  CHECK(formatted({.name = "a", .value = "b", .expires = std::chrono::sys_seconds{1709210096s}}) ==
        "a=b; Expires=Thu, 29 Feb 2024 12:34:56 GMT");
}

TEST_CASE("cookies: what browsers would not take is refused, with what is wrong") {
  const auto fault = [](const SetCookie& cookie) {
    const std::string text = formatted(cookie);
    const auto at = text.find(" cannot be set: ");
    return at == text.npos ? "fine: " + text : text.substr(at + 16);
  };
  for (const char* name : {"", "a b", "a=b", "a;b", "\"a\"", "\xC3\xA4", "a\r\nX: y"})
    CHECK(fault({.name = name, .value = "b"}) == "its name is not a token");
  for (const char* value : {" ", "a b", "a;b", "a,b", "\"", "a\"", "\"a", "\"a b\"", "a\\",
                            "\xC3\xA4", "a\r\nSet-Cookie: b=c", "\x7F"})
    CHECK(fault({.name = "a", .value = value}) ==
          "its value holds a control character, a space, or one of \" , ; \\: encode it");
  CHECK(fault({.name = "a", .value = std::string(4095, 'x')}).starts_with("fine"));
  CHECK(fault({.name = "a", .value = std::string(4096, 'x')}) ==
        "name and value are longer than 4096 bytes, which browsers do not keep");
  for (const std::string path : {"a", "/a;b", "/\r\n", "/\xC3\xA4", "/\x7F"})
    CHECK(fault({.name = "a", .value = "b", .path = path})
              .starts_with("its path does not start with '/'"));
  CHECK(
      fault({.name = "a", .value = "b", .path = '/' + std::string(1023, 'x')}).starts_with("fine"));
  CHECK(fault({.name = "a", .value = "b", .path = '/' + std::string(1024, 'x')})
            .starts_with("its path "));
  for (const char* domain : {".example.org", "example.org.", "exa mple", "a;b", "a:80", "\xC3\xA4"})
    CHECK(fault({.name = "a", .value = "b", .domain = domain}) ==
          "its domain is not a host name, which has no dot in front");
  CHECK(fault({.name = "a", .value = "b", .expires = std::chrono::sys_seconds{-11644473601s}}) ==
        "it expires in no year from 1601 to 9998");
  CHECK(fault({.name = "a", .value = "b", .expires = std::chrono::sys_seconds{253370764800s}}) ==
        "it expires in no year from 1601 to 9998");
  CHECK(fault({.name = "a", .value = "b", .same_site = SameSite::none}) ==
        "browsers take SameSite=None only with Secure");
  CHECK(fault({.name = "a", .value = "b", .partitioned = true}) ==
        "browsers take Partitioned only with Secure");
}

TEST_CASE("cookies: the prefixes __Secure- and __Host- promise what they say") {
  CHECK(formatted({.name = "__Secure-a", .value = "b", .secure = true}) == "__Secure-a=b; Secure");
  CHECK(formatted({.name = "__Host-a", .value = "b", .path = "/", .secure = true}) ==
        "__Host-a=b; Path=/; Secure");
  const auto is_refused = [](const SetCookie& cookie) {
    return formatted(cookie).find("browsers take __") != std::string::npos;
  };
  CHECK(is_refused({.name = "__Secure-a", .value = "b"}));
  CHECK(is_refused({.name = "__secure-a", .value = "b"}));  // browsers do not look at the case
  CHECK(is_refused({.name = "__Host-a", .value = "b", .path = "/"}));
  CHECK(is_refused({.name = "__Host-a", .value = "b", .secure = true}));
  CHECK(is_refused({.name = "__HOST-a", .value = "b", .path = "/x", .secure = true}));
  CHECK(is_refused({.name = "__Host-a", .value = "b", .domain = "a", .path = "/", .secure = true}));
  CHECK_FALSE(is_refused({.name = "__Host", .value = "b"}));
}
