// What trusted proxies tell of a client: X-Forwarded-For, and Forwarded (RFC 7239).
#include "timtow/forwarded.hpp"

#include <doctest/doctest.h>

#include <ostream>
#include <string>

using namespace timtow;

namespace {

constexpr auto x = ForwardedHeader::x_forwarded_for;
constexpr auto rfc = ForwardedHeader::forwarded;

// "client:port host scheme", or "nothing".
std::string told(ForwardedHeader which, std::vector<Header> headers,
                 const std::string& peer = "10.0.0.1") {
  Networks trusted;
  CHECK_FALSE(Networks::parse({"10.0.0.0/8", "2001:db8::/32", "unix:"}, trusted));
  const Endpoint from = peer == "unix:" ? Endpoint{.host = {}, .port = 0, .path = "/run/x"}
                                        : Endpoint{.host = peer, .port = 1, .path = {}};
  const auto result =
      parse_forwarded(Request{"GET", "/", Headers{std::move(headers)}}, from, trusted, which);
  if (!result) return "nothing";
  return to_string(result->client) + ' ' + result->host + ' ' + result->scheme;
}

std::string told_x(const std::string& value, const std::string& peer = "10.0.0.1") {
  return told(x, {{"X-Forwarded-For", value}}, peer);
}
std::string told_rfc(const std::string& value, const std::string& peer = "10.0.0.1") {
  return told(rfc, {{"Forwarded", value}}, peer);
}

}  // namespace

TEST_CASE("forwarded: a peer that is not trusted is not believed") {
  CHECK(told_x("192.0.2.1", "192.0.2.9") == "nothing");
  CHECK(told_rfc("for=192.0.2.1", "192.0.2.9") == "nothing");
  CHECK(told_x("192.0.2.1", "10.0.0.1") == "192.0.2.1:0  ");
  CHECK(told_x("192.0.2.1", "::ffff:10.0.0.1") == "192.0.2.1:0  ");
  CHECK(told_x("192.0.2.1", "unix:") == "192.0.2.1:0  ");
}

TEST_CASE("forwarded: the list is walked from the right, through trusted proxies alone") {
  CHECK(told_x("203.0.113.7, 192.0.2.1") == "192.0.2.1:0  ");
  CHECK(told_x("203.0.113.7, 192.0.2.1, 10.0.0.2") == "192.0.2.1:0  ");
  CHECK(told_x("nonsense, 192.0.2.1, 10.0.0.2, 2001:db8::1") == "192.0.2.1:0  ");
  CHECK(told_x("10.0.0.3, 10.0.0.2") == "10.0.0.3:0  ");  // all are ours: the first has asked
  CHECK(told_x("192.0.2.1, nonsense, 10.0.0.2") == "unknown:0  ");  // and no further
  CHECK(told_x("nonsense") == "unknown:0  ");
  CHECK(told_x("") == "nothing");
  CHECK(told(x, {}) == "nothing");
  CHECK(told(x, {{"X-Forwarded-For", "192.0.2.1"}, {"x-forwarded-for", "10.0.0.2"}}) ==
        "192.0.2.1:0  ");
}

TEST_CASE("forwarded: whatever a client sends, it does not pass for the proxy") {
  // What comes behind the client's part, a proxy has appended.
  CHECK(told_x("\", 203.0.113.9") == "203.0.113.9:0  ");
  CHECK(told_x("1.1.1.1, \"a, 203.0.113.9") == "203.0.113.9:0  ");
  CHECK(told_x("\"\\, 203.0.113.9, 10.0.0.2") == "203.0.113.9:0  ");
  CHECK(told(x, {{"X-Forwarded-For", "203.0.113.9"},
                 {"X-Forwarded-Host", "\"evil, example.org"},
                 {"X-Forwarded-Proto", "\", https"}}) == "203.0.113.9:0 example.org https");
  // There a quote hides it: then it is nobody.
  CHECK(told_rfc("for=\"x, for=203.0.113.9") == "unknown:0  ");
  CHECK(told_rfc("for=\", for=203.0.113.9, for=10.0.0.2") == "unknown:0  ");
  CHECK(told(rfc, {{"Forwarded", "for=\"x, for=203.0.113.9"}, {"Forwarded", "for=10.0.0.2"}}) ==
        "unknown:0  ");
  // Behind an open quote the proxy's own quotes are the wrong way round.
  CHECK(told_rfc(R"(for=1.1.1.1;host=", for=203.0.113.9;host="a\"b")") == "unknown:0  ");
  CHECK(told_rfc(R"(for=1.1.1.1;host=", for="[2001:db9::1]:80")") == "unknown:0  ");
}

TEST_CASE("forwarded: an element of Forwarded is well-formed, or tells of nobody") {
  for (const char* bad :
       {"for=192.0.2.1;for=192.0.2.2", "for=192.0.2.1;FOR=192.0.2.1", "for=192.0.2.1;=a",
        "for=192.0.2.1;a b=c", "for=192.0.2.1;\"a\"=c", "for=192.0.2.1;host=\"a\"b",
        "for=192.0.2.1;host=a\"b\"", "for=192.0.2.1;host=\"a\"\"b\"", "for=192.0.2.1;host=a\\b",
        "for=192.0.2.1;host=\"a\\\""}) {
    CAPTURE(bad);
    CHECK(told_rfc(bad) == "unknown:0  ");
    CHECK(told_rfc(std::string{"for=203.0.113.9, for=10.0.0.2, "} + bad) == "unknown:0  ");
  }
  CHECK(told_rfc("host=example.org;proto=https") == "unknown:0 example.org https");
  CHECK(told_rfc("for=192.0.2.1:80;host=example.org:443") == "192.0.2.1:80 example.org:443 ");
}

TEST_CASE(
    "forwarded: the header that our proxies do not write is the client's, and not looked at") {
  const std::vector<Header> both{{"X-Forwarded-For", "192.0.2.1"}, {"Forwarded", "for=192.0.2.2"}};
  CHECK(told(x, both) == "192.0.2.1:0  ");
  CHECK(told(rfc, both) == "192.0.2.2:0  ");
  CHECK(told(rfc, {{"X-Forwarded-For", "192.0.2.1"}}) == "nothing");
}

TEST_CASE("forwarded: addresses, with and without a port") {
  CHECK(told_x("192.0.2.1:8080") == "192.0.2.1:8080  ");
  CHECK(told_x("2001:db9::1") == "[2001:db9::1]:0  ");
  CHECK(told_x("[2001:db9::1]") == "[2001:db9::1]:0  ");
  CHECK(told_x("[2001:db9::1]:8080") == "[2001:db9::1]:8080  ");
  for (const char* bad : {"192.0.2.1:", "192.0.2.1:80x", "[2001:db9::1", "[2001:db9::1]80", "[]",
                          ":80", "192.0.2.1:65536", "192.0.2.300", "example.org", "_a b", "-"}) {
    CAPTURE(bad);
    const bool is_without_port = std::string_view{bad} == "192.0.2.1:";
    CHECK(told_x(bad) == (is_without_port ? "192.0.2.1:0  " : "unknown:0  "));
  }
}

TEST_CASE("forwarded: RFC 7239's own examples") {
  CHECK(told_rfc("for=\"_gazonk\"") == "_gazonk:0  ");
  CHECK(told_rfc("For=\"[2001:db9:cafe::17]:4711\"") == "[2001:db9:cafe::17]:4711  ");
  CHECK(told_rfc("for=192.0.2.60;proto=http;by=203.0.113.43") == "192.0.2.60:0  http");
  CHECK(told_rfc("for=192.0.2.43, for=198.51.100.17") == "198.51.100.17:0  ");
  CHECK(told_rfc("for=_hidden, for=_SEVKISEK") == "_SEVKISEK:0  ");
  CHECK(told_rfc("for=unknown") == "unknown:0  ");
  CHECK(told_rfc("for=\"192.0.2.1:_port\"") == "192.0.2.1:0  ");
}

TEST_CASE("forwarded: quoted strings hide what separates") {
  CHECK(told_rfc("for=\"192.0.2.1\";host=\"a,b;c\\\"d\";proto=https") ==
        "192.0.2.1:0 a,b;c\"d https");
  CHECK(told_rfc("for=192.0.2.1;host=\"x, for=10.0.0.9\", for=10.0.0.2") ==
        "192.0.2.1:0 x, for=10.0.0.9 ");
  CHECK(told_rfc(";; for=192.0.2.1 ;;") == "192.0.2.1:0  ");
  CHECK(told_rfc("for=\"192.0.2.1") == "unknown:0  ");
  CHECK(told_rfc("for") == "unknown:0  ");
  CHECK(told_rfc("by=192.0.2.1") == "unknown:0  ");
}

TEST_CASE("forwarded: host and scheme are those of the proxy that the client asked") {
  CHECK(told_rfc("for=192.0.2.1;host=evil;proto=http, for=192.0.2.2;host=example.org;proto=https, "
                 "for=10.0.0.2;host=inner;proto=http") == "192.0.2.2:0 example.org https");
  const auto told_all = [](const char* addresses, const char* hosts, const char* schemes) {
    return told(x, {{"X-Forwarded-For", addresses},
                    {"X-Forwarded-Host", hosts},
                    {"X-Forwarded-Proto", schemes}});
  };
  CHECK(told_all("192.0.2.1", "example.org:8443", "https") == "192.0.2.1:0 example.org:8443 https");
  CHECK(told_all("192.0.2.2, 10.0.0.2", "example.org, inner", "https, http") ==
        "192.0.2.2:0 example.org https");
  CHECK(told_all("192.0.2.1, 192.0.2.2, 10.0.0.2", "evil, example.org, inner",
                 "http, https, http") == "192.0.2.2:0 example.org https");
  CHECK(told_all("192.0.2.2, 10.0.0.2", "example.org", "wss") == "192.0.2.2:0 example.org https");
  CHECK(told_all("192.0.2.2", "example.org", "ws") == "192.0.2.2:0 example.org http");
  CHECK(told_all("192.0.2.2", "example.org", "gopher") == "192.0.2.2:0 example.org ");
}
