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
      {"wss://example.org", "example.org", 443, "/", "example.org"},
      {"WSS://example.org:443/", "example.org", 443, "/", "example.org"},
      {"wss://example.org:80/", "example.org", 80, "/", "example.org:80"},
      {"ws://example.org:443/", "example.org", 443, "/", "example.org:443"},
      {"wss://[2001:db8::1]", "2001:db8::1", 443, "/", "[2001:db8::1]"},
      {"ws://[::ffff:192.0.2.1]", "::ffff:192.0.2.1", 80, "/", "[::ffff:192.0.2.1]"},
      {"ws://a/%2F%zz?%", "a", 80, "/%2F%zz?%", "a"},
      {"ws://a/b@c:80", "a", 80, "/b@c:80", "a"},
      {"ws://example.org./", "example.org.", 80, "/", "example.org."},
      {"ws://1.example/", "1.example", 80, "/", "1.example"},
      {"ws://a.1b/", "a.1b", 80, "/", "a.1b"},
      {"ws://a.0xg/", "a.0xg", 80, "/", "a.0xg"},
      {"ws://x1/", "x1", 80, "/", "x1"},
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
    CHECK(url.is_secure == (each.text[2] == 's' || each.text[2] == 'S'));
    CHECK_FALSE(url.is_unix());
  }
}

TEST_CASE("url: a Unix socket's path, and behind a colon the target") {
  const char* const examples[][3] = {
      {"ws+unix:/run/chat.sock", "/run/chat.sock", "/"},
      {"ws+unix:///run/chat.sock", "/run/chat.sock", "/"},
      {"WS+UNIX:/run/chat.sock:/room?name=a", "/run/chat.sock", "/room?name=a"},
      {"ws+unix:///run/chat.sock:/room:1", "/run/chat.sock", "/room:1"},
      {"ws+unix:/run/chat.sock:", "/run/chat.sock", "/"},
      {"ws+unix:/run/chat.sock:?name=a", "/run/chat.sock", "/?name=a"},
  };
  for (const auto& each : examples) {
    CAPTURE(each[0]);
    Url url;
    const Error error = Url::parse(each[0], url);
    CHECK_MESSAGE(!error, error.text);
    CHECK(url.is_unix());
    CHECK(url.path == each[1]);
    CHECK(url.target == each[2]);
    CHECK(url.authority() == "localhost");
    CHECK_FALSE(url.is_secure);
  }
  const char* const bad[][2] = {
      {"ws+unix:", "the path of the Unix socket is not absolute"},
      {"ws+unix://", "the path of the Unix socket is not absolute"},
      {"ws+unix:run/chat.sock", "the path of the Unix socket is not absolute"},
      {"ws+unix://host/run/chat.sock", "the path of the Unix socket is not absolute"},
      {"ws+unix::/target", "the path of the Unix socket is not absolute"},
      {"ws+unix:/run/a b", "the URL is not percent-encoded"},
      {"ws+unix:/run/a:/b c", "the URL is not percent-encoded"},
      {"ws+unix:/run/a#", "a WebSocket URL has no fragment"},
  };
  for (const auto& [text, cause] : bad) {
    Url url;
    const Error error = Url::parse(text, url);
    CHECK(error.code == errc::bad_address);
    CHECK(error.text ==
          std::string{cause} + ": \"" + text + "\"; it looks like ws+unix:/path/to/socket:/target");
    CHECK(url.path.empty());
  }
}

TEST_CASE("url: a password in it is not repeated") {
  Url url;
  const Error error = Url::parse("ws://user:word@example.org/", url);
  CHECK(error.text ==
        "a user in the URL is not sent: use an Authorization header: \"@example.org/\"; it looks "
        "like "
        "ws://example.org:9001/path");
  for (const char* each :
       {"http://bob:secret@host/", "bob:secret@host/", "ws://bob:secret@host/a b",
        "ws://bob:secret@host/#x", "ws://bob:se/cret@host/", "ws://bob:se?cret@host/",
        "ws://bob:se#cret@host/", "ws://bob:secret@host:99999/", "ws://bob:secret@[::1/",
        "ws://bob@x:secret@host/", "ws+unix://bob:secret@/x", "ws+unix:bob:secret@host"}) {
    CAPTURE(each);
    const std::string text = Url::parse(each, url).text;
    CHECK_FALSE(text.empty());
    CHECK(text.find("bob") == std::string::npos);
    CHECK(text.find("cret") == std::string::npos);
  }
}

TEST_CASE("url: what its query and fragment are is not repeated") {
  Url url;
  const auto shown = [&](const char* text) {
    const std::string sentence = Url::parse(text, url).text;
    const auto begin = sentence.find('"') + 1;
    return sentence.substr(begin, sentence.find('"', begin) - begin);
  };
  CHECK(shown("http://host/a?access_token=secret") == "http://host/a?...");
  CHECK(shown("ws://host/a?access_token=se cret") == "ws://host/a?...");
  CHECK(shown("ws://host/a#access_token=secret") == "ws://host/a#...");
  CHECK(shown("ws://host/a b?user=x@y.example&access_token=secret") == "...");
  CHECK(shown("ws://user@host/a b?access_token=secret") == "@host/a b?...");
}

TEST_CASE("url: a host that others may read as another one is refused") {
  const std::string long_label(63, 'a');
  const std::string longest =
      long_label + '.' + long_label + '.' + long_label + '.' + std::string(61, 'a');
  const auto cause = [](const std::string& host) {
    Url url;
    const std::string text = Url::parse("wss://" + host + "/", url).text;
    return text.substr(0, text.find(':'));
  };
  for (const char* each : {".", "..", ".example.com", "a..example", "example..", ".a.", "..a"})
    CHECK_MESSAGE(cause(each) == "the URL's host has an empty label", each);
  CHECK(longest.size() == 253);
  CHECK(cause(longest).empty());
  CHECK(cause(longest + '.').empty());
  CHECK(cause(longest + 'a') == "the URL's host is longer than a name may be, which is 253");
  // Some read these as 127.0.0.1 or 1.2.3.4, and some as something else.
  for (const char* each : {"0177.0.0.1", "127.1", "2130706433", "1.2.3.4.", "0x7f.0.0.1", "127.0x1",
                           "0x7F000001", "0x", "1.2.3.256", "1.2.3.4.5", "a.1", "a.0X1.", "08"})
    CHECK_MESSAGE(cause(each) == "the URL's host ends in a number, and is no IPv4 address", each);
}

TEST_CASE("url: what is none is refused with what is wrong, and leaves the other as it was") {
  const char* const examples[][2] = {
      {"", "the URL has no scheme"},
      {"example.org:80/", "the URL has no scheme"},
      {"http://example.org/", "the URL's scheme is none of ws, wss and ws+unix"},
      {"ws+unix", "the URL has no scheme"},
      {"ws:/a", "the URL has no scheme"},
      {"wss:a", "the URL has no scheme"},
      {"ws://", "the URL has no host"},
      {"ws:///path", "the URL has no host"},
      {"ws://:80", "the URL has no host"},
      {"ws://a#", "a WebSocket URL has no fragment"},
      {"ws://a/#", "a WebSocket URL has no fragment"},
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
      {"ws://[::1%25lo]/", "an address in a URL has no zone: give it in ClientOptions::endpoint"},
      {"ws://[fe80::1%lo]:80/",
       "an address in a URL has no zone: give it in ClientOptions::endpoint"},
      {"ws://[1.2.3.4]/", "what stands in brackets is no IPv6 address"},
      {"ws://[1::2::3]/", "what stands in brackets is no IPv6 address"},
      {"ws://[:1]/", "what stands in brackets is no IPv6 address"},
      {"ws://[]/", "what stands in brackets is no IPv6 address"},
      {"ws://a]/", "the URL's host is not one"},
      {"ws://a%20b/", "the URL's host is not one"},
      {"ws://a b/", "the URL's host is not one"},
      {"ws://a}b/", "the URL's host is not one"},
      {"ws://a,b/", "the URL's host is not one"},
      {"ws://\xC3\xA4.example/", "the URL's host is not one"},
      {"ws://a/b c", "the URL's path is not percent-encoded"},
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
  Url url;
  CHECK(Url::parse("ws://a/\r\nX: y", url)
            .text.starts_with("the URL's path is not percent-encoded: \"ws://a/?"));
}
