#include <doctest/doctest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "timtow/http.hpp"

using namespace timtow;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

using Texts = std::vector<std::string_view>;

constexpr std::size_t enough = 100;

Request request_of(std::string_view head) {
  Request request;
  const Refusal refusal = parse_request(head, enough, request);
  INFO(refusal.error.text);
  REQUIRE_FALSE(static_cast<bool>(refusal));
  return request;
}

Refusal refusal_of(std::string_view head, std::size_t max_headers = enough) {
  Request request;
  return parse_request(head, max_headers, request);
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Checks that the head is refused with 400 and a sentence that holds `cause`.
void check_malformed(std::string_view head, std::string_view cause) {
  CAPTURE(head);
  const Refusal refusal = refusal_of(head);
  CHECK(refusal.status == 400);
  CHECK(refusal.error.code == errc::bad_request);
  CHECK_MESSAGE(contains(refusal.error.text, cause), refusal.error.text);
}

Request with_target(std::string_view target) { return {"GET", target, {}}; }

Request from_page(std::string_view origin, std::string_view host) {
  return {"GET", "/", Headers{{{"Host", host}, {"Origin", origin}}}};
}

}  // namespace

TEST_CASE("http: equal_ignoring_case folds ASCII letters and nothing else") {
  CHECK(equal_ignoring_case("", ""));
  CHECK(equal_ignoring_case("WebSocket", "wEBsOCKET"));
  CHECK(equal_ignoring_case("azAZ", "AZaz"));
  CHECK_FALSE(equal_ignoring_case("a", "aa"));
  CHECK_FALSE(equal_ignoring_case("aa", "a"));
  CHECK_FALSE(equal_ignoring_case("a", ""));
  CHECK_FALSE(equal_ignoring_case("@", "`"));
  CHECK_FALSE(equal_ignoring_case("[", "{"));
  CHECK_FALSE(equal_ignoring_case("\xC4", "\xE4"));
}

TEST_CASE("http: tokens (RFC 9110 section 5.6.2)") {
  constexpr auto allowed =
      "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"sv;
  CHECK(is_token(allowed));
  CHECK_FALSE(is_token(""));
  for (int c = 0; c < 256; ++c) {
    const std::string text(1, static_cast<char>(c));
    CHECK_MESSAGE(is_token(text) == contains(allowed, text), c);
    CHECK_MESSAGE(is_token("a" + text + "b") == contains(allowed, text), c);
  }
}

TEST_CASE("http: values of headers (RFC 9110 section 5.5)") {
  CHECK(is_header_value(""));
  for (int c = 0; c < 256; ++c) {
    const std::string text = std::string("a") + static_cast<char>(c) + "b";
    const bool allowed = c == '\t' || (c >= 0x20 && c != 0x7F);
    CHECK_MESSAGE(is_header_value(text) == allowed, c);
  }
}

TEST_CASE("http: a request (RFC 9112 section 3)") {
  const Request request = request_of(
      "GET /chat?room=1 HTTP/1.1\r\n"
      "Host: example.org\r\n"
      "X-Empty:\r\n"
      "X-Spaces: \t a b \t \r\n"
      "x-latin:caf\xE9\r\n"
      "X-Colon: a:b\r\n"
      "!#$%&'*+-.^_`|~1aZ: odd name\r\n"
      "\r\n");
  CHECK(request.method == "GET");
  CHECK(request.target == "/chat?room=1");
  CHECK(request.headers.size() == 6);
  CHECK(request.headers["host"] == "example.org");
  CHECK(request.headers.has("x-empty"));
  CHECK(request.headers["X-Empty"].empty());
  CHECK(request.headers["X-Spaces"] == "a b");
  CHECK(request.headers["X-Latin"] == "caf\xE9");
  CHECK(request.headers["X-Colon"] == "a:b");
  CHECK(request.headers["!#$%&'*+-.^_`|~1aZ"] == "odd name");
  CHECK(request.headers["missing"].empty());
  CHECK_FALSE(request.headers.has("missing"));
  CHECK(request.headers.begin()->name == "Host");
}

TEST_CASE("http: a request without headers") {
  const Request request = request_of("OPTIONS * HTTP/1.1\r\n\r\n");
  CHECK(request.method == "OPTIONS");
  CHECK(request.target == "*");
  CHECK(request.headers.size() == 0);
}

TEST_CASE("http: malformed request lines (RFC 9112 section 3)") {
  check_malformed("\r\n", "request line is empty");
  check_malformed("GET\r\n\r\n", "not \"method target version\"");
  check_malformed("GET /\r\n\r\n", "not \"method target version\"");
  check_malformed("GET HTTP/1.1\r\n\r\n", "not \"method target version\"");
  check_malformed(" GET / HTTP/1.1\r\n\r\n", "method is not a token");
  check_malformed("G(T / HTTP/1.1\r\n\r\n", "method is not a token");
  check_malformed("GET\t/ HTTP/1.1\r\n\r\n", "not \"method target version\"");
  check_malformed("GET  / HTTP/1.1\r\n\r\n", "target is not a URI");
  check_malformed("GET  HTTP/1.1\r\n\r\n", "target is not a URI");
  check_malformed("GET /a b HTTP/1.1\r\n\r\n", "target is not a URI");
  check_malformed("GET /a\tb HTTP/1.1\r\n\r\n", "target is not a URI");
  check_malformed("GET /caf\xE9 HTTP/1.1\r\n\r\n", "target is not a URI");
  check_malformed("GET /\x7F HTTP/1.1\r\n\r\n", "target is not a URI");
  check_malformed("GET /a#b HTTP/1.1\r\n\r\n", "target is not a URI");
  check_malformed("GET / HTTP/1.1 \r\n\r\n", "target is not a URI");
  check_malformed("GET / HTTP/1.10\r\n\r\n", "HTTP version");
  check_malformed("GET / HTTP/11\r\n\r\n", "HTTP version");
  check_malformed("GET / HTTP/1,1\r\n\r\n", "HTTP version");
  check_malformed("GET / HTTP/a.1\r\n\r\n", "HTTP version");
  check_malformed("GET / HTTP/1.a\r\n\r\n", "HTTP version");
  check_malformed("GET / http/1.1\r\n\r\n", "HTTP version");
  check_malformed("GET / HTTQ/1.1\r\n\r\n", "HTTP version");
  check_malformed("GET / \r\n\r\n", "HTTP version");
}

TEST_CASE("http: other versions than 1.1 are answered 505 (RFC 9110 section 15.6.6)") {
  for (const auto version : {"HTTP/1.0"sv, "HTTP/0.9"sv, "HTTP/2.0"sv, "HTTP/1.2"sv}) {
    const Refusal refusal = refusal_of("GET / " + std::string{version} + "\r\nHost: a\r\n\r\n");
    CHECK(refusal.status == 505);
    CHECK(refusal.error.code == errc::http_version);
    CHECK_MESSAGE(contains(refusal.error.text, version), refusal.error.text);
  }
}

TEST_CASE("http: malformed headers (RFC 9112 section 5)") {
  const auto with = [](std::string_view line) {
    return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string{line} + "\r\n\r\n";
  };
  check_malformed(with(" folded"), "is folded onto");
  check_malformed(with("\tfolded"), "is folded onto");
  check_malformed(with(" X: folded"), "is folded onto");
  check_malformed("GET / HTTP/1.1\r\n Host: a\r\n\r\n", "is folded onto");
  check_malformed(with("no colon"), "no colon");
  check_malformed(with(": no name"), "not a token");
  check_malformed(with("X : space before the colon"), "not a token");
  check_malformed(with("X\t: tab before the colon"), "not a token");
  check_malformed(with("X Y: space in the name"), "not a token");
  check_malformed(with("X(Y): parentheses"), "not a token");
  check_malformed(with("\"X\": quotes"), "not a token");
  check_malformed(with("caf\xE9: latin"), "not a token");
}

TEST_CASE("http: a sentence repeats at most 64 characters of a peer's line") {
  const std::string line(1000, 'x');
  const Refusal refusal = refusal_of("GET / HTTP/1.1\r\n" + line + "\r\n\r\n");
  CHECK(contains(refusal.error.text, line.substr(0, 64)));
  CHECK_FALSE(contains(refusal.error.text, line.substr(0, 65)));
}

TEST_CASE("http: as many headers as allowed and one more (RFC 6585 section 5)") {
  for (const std::size_t allowed : {0U, 1U, 2U, 100U}) {
    std::string head = "GET / HTTP/1.1\r\n";
    for (std::size_t i = 0; i < allowed; ++i) head += "X: y\r\n";
    CHECK_FALSE(static_cast<bool>(refusal_of(head + "\r\n", allowed)));
    const Refusal refusal = refusal_of(head + "X: y\r\n\r\n", allowed);
    CHECK(refusal.status == 431);
    CHECK(refusal.error.code == errc::handshake_too_large);
    CHECK(contains(refusal.error.text, "Limits::handshake_headers"));
    CHECK(contains(refusal.error.text, std::to_string(allowed)));
  }
}

TEST_CASE("http: headers of one name (RFC 9110 section 5.3)") {
  const Headers headers{{{"A", "1"}, {"b", "x"}, {"a", "2"}}};
  CHECK(headers.count("a") == 2);
  CHECK(headers.count("A") == 2);
  CHECK(headers.count("B") == 1);
  CHECK(headers.count("c") == 0);
  CHECK(headers["a"] == "1");
  CHECK(headers.list("a") == Texts{"1", "2"});
}

TEST_CASE("http: lists (RFC 9110 section 5.6.1)") {
  const auto list = [](std::string_view value) { return Headers{{{"L", value}}}.list("l"); };
  CHECK(list("") == Texts{});
  CHECK(list("a") == Texts{"a"});
  CHECK(list("a,b , c\t,\td") == Texts{"a", "b", "c", "d"});
  CHECK(list(",, a ,,\t, b,") == Texts{"a", "b"});
  CHECK(list(" , ") == Texts{});
  CHECK(list("a b, c") == Texts{"a b", "c"});
  CHECK(list(R"(x="a,b", c)") == Texts{R"(x="a,b")", "c"});
  CHECK(list(R"(x="a\",b", c)") == Texts{R"(x="a\",b")", "c"});
  CHECK(list(R"(x="a\\", c)") == Texts{R"(x="a\\")", "c"});
  CHECK(list(R"(x="never, closed)") == Texts{R"(x="never, closed)"});
  CHECK(list(R"(x="never\)") == Texts{R"(x="never\)"});
  CHECK(list(R"(a\,b)") == Texts{R"(a\)", "b"});  // a backslash quotes in quoted strings only
  const Headers several{{{"L", "a, b"}, {"M", "x"}, {"l", ""}, {"l", "c"}}};
  CHECK(several.list("L") == Texts{"a", "b", "c"});
  CHECK(several.list("N").empty());
}

TEST_CASE("http: tokens in a list are compared whole and in any case (RFC 9110 section 7.6.1)") {
  const Headers headers{{{"Connection", "keep-alive, Upgrade"}, {"Connection", "TE"}}};
  CHECK(headers.has_token("connection", "upgrade"));
  CHECK(headers.has_token("Connection", "UPGRADE"));
  CHECK(headers.has_token("Connection", "te"));
  CHECK_FALSE(headers.has_token("Connection", "close"));
  CHECK_FALSE(headers.has_token("Connection", "alive"));
  CHECK_FALSE(headers.has_token("Upgrade", "upgrade"));
  CHECK_FALSE(Headers{{{"Connection", "upgraded"}}}.has_token("Connection", "upgrade"));
  CHECK_FALSE(Headers{{{"Connection", "not upgrade"}}}.has_token("Connection", "upgrade"));
  CHECK_FALSE(Headers{{{"Connection", "\"upgrade\""}}}.has_token("Connection", "upgrade"));
}

TEST_CASE("http: path and query of a target (RFC 9112 section 3.2)") {
  struct Case {
    std::string_view target, path, query;
  };
  const Case cases[] = {
      {"/", "/", ""},
      {"/chat", "/chat", ""},
      {"/chat?", "/chat", ""},
      {"/chat?room=1&x=?", "/chat", "room=1&x=?"},
      {"/a%20b//c", "/a%20b//c", ""},
      {"//two", "//two", ""},
      {"/to?http://a/b", "/to", "http://a/b"},
      {"/x://y/z", "/x://y/z", ""},
      {"http://example.org", "/", ""},
      {"http://example.org/", "/", ""},
      {"http://example.org:80/chat?room=1", "/chat", "room=1"},
      {"HTTPS://example.org?room=1", "/", "room=1"},
      {"http://a?u=http://b/c", "/", "u=http://b/c"},
      {"*", "*", ""},
      {"example.org:443", "example.org:443", ""},
      {"chat?u=http://b/c", "chat", "u=http://b/c"},
      {"://a/b", "://a/b", ""},
      {"", "", ""},
  };
  for (const Case& each : cases) {
    CAPTURE(each.target);
    CHECK(with_target(each.target).path() == each.path);
    CHECK(with_target(each.target).query() == each.query);
  }
}

TEST_CASE("http: the host is the target's when it names one (RFC 9112 section 3.2.2)") {
  const auto host = [](std::string_view target) {
    const Headers headers{{{"Host", "header:1"}}};
    return std::string{Request{"GET", target, headers}.host()};
  };
  CHECK(host("/") == "header:1");
  CHECK(host("/http://target/") == "header:1");
  CHECK(host("http://target:2/") == "target:2");
  CHECK(host("http://target?x") == "target");
  CHECK(host("http:///") == "");
  CHECK(with_target("/").host().empty());
}

TEST_CASE("http: cookies (RFC 6265 section 4.2)") {
  const Request request{"GET", "/",
                        Headers{{{"Cookie", "a=1; b=two;c=; d=x=y;  e=\"q\" ;f"},
                                 {"Cookies", "z=1"},
                                 {"cookie", "g=7; a=8"}}}};
  CHECK(request.cookie("a") == "1");
  CHECK(request.cookie("b") == "two");
  CHECK(request.cookie("c").empty());
  CHECK(request.cookie("d") == "x=y");
  CHECK(request.cookie("e") == "\"q\"");
  CHECK(request.cookie("f").empty());
  CHECK(request.cookie("g") == "7");
  CHECK(request.cookie("A").empty());  // names have case
  CHECK(request.cookie("z").empty());
  CHECK(request.cookie("").empty());
  CHECK(Request{}.cookie("a").empty());
  CHECK(Request{"GET", "/", Headers{{{"Cookie", ";;"}}}}.cookie("a").empty());
}

TEST_CASE("http: an upgrade names websocket in any case (RFC 6455 section 4.2.1)") {
  const auto is_upgrade = [](std::vector<Header> headers) {
    return Request{"GET", "/", Headers{std::move(headers)}}.is_upgrade();
  };
  CHECK(is_upgrade({{"Upgrade", "websocket"}}));
  CHECK(is_upgrade({{"upgrade", "WebSocket"}}));
  CHECK(is_upgrade({{"Upgrade", "h2c, websocket"}}));
  CHECK(is_upgrade({{"Upgrade", "h2c"}, {"Upgrade", "websocket"}}));
  CHECK_FALSE(is_upgrade({}));
  CHECK_FALSE(is_upgrade({{"Upgrade", "h2c"}}));
  CHECK_FALSE(is_upgrade({{"Upgrade", "websocket2"}}));
  CHECK_FALSE(is_upgrade({{"Connection", "websocket"}}));
}

TEST_CASE("http: what a client offers, in its order (RFC 6455 section 4.2.1)") {
  const Request request{"GET", "/",
                        Headers{{{"Sec-WebSocket-Protocol", "chat, superchat"},
                                 {"sec-websocket-protocol", "b"},
                                 {"Sec-WebSocket-Extensions", "x; a=\"1,2\", y"}}}};
  CHECK(request.subprotocols() == Texts{"chat", "superchat", "b"});
  CHECK(request.extensions() == Texts{"x; a=\"1,2\"", "y"});
}

TEST_CASE("http: same origin (RFC 6454 section 5 and RFC 6455 section 10.2)") {
  const auto same = [](std::string_view origin, std::string_view host) {
    return from_page(origin, host).is_same_origin();
  };
  CHECK(Request{"GET", "/", Headers{{{"Host", "a"}}}}.is_same_origin());  // no browser

  CHECK(same("http://example.org", "example.org"));
  CHECK(same("https://example.org", "example.org"));
  CHECK(same("HTTP://Example.org", "eXample.ORG"));
  CHECK(same("http://example.org:9001", "example.org:9001"));
  CHECK(same("http://[::1]:9001", "[::1]:9001"));
  CHECK_FALSE(same("http://evil.org", "example.org"));
  CHECK_FALSE(same("http://example.org.evil.org", "example.org"));
  CHECK_FALSE(same("http://evil-example.org", "example.org"));
  CHECK_FALSE(same("http://example.org:9001", "example.org"));
  CHECK_FALSE(same("http://example.org", "example.org:9001"));
  CHECK_FALSE(same("http://example.org:9001", "example.org:9002"));
  CHECK_FALSE(same("http://example.org@evil.org", "example.org"));
  CHECK_FALSE(same("http://evil.org/example.org", "example.org"));

  // The default port may be written or not.
  CHECK(same("http://example.org:80", "example.org"));
  CHECK(same("http://example.org", "example.org:80"));
  CHECK(same("http://example.org:80", "example.org:80"));
  CHECK(same("https://example.org", "example.org:443"));
  CHECK(same("https://example.org:443", "example.org"));
  CHECK(same("http://[::1]", "[::1]:80"));
  CHECK_FALSE(same("http://example.org", "example.org:443"));
  CHECK_FALSE(same("http://example.org:443", "example.org"));
  CHECK_FALSE(same("https://example.org", "example.org:80"));
  CHECK_FALSE(same("https://example.org:80", "example.org"));
  CHECK_FALSE(same("http://example.org", "example.org:8080"));
  CHECK_FALSE(same("http://[fe80::80]", "[fe80:]"));

  // What is no page of a host.
  CHECK_FALSE(same("null", "null"));
  CHECK_FALSE(same("", "example.org"));
  CHECK_FALSE(same("example.org", "example.org"));
  CHECK_FALSE(same("://example.org", "example.org"));
  CHECK_FALSE(same("file://example.org", "example.org"));
  CHECK_FALSE(same("chrome-extension://example", "example"));
  CHECK_FALSE(same("http://", ""));
  CHECK_FALSE(same("http://example.org/", "example.org"));
  CHECK_FALSE(same("http://example.org http://evil.org", "example.org"));

  const Headers two{{{"Host", "a"}, {"Origin", "http://a"}}};
  CHECK_FALSE(Request{"GET", "http://b/", two}.is_same_origin());
}

TEST_CASE("http: a response (RFC 9112 section 4)") {
  Response response;
  REQUIRE_FALSE(static_cast<bool>(parse_response(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", enough, response)));
  CHECK(response.status == 101);
  CHECK(response.reason == "Switching Protocols");
  CHECK(response.headers["upgrade"] == "websocket");
  for (const auto line : {"HTTP/1.1 404"sv, "HTTP/1.1 404 "sv}) {
    const std::string head = std::string{line} + "\r\n\r\n";
    REQUIRE_FALSE(static_cast<bool>(parse_response(head, enough, response)));
    CHECK(response.status == 404);
    CHECK(response.reason.empty());
    CHECK(response.headers.size() == 0);
  }
  REQUIRE_FALSE(
      static_cast<bool>(parse_response("HTTP/1.1 599 d\xE9j\xE0 vu\r\n\r\n", enough, response)));
  CHECK(response.status == 599);
  CHECK(response.reason == "d\xE9j\xE0 vu");
}

TEST_CASE("http: malformed responses (RFC 9112 section 4)") {
  for (const auto line : {""sv,
                          "HTTP/1.1"sv,
                          "HTTP/1.1 "sv,
                          "HTTP/1.1 10"sv,
                          "HTTP/1.1 1011"sv,
                          "HTTP/1.1 101x"sv,
                          "HTTP/1.1  101"sv,
                          "HTTP/1.1 x01 OK"sv,
                          "HTTP/1.1 1x1 OK"sv,
                          "HTTP/1.1 10x OK"sv,
                          "HTTP/1.1 000 OK"sv,
                          "HTTP/1.1 099 OK"sv,
                          "HTTP/1.0 101 OK"sv,
                          "HTTP/2.0 101 OK"sv,
                          "HTTP/1.2 101 OK"sv,
                          "http/1.1 101 OK"sv,
                          " HTTP/1.1 101 OK"sv,
                          "HTTP/1.1\t101 OK"sv,
                          "ICY 200 OK, listen"sv,
                          "SSH-2.0-OpenSSH_9.2p1"sv}) {
    CAPTURE(line);
    Response response;
    const Error error = parse_response(std::string{line} + "\r\n\r\n", enough, response);
    CHECK(error.code == errc::bad_response);
    CHECK_MESSAGE(contains(error.text, "not an HTTP/1.1 status line"), error.text);
  }
  Response response;
  const Error folded = parse_response("HTTP/1.1 101 OK\r\nA: b\r\n c\r\n\r\n", enough, response);
  CHECK(folded.code == errc::bad_response);
  CHECK(contains(folded.text, "folded"));
  const Error many = parse_response("HTTP/1.1 101 OK\r\nA: b\r\nC: d\r\n\r\n", 1, response);
  CHECK(many.code == errc::handshake_too_large);
}

TEST_CASE("http: reason phrases") {
  CHECK(reason_phrase(101) == "Switching Protocols");
  CHECK(reason_phrase(426) == "Upgrade Required");
  CHECK(reason_phrase(431) == "Request Header Fields Too Large");
  CHECK(reason_phrase(299) == "Status");
  for (int status = 0; status < 1000; ++status) CHECK(is_header_value(reason_phrase(status)));
}

namespace {

struct Scan {
  HeadScanner::Result result;
  std::size_t scanned;

  bool operator==(const Scan&) const = default;
};

// Scans `text` as it grows to each of the sizes and then to its whole; stops when the end is found.
Scan scan(std::string_view text, const std::vector<std::size_t>& sizes = {}) {
  HeadScanner scanner;
  auto result = HeadScanner::Result::incomplete;
  for (const std::size_t size : sizes) {
    result = scanner.scan(text.substr(0, size));
    if (result != HeadScanner::Result::incomplete) return {result, scanner.scanned()};
    CHECK(scanner.scanned() == size);  // a byte that was looked at is not looked at again
  }
  result = scanner.scan(text);
  return {result, scanner.scanned()};
}

constexpr auto complete = HeadScanner::Result::complete;
constexpr auto incomplete = HeadScanner::Result::incomplete;
constexpr auto bad = HeadScanner::Result::bad;

struct ScanCase {
  std::string_view text;
  Scan wanted;
};

const ScanCase scan_cases[] = {
    {"", {incomplete, 0}},
    {"\r\n", {complete, 2}},
    {"G", {incomplete, 1}},
    {"GET / HTTP/1.1\r\n\r\n", {complete, 18}},
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\nbehind \n\0 it"sv, {complete, 27}},
    {"GET / HTTP/1.1\r\n\r", {incomplete, 17}},
    {"GET / HTTP/1.1\r\nA: b\r\n", {incomplete, 22}},
    {"a\tb\xE9\xFF\x80\r\n\r\n", {complete, 10}},
    {"a\nb", {bad, 1}},
    {"\n", {bad, 0}},
    {"a\r\n\n", {bad, 3}},
    {"a\rb", {bad, 2}},
    {"a\r\r\n", {bad, 2}},
    {"a\r\n\rb", {bad, 4}},
    {"a\r\n\r\r\n", {bad, 4}},
    {"ab\0c"sv, {bad, 2}},
    {"abc\x7F", {bad, 3}},
    {"abc\x1F", {bad, 3}},
    {"abc\x0B", {bad, 3}},
    {"\x1B[31m", {bad, 0}},
    {"\x16\x03\x01\x02", {bad, 0}},  // TLS to a port that speaks none
};

}  // namespace

TEST_CASE("http: the scanner finds the end of a head and bad bytes (RFC 9112 section 2.2)") {
  for (const ScanCase& each : scan_cases) {
    CAPTURE(each.text);
    const std::string_view text = each.text;
    const Scan wanted = each.wanted;
    const Scan whole = scan(text);
    CHECK(static_cast<int>(whole.result) == static_cast<int>(wanted.result));
    CHECK(whole.scanned == wanted.scanned);
  }
}

TEST_CASE("http: the scanner gives the same at every split and byte by byte") {
  for (const ScanCase& each : scan_cases) {
    CAPTURE(each.text);
    const std::string_view text = each.text;
    const Scan wanted = each.wanted;
    std::vector<std::size_t> every;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      CHECK(scan(text, {i}) == wanted);
      CHECK(scan(text, {i, i}) == wanted);
      for (std::size_t j = i; j <= text.size(); ++j) CHECK(scan(text, {i, j}) == wanted);
      every.push_back(i);
    }
    CHECK(scan(text, every) == wanted);
  }
}

TEST_CASE("http: the scanner refuses every control character but tab, CR and LF") {
  for (int c = 0; c < 256; ++c) {
    const std::string text = std::string("ab") + static_cast<char>(c);
    const bool is_bad = c == 0x7F || c == '\n' || (c < 0x20 && c != '\t' && c != '\r');
    const Scan wanted = is_bad ? Scan{bad, 2} : Scan{incomplete, 3};
    CHECK_MESSAGE(scan(text) == wanted, c);
  }
}

TEST_CASE("http: the scanner stays at a bad byte") {
  HeadScanner scanner;
  CHECK(scanner.scan("ab\n") == HeadScanner::Result::bad);
  CHECK(scanner.scan("ab\ncd\r\n\r\n") == HeadScanner::Result::bad);
  CHECK(scanner.scanned() == 2);
}

// Otherwise a head that comes byte by byte would cost the square of its size.
TEST_CASE("http: the scanner looks at each byte once") {
  HeadScanner scanner;
  CHECK(scanner.scan("GET / HTTP/1.1\r\nHost") == HeadScanner::Result::incomplete);
  const std::string overwritten(20, '\0');
  CHECK(scanner.scan(overwritten + ": a\r\n\r") == HeadScanner::Result::incomplete);
  CHECK(scanner.scan(overwritten + "\0\0\0\0\0\0\n"s) == HeadScanner::Result::complete);
  CHECK(scanner.scanned() == 27);
}
