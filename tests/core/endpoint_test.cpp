// Addresses as a person writes them, and what is said of those that cannot be read.
#include <doctest/doctest.h>

#include <ostream>

#include "timtow/endpoint.hpp"

namespace {

using namespace timtow;

constexpr const char* advice =
    "; addresses look like 127.0.0.1:9001, [::1]:9001, localhost:9001 or unix:/path";

}  // namespace

TEST_CASE("an address is read, and written as it was") {
  struct Case {
    const char* text;
    const char* host;
    std::uint16_t port;
    const char* path;
  };
  const Case cases[] = {
      {"127.0.0.1:9001", "127.0.0.1", 9001, ""},
      {"0.0.0.0:0", "0.0.0.0", 0, ""},
      {"[::1]:9001", "::1", 9001, ""},
      {"[::]:65535", "::", 65535, ""},
      {"[fe80::1%eth0]:1", "fe80::1%eth0", 1, ""},
      {"localhost:80", "localhost", 80, ""},
      {"ws.example.org:443", "ws.example.org", 443, ""},
      {"unix:/run/chat.sock", "", 0, "/run/chat.sock"},
      {"unix:chat.sock", "", 0, "chat.sock"},
      {"unix:/odd:name:80", "", 0, "/odd:name:80"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.text);
    Endpoint endpoint{.host = "old", .port = 1, .path = "old"};
    const Error error = Endpoint::parse(each.text, endpoint);
    CHECK_MESSAGE(!error, error.text);
    CHECK(endpoint.host == each.host);
    CHECK(endpoint.port == each.port);
    CHECK(endpoint.path == each.path);
    CHECK(endpoint.is_unix() == (each.path[0] != '\0'));
    CHECK(to_string(endpoint) == each.text);
  }
}

TEST_CASE("an address that cannot be read is refused with the reason, and changes nothing") {
  struct Case {
    const char* text;
    const char* reason;
  };
  const Case cases[] = {
      {"", "the port is missing"},
      {"localhost", "the port is missing"},
      {"9001", "the port is missing"},
      {"[::1]", "the port is missing"},
      {"::1", "an IPv6 address stands in brackets"},
      {"::1:9001", "an IPv6 address stands in brackets"},
      {"[::1:9001", "an IPv6 address stands in brackets"},
      {":9001", "the host is missing"},
      {"[]:9001", "the host is missing"},
      {"localhost:", "the port is not a number up to 65535"},
      {"localhost:http", "the port is not a number up to 65535"},
      {"localhost:80x", "the port is not a number up to 65535"},
      {"localhost: 80", "the port is not a number up to 65535"},
      {"localhost:-1", "the port is not a number up to 65535"},
      {"localhost:+1", "the port is not a number up to 65535"},
      {"localhost:65536", "the port is not a number up to 65535"},
      {"localhost:99999999999999999999", "the port is not a number up to 65535"},
      {"unix:", "the path is missing"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.text);
    Endpoint endpoint{.host = "old", .port = 1, .path = "older"};
    const Error error = Endpoint::parse(each.text, endpoint);
    CHECK(error.code == errc::bad_address);
    CHECK(error.text == std::string{each.reason} + ": \"" + each.text + '"' + advice);
    CHECK(endpoint.host == "old");
    CHECK(endpoint.port == 1);
    CHECK(endpoint.path == "older");
  }
}

TEST_CASE("of an endless address only the beginning is said again") {
  Endpoint endpoint;
  const Error error = Endpoint::parse(std::string(10'000, 'x'), endpoint);
  CHECK(error.text == "the port is missing: \"" + std::string(64, 'x') + '"' + advice);
}

TEST_CASE("no address at all") {
  Endpoint endpoint;
  CHECK(Endpoint::parse({}, endpoint).text == std::string{"the port is missing: \"\""} + advice);
}
