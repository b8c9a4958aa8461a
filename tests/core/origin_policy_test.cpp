// Whose pages may talk to a server: RFC 6455 section 10.2, RFC 6454.
#include "timtow/origin_policy.hpp"

#include <doctest/doctest.h>

#include <ostream>
#include <string>

using namespace timtow;

namespace {

bool lets_in(const OriginPolicy& policy, std::string_view origin,
             Destination to = {"example.org", {}}) {
  CHECK_FALSE(policy.check());
  const Refusal refusal =
      check_origin(policy, Request{"GET", "/", Headers{{{"Origin", origin}}}}, to);
  CHECK((!refusal || refusal.status == 403));
  CHECK((!refusal || refusal.error.code == errc::origin_refused));
  return !refusal;
}

}  // namespace

TEST_CASE("origins: pages of the same host and port, and programs, by default") {
  const OriginPolicy policy;
  CHECK(lets_in(policy, "http://example.org"));
  CHECK(lets_in(policy, "https://example.org"));
  CHECK(lets_in(policy, "HTTP://EXAMPLE.org"));
  CHECK(lets_in(policy, "http://example.org:80"));
  CHECK(lets_in(policy, "http://example.org", {"example.org:80", {}}));
  CHECK(lets_in(policy, "https://example.org", {"example.org:443", {}}));
  CHECK(lets_in(policy, "http://[::1]:9001", {"[::1]:9001", {}}));
  CHECK_FALSE(check_origin(policy, Request{"GET", "/", {}}, {"example.org", {}}));
  for (const char* origin :
       {"http://example.org:81", "http://www.example.org", "http://example.org.evil.example",
        "http://evil.example", "http://example.org@evil.example", "http://example.org/",
        "ftp://example.org", "example.org", "//example.org", "null", "", "http://",
        "://example.org", "http://example.org, http://evil.example", "http://example.org:"})
    CHECK_FALSE_MESSAGE(lets_in(policy, origin), origin);
  CHECK_FALSE(lets_in(policy, "https://example.org", {"example.org:80", {}}));
  CHECK_FALSE(lets_in(policy, "http://[::1]", {"[::1]:9001", {}}));
  CHECK_FALSE(lets_in(policy, "http://example.org", {}));
}

TEST_CASE("origins: the scheme counts where it is known") {
  CHECK(lets_in({}, "https://example.org", {"example.org", "https"}));
  CHECK_FALSE(lets_in({}, "http://example.org", {"example.org", "https"}));
  CHECK(lets_in({}, "http://example.org", {"example.org", "http"}));
  CHECK_FALSE(lets_in({}, "https://example.org", {"example.org", "http"}));
}

TEST_CASE("origins: others that are named, each with scheme and port") {
  const OriginPolicy policy{.allowed = {"https://app.example", "http://localhost:8080",
                                        "https://*.pages.example", "chrome-extension://abc"}};
  CHECK(lets_in(policy, "https://app.example"));
  CHECK(lets_in(policy, "https://APP.example:443"));
  CHECK(lets_in(policy, "http://localhost:8080"));
  CHECK(lets_in(policy, "https://a.pages.example"));
  CHECK(lets_in(policy, "https://a.b.pages.example"));
  CHECK(lets_in(policy, "chrome-extension://abc"));
  CHECK(lets_in(policy, "http://example.org"));  // still
  for (const char* origin :
       {"http://app.example", "https://app.example:444", "http://localhost",
        "https://localhost:8080", "https://pages.example", "https://evilpages.example",
        "https://.pages.example.evil.example", "http://a.pages.example",
        "https://a.pages.example:8443", "chrome-extension://abcd", "null"})
    CHECK_FALSE_MESSAGE(lets_in(policy, origin), origin);
}

TEST_CASE("origins: null is one that has to be named, and any is any") {
  CHECK(lets_in({.allowed = {"null"}}, "null"));
  CHECK_FALSE(lets_in({.allowed = {"null"}}, "NULL"));
  CHECK_FALSE(lets_in({.allowed = {"https://a"}}, "null"));
  for (const char* origin : {"null", "https://evil.example", "", "nonsense"})
    CHECK(lets_in({.any = true}, origin));
}

TEST_CASE("origins: the host's own pages and programs can be kept out") {
  CHECK_FALSE(lets_in({.same_host = false}, "http://example.org"));
  CHECK(lets_in({.same_host = false, .allowed = {"http://example.org"}}, "http://example.org"));
  const Refusal refusal =
      check_origin({.without = false}, Request{"GET", "/", {}}, {"example.org", {}});
  CHECK(refusal.status == 403);
  CHECK(refusal.error.text.starts_with("the request has no Origin"));
}

TEST_CASE("origins: a refusal names the origin, and says what to do") {
  const Refusal refusal = check_origin(
      {}, Request{"GET", "/", Headers{{{"Origin", "https://evil.example"}}}}, {"example.org", {}});
  CHECK(refusal.error.text ==
        "pages of the origin \"https://evil.example\" may not connect to example.org; if they "
        "should, add it to OriginPolicy::allowed");
}

TEST_CASE("origins: what cannot be understood is an error of the options") {
  for (const char* each : {"", "example.org", "*", "https://", "https://*", "https://*.",
                           "https://a.*", "https://*a.example", "https://*.*.example", "https://a/",
                           "https://a/b", "https://u@a", "Null", "https://a:b", " https://a"}) {
    CAPTURE(each);
    const Error error = OriginPolicy{.allowed = {"https://fine.example", each}}.check();
    CHECK(error.code == errc::bad_address);
    CHECK(error.text.starts_with('"' + std::string{each} + "\" is no origin; origins look like "));
  }
}
