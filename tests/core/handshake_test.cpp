#include <doctest/doctest.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "timtow/handshake.hpp"

using namespace timtow;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

using Texts = std::vector<std::string_view>;

// The key and the answer of RFC 6455 section 1.3.
constexpr auto key = "dGhlIHNhbXBsZSBub25jZQ=="sv;
constexpr auto accept_key = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="sv;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// A list of headers that a test changes before it asks.
class Lines {
 public:
  explicit Lines(std::vector<Header> headers) : headers_(std::move(headers)) {}

  Lines with(std::string_view name, std::string_view value) const {
    Lines changed = *this;
    changed.headers_.push_back({name, value});
    return changed;
  }
  Lines without(std::string_view name) const {
    Lines changed = *this;
    std::erase_if(changed.headers_, [&](const Header& header) { return header.name == name; });
    CHECK(changed.headers_.size() < headers_.size());
    return changed;
  }
  Lines changed(std::string_view name, std::string_view value) const {
    return without(name).with(name, value);
  }
  Headers headers() const { return Headers{headers_}; }

 private:
  std::vector<Header> headers_;
};

const Lines upgrade{{{"Host", "example.org"},
                     {"Upgrade", "websocket"},
                     {"Connection", "Upgrade"},
                     {"Sec-WebSocket-Key", key},
                     {"Sec-WebSocket-Version", "13"}}};
const Lines plain{{{"Host", "example.org"}}};

Refusal checked(const Lines& lines, std::string_view method = "GET",
                std::string_view target = "/") {
  return check_request({method, target, lines.headers()});
}

void check_fine(const Lines& lines, std::string_view target = "/") {
  const Refusal refusal = checked(lines, "GET", target);
  CHECK(refusal.status == 0);
  CHECK_MESSAGE(!refusal.error, refusal.error.text);
}

void check_refused(const Refusal& refusal, int status, errc code, std::string_view cause) {
  CHECK(refusal.status == status);
  CHECK(refusal.error.code == code);
  CHECK_MESSAGE(contains(refusal.error.text, cause), refusal.error.text);
}

void check_bad(const Lines& lines, std::string_view cause) {
  CAPTURE(cause);
  check_refused(checked(lines), 400, errc::bad_request, cause);
}

void check_invalid(const Error& error, std::string_view cause) {
  CAPTURE(cause);
  CHECK(error.code == errc::invalid_header);
  CHECK_MESSAGE(contains(error.text, cause), error.text);
}

// Headers that would end their line, or are no headers.
const Header injections[] = {
    {"X", "a\r\nSet-Cookie: b"},
    {"X", "a\nb"},
    {"X", "a\rb"},
    {"X", "a\0b"sv},
    {"X", "\x7F"},
    {"X", "\x1B"},
    {"X\r\nY", ""},
    {"X\nY", ""},
    {"X\rY", ""},
    {"X: a\r\nY", "b"},
    {"X:", ""},
    {"X ", ""},
    {" X", ""},
    {"", "a"},
    {"X\0"sv, ""},
    {"caf\xE9", ""},
};

}  // namespace

// -- Server ---------------------------------------------------------------------------------------

TEST_CASE("handshake: requests that are fine (RFC 6455 section 4.2.1)") {
  check_fine(upgrade);
  check_fine(upgrade, "/chat?room=1");
  check_fine(upgrade, "http://example.org/chat");
  check_fine(upgrade.changed("Upgrade", "WebSocket"));
  check_fine(upgrade.changed("Upgrade", "h2c, websocket"));
  check_fine(upgrade.changed("Connection", "keep-alive, upgrade"));
  check_fine(upgrade.changed("Connection", "keep-alive").with("connection", "UPGRADE"));
  check_fine(upgrade.with("Origin", "http://example.org"));
  check_fine(upgrade.with("Origin", "null"));
  check_fine(upgrade.with("Sec-WebSocket-Protocol", "chat, superchat"));
  check_fine(upgrade.with("Sec-WebSocket-Protocol", "chat").with("Sec-WebSocket-Protocol", "b"));
  check_fine(upgrade.with("Content-Length", "0"));
  check_fine(upgrade.with("Cookie", "a=b").with("Cookie", "c=d"));
  check_fine(upgrade.with("X-Latin", "caf\xE9"));
}

TEST_CASE("handshake: requests that ask for no WebSocket are the application's") {
  check_fine(plain);
  check_fine(plain, "/index.html");
  check_fine(plain.with("Connection", "Upgrade").with("Upgrade", "h2c"));
  check_fine(plain.with("Sec-WebSocket-Key", "nonsense"));
  check_fine(plain.with("Sec-WebSocket-Version", "8"));
}

TEST_CASE("handshake: a method other than GET is answered 405 (RFC 6455 section 4.1)") {
  for (const auto method :
       {"POST"sv, "HEAD"sv, "OPTIONS"sv, "CONNECT"sv, "get"sv, "GETS"sv, ""sv}) {
    CAPTURE(method);
    check_refused(checked(upgrade, method), 405, errc::method_not_allowed, method);
    check_refused(checked(plain, method), 405, errc::method_not_allowed, "only GET");
  }
  check_refused(checked(plain, "OPTIONS", "*"), 405, errc::method_not_allowed, "OPTIONS");
  check_refused(checked(plain, "CONNECT", "a:443"), 405, errc::method_not_allowed, "CONNECT");
}

TEST_CASE("handshake: targets (RFC 9112 section 3.2)") {
  for (const auto target :
       {"*"sv, ""sv, "?x"sv, "chat"sv, "example.org:443"sv, "chat?u=http://b/"sv})
    check_refused(checked(upgrade, "GET", target), 400, errc::bad_request, "request target");
  for (const auto target : {"http:///chat"sv, "http://a@b/"sv, "http://a b/"sv, "http://a:b/"sv})
    check_refused(checked(upgrade, "GET", target), 400, errc::bad_request, "host");
}

TEST_CASE("handshake: one Host that is a host (RFC 9112 section 3.2)") {
  check_bad(upgrade.without("Host"), "Host is missing");
  check_bad(plain.without("Host"), "Host is missing");
  check_bad(upgrade.with("host", "example.org"), "Host came more than once");
  check_bad(plain.with("Host", "other"), "Host came more than once");
  check_refused(checked(upgrade.without("Host"), "GET", "http://example.org/"), 400,
                errc::bad_request, "Host is missing");
  check_refused(checked(upgrade.changed("Host", "a b"), "GET", "http://example.org/"), 400,
                errc::bad_request, "Host is not a host");

  for (const auto host : {"a"sv, "example.org"sv, "Example.ORG."sv, "a_b-c~d"sv, "127.0.0.1"sv,
                          "127.0.0.1:9001"sv, "a:0"sv, "a:"sv, "[::1]"sv, "[::1]:9001"sv,
                          "[2001:DB8::192.0.2.1]:80"sv, "xn--caf-dma.example"sv, "a%20b"sv})
    check_fine(upgrade.changed("Host", host));
  for (const auto host :
       {""sv,        ":80"sv,   "a b"sv,     "a\tb"sv,   "a,b"sv,           "a, b"sv, "a/b"sv,
        "a\\b"sv,    "a@b"sv,   "a?b"sv,     "a#b"sv,    "\"a\""sv,         "<a>"sv,  "a|b"sv,
        "caf\xE9"sv, "a:b"sv,   "a:80:80"sv, "a:8 0"sv,  "a:-1"sv,          "[::1"sv, "::1"sv,
        "[]"sv,      "[]:80"sv, "[::1]80"sv, "[::1]a"sv, "[example.org]"sv, "a[b]"sv, "]a["sv,
        "a\0b"sv,    "a\x7F"sv, "http://a"sv}) {
    CAPTURE(host);
    check_bad(upgrade.changed("Host", host), "Host is not a host");
  }
}

TEST_CASE("handshake: headers that must not come twice") {
  check_bad(upgrade.with("Sec-WebSocket-Key", key), "Sec-WebSocket-Key came more than once");
  check_bad(upgrade.with("sec-websocket-key", "x"), "Sec-WebSocket-Key came more than once");
  check_bad(upgrade.with("Sec-WebSocket-Version", "13"), "Sec-WebSocket-Version came more than");
  check_bad(upgrade.with("Origin", "http://a").with("Origin", "http://b"), "Origin came more than");
  check_bad(upgrade.with("Content-Length", "0").with("Content-Length", "0"),
            "Content-Length came more than once");
}

TEST_CASE("handshake: a request with a body is refused") {
  for (const auto& lines : {upgrade, plain}) {
    check_bad(lines.with("Content-Length", "1"), "body");
    check_bad(lines.with("Content-Length", ""), "body");
    check_bad(lines.with("Content-Length", "00"), "body");
    check_bad(lines.with("Content-Length", "0, 0"), "body");
    check_bad(lines.with("Content-Length", "-0"), "body");
    check_bad(lines.with("Transfer-Encoding", "chunked"), "body");
    check_bad(lines.with("transfer-encoding", "identity"), "body");
  }
}

TEST_CASE("handshake: Connection has to name the upgrade (RFC 6455 section 4.2.1 item 4)") {
  check_bad(upgrade.without("Connection"), "without Connection: Upgrade");
  check_bad(upgrade.changed("Connection", "keep-alive"), "without Connection: Upgrade");
  check_bad(upgrade.changed("Connection", "upgraded"), "without Connection: Upgrade");
  check_bad(upgrade.changed("Connection", "\"upgrade\""), "without Connection: Upgrade");
}

TEST_CASE("handshake: the version is 13, or the answer is 426 (RFC 6455 section 4.4)") {
  check_refused(checked(upgrade.without("Sec-WebSocket-Version")), 426, errc::websocket_version,
                "is missing");
  for (const auto version : {"8"sv, "12"sv, "14"sv, "013"sv, "13, 8"sv, "+13"sv, "13.0"sv, "x"sv}) {
    const Refusal refusal = checked(upgrade.changed("Sec-WebSocket-Version", version));
    check_refused(refusal, 426, errc::websocket_version, version);
    CHECK(contains(refusal.error.text, "13"));
  }
  check_refused(checked(upgrade.changed("Sec-WebSocket-Version", "")), 426, errc::websocket_version,
                "is missing");
  check_fine(upgrade.changed("Sec-WebSocket-Version", "13"));
}

TEST_CASE("handshake: the key is the base64 form of 16 bytes (RFC 6455 section 4.2.1 item 5)") {
  check_bad(upgrade.without("Sec-WebSocket-Key"), "Sec-WebSocket-Key is missing");
  for (const auto bad_key : {""sv, "x"sv, "dGhlIHNhbXBsZSBub25jZQ"sv, "dGhlIHNhbXBsZSBub25j"sv,
                             "dGhlIHNhbXBsZSBub25jZTE="sv, "dGhlIHNhbXBsZSBub25jZQ==="sv,
                             "dGhlIHNhbXBs*SBub25jZQ=="sv, "dGhlIHNhbXBs SBub25jZQ=="sv}) {
    CAPTURE(bad_key);
    check_bad(upgrade.changed("Sec-WebSocket-Key", bad_key), "base64 form of 16 bytes");
  }
}

TEST_CASE("handshake: offered subprotocols are tokens (RFC 6455 section 4.1 item 10)") {
  check_bad(upgrade.with("Sec-WebSocket-Protocol", "a b"), "Sec-WebSocket-Protocol");
  check_bad(upgrade.with("Sec-WebSocket-Protocol", "a, b/c"), "Sec-WebSocket-Protocol");
  check_bad(upgrade.with("Sec-WebSocket-Protocol", "\"a\""), "Sec-WebSocket-Protocol");
  check_bad(upgrade.with("Sec-WebSocket-Protocol", "caf\xE9"), "Sec-WebSocket-Protocol");
}

TEST_CASE("handshake: offered extensions and their parameters (RFC 6455 section 9.1)") {
  for (const auto extensions :
       {"permessage-deflate"sv, "permessage-deflate; client_max_window_bits"sv,
        "permessage-deflate;client_max_window_bits=15 ; server_no_context_takeover"sv, "x; a = 1"sv,
        "x; a=\"1\""sv, "x; a=\"1,2\""sv, "x; a=\"1\\\"2\""sv, "x, y; a, z"sv, "x; a=\"1\";b"sv,
        ""sv})
    check_fine(upgrade.with("Sec-WebSocket-Extensions", extensions));
  for (const auto extensions :
       {"x y"sv, "x;"sv, "x;;a"sv, "; a"sv, "x; =1"sv, "x; a="sv, "x; a=1=2"sv, "x; a=1 2"sv,
        "x; a=\""sv, "x; a=\"1"sv, "x; a=\"\""sv, "x; a=\"1\\\""sv, "x; a=\"1\"b"sv, "x; a=(1)"sv,
        "(x)"sv, "y, x;"sv, "\"x\""sv, "caf\xE9"sv}) {
    CAPTURE(extensions);
    check_bad(upgrade.with("Sec-WebSocket-Extensions", extensions), "Sec-WebSocket-Extensions");
  }
}

TEST_CASE("handshake: accepting with a subprotocol that was offered (RFC 6455 section 4.2.2)") {
  const Texts offered{"chat", "superchat"};
  CHECK_FALSE(static_cast<bool>(check_accept({}, offered)));
  CHECK_FALSE(static_cast<bool>(check_accept({}, {})));
  CHECK_FALSE(
      static_cast<bool>(check_accept({.subprotocol = "superchat", .headers = {}}, offered)));
  check_invalid(check_accept({.subprotocol = "other", .headers = {}}, offered), "\"other\"");
  check_invalid(check_accept({.subprotocol = "Chat", .headers = {}}, offered), "did not offer");
  check_invalid(check_accept({.subprotocol = "chat", .headers = {}}, {}), "did not offer");
}

TEST_CASE("handshake: accepting with headers") {
  const auto checked_with = [](const Header& header) {
    return check_accept({.subprotocol = {}, .headers = {{"Set-Cookie", "a=b"}, header}}, {});
  };
  CHECK_FALSE(static_cast<bool>(checked_with({"Set-Cookie", "c=\tcaf\xE9"})));
  CHECK_FALSE(static_cast<bool>(checked_with({"X-Empty", ""})));
  for (const auto& header : injections)
    check_invalid(checked_with(header), "no token, or a control");
  for (const auto name :
       {"Upgrade"sv, "Connection"sv, "Sec-WebSocket-Accept"sv, "Sec-WebSocket-Protocol"sv,
        "sec-websocket-EXTENSIONS"sv, "Content-Length"sv, "Transfer-Encoding"sv}) {
    check_invalid(checked_with({name, "x"}), "written by timtow");
    check_invalid(checked_with({name, "x"}), name);
  }
}

TEST_CASE("handshake: replies") {
  CHECK_FALSE(static_cast<bool>(check_reply({})));
  CHECK_FALSE(static_cast<bool>(check_reply({.status = 599, .body = "\r\n", .headers = {}})));
  for (const int status : {200, 204, 299, 401, 599})
    CHECK_FALSE(static_cast<bool>(check_reply({.status = status, .body = {}, .headers = {}})));
  for (const int status : {-1, 0, 99, 100, 101, 199, 600, 1000, 10000})
    check_invalid(check_reply({.status = status, .body = {}, .headers = {}}),
                  std::to_string(status));

  const auto checked_with = [](const Header& header) {
    return check_reply({.status = 200, .body = "x", .headers = {{"X-Fine", "a"}, header}});
  };
  CHECK_FALSE(static_cast<bool>(checked_with({"Content-Type", "text/html"})));
  CHECK_FALSE(static_cast<bool>(checked_with({"Sec-WebSocket-Version", "13"})));
  for (const auto& header : injections)
    check_invalid(checked_with(header), "no token, or a control");
  for (const auto name : {"connection"sv, "Content-Length"sv, "transfer-encoding"sv})
    check_invalid(checked_with({name, "x"}), "written by timtow");
}

TEST_CASE("handshake: the bytes of a 101 response (RFC 6455 section 4.2.2 item 5)") {
  CHECK(format_accept({}, key) ==
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        "\r\n");
  const Accept accept{.subprotocol = "chat",
                      .headers = {{"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"}, {"X-Empty", ""}}};
  CHECK(format_accept(accept, key) ==
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        "Sec-WebSocket-Protocol: chat\r\n"
        "Set-Cookie: a=1\r\n"
        "Set-Cookie: b=2\r\n"
        "X-Empty: \r\n"
        "\r\n");
}

TEST_CASE("handshake: the bytes of a reply (RFC 9112 section 4)") {
  CHECK(format_reply({.status = 200, .body = "hello", .headers = {}}) ==
        "HTTP/1.1 200 OK\r\n"
        "Connection: close\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 5\r\n"
        "\r\n"
        "hello");
  CHECK(format_reply({.status = 404, .body = {}, .headers = {}}) ==
        "HTTP/1.1 404 Not Found\r\n"
        "Connection: close\r\n"
        "Content-Length: 0\r\n"
        "\r\n");
  CHECK(format_reply({.status = 200, .body = "<p>", .headers = {{"content-type", "text/html"}}}) ==
        "HTTP/1.1 200 OK\r\n"
        "Connection: close\r\n"
        "content-type: text/html\r\n"
        "Content-Length: 3\r\n"
        "\r\n"
        "<p>");
  CHECK(format_reply({.status = 302, .body = {}, .headers = {{"Location", "/b"}, {"X", "y"}}}) ==
        "HTTP/1.1 302 Found\r\n"
        "Connection: close\r\n"
        "Location: /b\r\n"
        "X: y\r\n"
        "Content-Length: 0\r\n"
        "\r\n");
  CHECK(format_reply({.status = 599, .body = "\r\n\0"sv, .headers = {}}) ==
        "HTTP/1.1 599 Status\r\n"
        "Connection: close\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 3\r\n"
        "\r\n"
        "\r\n\0"s);
}

TEST_CASE("handshake: replies that have no body (RFC 9110 sections 6.4.1 and 8.6)") {
  CHECK(format_reply({.status = 204, .body = "ignored", .headers = {{"X", "y"}}}) ==
        "HTTP/1.1 204 No Content\r\n"
        "Connection: close\r\n"
        "X: y\r\n"
        "\r\n");
  CHECK(format_reply({.status = 304, .body = "ignored", .headers = {}}) ==
        "HTTP/1.1 304 Not Modified\r\n"
        "Connection: close\r\n"
        "\r\n");
}

TEST_CASE("handshake: the bytes of a refusal: its sentence is the body") {
  CHECK(format_refusal({400, make_error(errc::bad_request, "Host is missing")}) ==
        "HTTP/1.1 400 Bad Request\r\n"
        "Connection: close\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 16\r\n"
        "\r\n"
        "Host is missing\n");
  CHECK(format_refusal({405, make_error(errc::method_not_allowed, "x")}) ==
        "HTTP/1.1 405 Method Not Allowed\r\n"
        "Connection: close\r\n"
        "Allow: GET\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 2\r\n"
        "\r\n"
        "x\n");
  CHECK(format_refusal({426, make_error(errc::websocket_version, "x")}) ==
        "HTTP/1.1 426 Upgrade Required\r\n"
        "Connection: close\r\n"
        "Upgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 2\r\n"
        "\r\n"
        "x\n");
}

// -- Client ---------------------------------------------------------------------------------------

TEST_CASE("handshake: the bytes of a client's request (RFC 6455 section 4.1)") {
  const ClientRequest least{.host = "example.org", .subprotocols = {}, .headers = {}};
  CHECK_FALSE(static_cast<bool>(check_client_request(least)));
  CHECK(format_client_request(least, key) ==
        "GET / HTTP/1.1\r\n"
        "Host: example.org\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "\r\n");
  const ClientRequest most{.host = "[::1]:9001",
                           .target = "/chat?room=1",
                           .subprotocols = {"chat", "superchat"},
                           .headers = {{"Origin", "http://a"}, {"Cookie", "b=c"}}};
  CHECK_FALSE(static_cast<bool>(check_client_request(most)));
  CHECK(format_client_request(most, key) ==
        "GET /chat?room=1 HTTP/1.1\r\n"
        "Host: [::1]:9001\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: chat, superchat\r\n"
        "Origin: http://a\r\n"
        "Cookie: b=c\r\n"
        "\r\n");
}

TEST_CASE("handshake: a client's request is one that our server takes") {
  const ClientRequest request{.host = "a:1", .target = "/x", .subprotocols = {"p"}, .headers = {}};
  const std::string head = format_client_request(request, key);
  Request read;
  REQUIRE(parse_request(head, 100, read).status == 0);
  CHECK(check_request(read).status == 0);
  CHECK(read.is_upgrade());
  CHECK(read.subprotocols() == Texts{"p"});
}

TEST_CASE("handshake: what a client must not send") {
  const auto host = [](std::string_view text) {
    return check_client_request({.host = text, .subprotocols = {}, .headers = {}});
  };
  for (const auto text :
       {""sv, "a b"sv, "a\r\nX: y"sv, "a\n"sv, "a/b"sv, "user@a"sv, "::1"sv, "a:b"sv, "caf\xE9"sv})
    check_invalid(host(text), "cannot be sent as Host");

  const auto target = [](std::string_view text) {
    return check_client_request({.host = "a", .target = text, .subprotocols = {}, .headers = {}});
  };
  CHECK_FALSE(static_cast<bool>(target("/~!$&'()*+,;=:@%20?/[]")));
  for (const auto text : {""sv, "chat"sv, "http://a/"sv, "/a b"sv, "/a\r\nX: y"sv, "/a\n"sv,
                          "/\0"sv, "/a#b"sv, "/caf\xE9"sv, "/\x7F"sv, "/\t"sv})
    check_invalid(target(text), "cannot be sent as a target");

  const auto subprotocols = [](Texts texts) {
    return check_client_request({.host = "a", .subprotocols = std::move(texts), .headers = {}});
  };
  CHECK_FALSE(static_cast<bool>(subprotocols({"a", "A", "b"})));
  check_invalid(subprotocols({"a", "b", "a"}), "\"a\" is no token, or named twice");
  check_invalid(subprotocols({""}), "no token");
  check_invalid(subprotocols({"a, b"}), "no token");
  check_invalid(subprotocols({"a\r\nX: y"}), "no token");

  const auto header = [](const Header& added) {
    return check_client_request({.host = "a", .subprotocols = {}, .headers = {{"X", "y"}, added}});
  };
  CHECK_FALSE(static_cast<bool>(header({"Authorization", "Basic eDp5"})));
  for (const auto& injection : injections)
    check_invalid(header(injection), "no token, or a control");
  for (const auto name : {"Host"sv, "Upgrade"sv, "Connection"sv, "Sec-WebSocket-Key"sv,
                          "Sec-WebSocket-Version"sv, "Sec-WebSocket-Protocol"sv,
                          "sec-websocket-extensions"sv, "Content-Length"sv, "Transfer-Encoding"sv})
    check_invalid(header({name, "x"}), "written by timtow");
}

namespace {

const Lines switched{
    {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", accept_key}}};

Error answered(const Lines& lines, const Texts& offered = {}) {
  return check_response({101, "Switching Protocols", lines.headers()}, key, offered);
}

void check_answer(const Lines& lines, const Texts& offered = {}) {
  const Error error = answered(lines, offered);
  CHECK_MESSAGE(!error, error.text);
}

void check_bad_answer(const Lines& lines, std::string_view cause, const Texts& offered = {}) {
  const Error error = answered(lines, offered);
  CHECK(error.code == errc::bad_response);
  CHECK_MESSAGE(contains(error.text, cause), error.text);
}

}  // namespace

TEST_CASE("handshake: responses that complete it (RFC 6455 section 4.1)") {
  check_answer(switched);
  check_answer(switched.changed("Upgrade", "WebSocket"));
  check_answer(switched.changed("Connection", "keep-alive, UPGRADE"));
  check_answer(switched, {"chat"});  // a server need not select one
  check_answer(switched.with("Sec-WebSocket-Protocol", "b"), {"a", "b"});
  check_answer(switched.with("Set-Cookie", "a=b").with("Set-Cookie", "c=d"));
}

TEST_CASE("handshake: another status than 101 rejects it (RFC 6455 section 4.1 item 1)") {
  for (const int status : {100, 102, 200, 301, 401, 403, 426, 500}) {
    const Error error = check_response({status, "So it is", switched.headers()}, key, {});
    CHECK(error.code == errc::rejected);
    CHECK_MESSAGE(contains(error.text, std::to_string(status) + " So it is"), error.text);
  }
}

TEST_CASE("handshake: Upgrade in a response (RFC 6455 section 4.1 item 2)") {
  constexpr auto cause = "does not say Upgrade: websocket";
  check_bad_answer(switched.without("Upgrade"), cause);
  check_bad_answer(switched.changed("Upgrade", "h2c"), cause);
  check_bad_answer(switched.changed("Upgrade", "websocket, h2c"), cause);
  check_bad_answer(switched.changed("Upgrade", ""), cause);
  check_bad_answer(switched.with("Upgrade", "websocket"), cause);
}

TEST_CASE("handshake: Connection in a response (RFC 6455 section 4.1 item 3)") {
  constexpr auto cause = "does not say Connection: Upgrade";
  check_bad_answer(switched.without("Connection"), cause);
  check_bad_answer(switched.changed("Connection", "close"), cause);
  check_bad_answer(switched.changed("Connection", "upgraded"), cause);
}

TEST_CASE("handshake: Sec-WebSocket-Accept in a response (RFC 6455 section 4.1 item 4)") {
  constexpr auto cause = "does not answer our key";
  check_bad_answer(switched.without("Sec-WebSocket-Accept"), cause);
  check_bad_answer(switched.changed("Sec-WebSocket-Accept", ""), cause);
  check_bad_answer(switched.changed("Sec-WebSocket-Accept", key), cause);
  check_bad_answer(switched.changed("Sec-WebSocket-Accept", "S3PPLMBITXAQ9KYGZZHZRBK+XOO="), cause);
  check_bad_answer(switched.changed("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo"), cause);
  check_bad_answer(switched.with("Sec-WebSocket-Accept", accept_key), cause);
}

TEST_CASE("handshake: extensions in a response (RFC 6455 section 4.1 item 5)") {
  constexpr auto cause = "extension that we did not offer";
  check_bad_answer(switched.with("Sec-WebSocket-Extensions", "permessage-deflate"), cause);
  check_bad_answer(switched.with("Sec-WebSocket-Extensions", ""), cause);
}

TEST_CASE("handshake: the subprotocol in a response (RFC 6455 section 4.1 item 6)") {
  constexpr auto cause = "subprotocol that we did not offer";
  check_bad_answer(switched.with("Sec-WebSocket-Protocol", "a"), cause);
  check_bad_answer(switched.with("Sec-WebSocket-Protocol", "c"), cause, {"a", "b"});
  check_bad_answer(switched.with("Sec-WebSocket-Protocol", "A"), cause, {"a", "b"});
  check_bad_answer(switched.with("Sec-WebSocket-Protocol", "a, b"), cause, {"a", "b"});
  check_bad_answer(switched.with("Sec-WebSocket-Protocol", ""), cause, {"a", "b"});
  const Lines two =
      switched.with("Sec-WebSocket-Protocol", "a").with("Sec-WebSocket-Protocol", "a");
  check_bad_answer(two, cause, {"a", "b"});
}

TEST_CASE("handshake: our client takes what our server accepts") {
  const std::string head = format_accept({.subprotocol = "b", .headers = {{"X", "y"}}}, key);
  Response response;
  REQUIRE_FALSE(static_cast<bool>(parse_response(head, 100, response)));
  CHECK_FALSE(static_cast<bool>(check_response(response, key, {"a", "b"})));
  CHECK(check_response(response, "AAAAAAAAAAAAAAAAAAAAAA==", {"a", "b"}).code ==
        errc::bad_response);
}
