// ws:// URLs: RFC 6455 section 3, RFC 3986.
#include "timtow/url.hpp"

#include <doctest/doctest.h>

#include <ostream>
#include <string>

using namespace timtow;

TEST_CASE("url: host, port and target, and what the Host header says of them") {
  struct Example {
    const char* text;
    const char* host;
    int port;
    const char* target;
    const char* authority;
  };
  const Example examples[] = {
      {"ws://example.org", "example.org", 80, "/", "example.org"},
      {"WS://Example.org/", "Example.org", 80, "/", "Example.org"},
      {"ws://example.org:80/a", "example.org", 80, "/a", "example.org"},
      {"ws://example.org:/a", "example.org", 80, "/a", "example.org"},
      {"ws://example.org:65535", "example.org", 65535, "/", "example.org:65535"},
      {"ws://127.0.0.1:9001/chat?room=1&x=%20", "127.0.0.1", 9001, "/chat?room=1&x=%20",
       "127.0.0.1:9001"},
      {"ws://[::1]", "::1", 80, "/", "[::1]"},
      {"ws://[fe80::1]:81/a:b@c", "fe80::1", 81, "/a:b@c", "[fe80::1]:81"},
      {"ws://example.org?a/b", "example.org", 80, "/?a/b", "example.org"},
      {"ws://example.org:443", "example.org", 443, "/", "example.org:443"},
      {"wss://example.org", "example.org", 443, "/", "example.org"},
      {"WSS://example.org:443/a", "example.org", 443, "/a", "example.org"},
      {"wss://[::1]:80", "::1", 80, "/", "[::1]:80"},
  };
  for (const Example& each : examples) {
    CAPTURE(each.text);
    Url url;
    const Error error = Url::parse(each.text, url);
    CHECK_MESSAGE(!error, error.text);
    CHECK(url.host == each.host);
    CHECK(url.port == each.port);
    CHECK(url.is_secure == (each.text[2] != ':'));
    CHECK(url.target == each.target);
    CHECK(url.authority() == each.authority);
  }
}

TEST_CASE("url: what is none is refused with what is wrong, and leaves the other as it was") {
  const char* const examples[][2] = {
      {"", "the URL has no scheme"},
      {"example.org:80/", "the URL has no scheme"},
      {"http://example.org/", "the URL's scheme is not ws or wss"},
      {"ws://", "the URL has no host"},
      {"ws:///path", "the URL has no host"},
      {"ws://:80", "the URL has no host"},
      {"ws://a#b", "a WebSocket URL has no fragment"},
      {"ws://a/#", "a WebSocket URL has no fragment"},
      {"ws://user@a/", "a user in the URL is not sent: use an Authorization header"},
      {"ws://user:word@a/", "a user in the URL is not sent: use an Authorization header"},
      {"ws://a:0", "the URL's port is not a number from 1 to 65535"},
      {"ws://a:65536", "the URL's port is not a number from 1 to 65535"},
      {"ws://a:-1", "the URL's port is not a number from 1 to 65535"},
      {"ws://a:8x", "the URL's port is not a number from 1 to 65535"},
      {"ws://a:b:80", "the URL's port is not a number from 1 to 65535"},
      {"ws://::1/", "the URL's port is not a number from 1 to 65535"},
      {"ws://[::1/", "the URL's IPv6 address is not closed by ]"},
      {"ws://[::1]x", "the URL's IPv6 address is not closed by ]"},
      {"ws://[1234]/", "what stands in brackets is no IPv6 address"},
      {"ws://[::g]/", "what stands in brackets is no IPv6 address"},
      {"ws://[]/", "what stands in brackets is no IPv6 address"},
      {"ws://a]/", "the URL's host is not one"},
      {"ws://a%20b/", "the URL's host is not one"},
      {"ws://a b/", "the URL's host is not one"},
      {"ws://\xC3\xA4.example/", "the URL's host is not one"},
      {"ws://a/b c", "the URL's path is not percent-encoded"},
      {"ws://a/\r\nX: y", "the URL's path is not percent-encoded"},
      {"ws://a/\xC3\xA4", "the URL's path is not percent-encoded"},
  };
  for (const auto& each : examples) {
    const std::string text = each[0];
    const std::string cause = each[1];
    CAPTURE(text);
    Url url{.host = "before", .port = 7, .target = "/before"};
    const Error error = Url::parse(text, url);
    CHECK(error.code == errc::bad_address);
    CHECK(error.text == cause + ": \"" + text + "\"; it looks like ws://example.org:9001/path");
    CHECK(url.host == "before");
    CHECK(url.port == 7);
    CHECK(url.target == "/before");
  }
}
