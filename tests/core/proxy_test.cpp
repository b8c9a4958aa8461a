// A client's way through a proxy: which one, what it is asked, and what it may answer.
#include "timtow/proxy.hpp"

#include <doctest/doctest.h>

#include <map>
#include <ostream>
#include <string>

using namespace timtow;

namespace {

Proxy proxy(std::string_view text) {
  Proxy read;
  const Error error = Proxy::parse(text, read);
  CHECK_MESSAGE(!error, error.text);
  return read;
}

using Variables = std::map<std::string, std::string>;

// The host of the proxy for this URL; "none", or the error.
std::string chosen(const Variables& variables, std::string_view text) {
  Url url;
  CHECK_FALSE(Url::parse(text, url));
  std::optional<Proxy> read = Proxy{.host = "before"};
  const Error error = proxy_from_environment(
      url,
      [&](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      read);
  return error ? error.text : read ? read->host : "none";
}

// What is made of an answer, whole and byte by byte: "stands" and what is behind it, or the error.
std::string answered(const std::string& bytes) {
  std::string results[2];
  for (const bool whole : {true, false}) {
    ConnectAnswer answer;
    std::error_code error;
    bool stands = false;
    std::size_t at = 0;
    while (at < bytes.size() && !stands && !error) {
      std::size_t used = 0;
      stands = answer.take(as_bytes(bytes).subspan(at, whole ? bytes.size() : 1), used, error);
      if (!stands && !error) CHECK(used == (whole ? bytes.size() : 1));
      at += used;
    }
    results[whole ? 0 : 1] = stands  ? "stands " + bytes.substr(at)
                             : error ? error.message()
                                     : "incomplete";
  }
  CHECK(results[0] == results[1]);
  return results[0];
}

constexpr const char* unreadable = "the proxy gave no answer to CONNECT that can be read";

}  // namespace

TEST_CASE("proxy: host, port, user and password") {
  CHECK(proxy("http://proxy.example:3128").host == "proxy.example");
  CHECK(proxy("http://proxy.example:3128").port == 3128);
  CHECK(proxy("http://proxy.example").port == 80);
  CHECK(proxy("HTTP://proxy.example/").host == "proxy.example");
  CHECK(proxy("proxy.example:3128").port == 3128);
  CHECK(proxy("http://[::1]:3128").host == "::1");
  CHECK(proxy("http://proxy.example").credentials.empty());
  CHECK(proxy("http://user:word@proxy.example").credentials == "user:word");
  CHECK(proxy("user:word@proxy.example").host == "proxy.example");
  CHECK(proxy("http://user@proxy.example").credentials == "user:");
  CHECK(proxy("http://u%40x:w%3Ao%2Fr%25@proxy.example").credentials == "u@x:w:o/r%");
  CHECK(proxy("http://user:a:b@c@proxy.example").credentials == "user:a:b@c");
}

TEST_CASE("proxy: what is none is refused, and its password is not repeated") {
  const auto refused = [](std::string_view text) {
    Proxy read{.host = "before"};
    const Error error = Proxy::parse(text, read);
    CHECK(error.code == errc::bad_address);
    CHECK(read.host == "before");
    CHECK(error.text.find("secret") == std::string::npos);
    return error.text;
  };
  for (const char* text : {"https://secret@proxy", "socks5://secret@proxy:1080", "ftp://proxy"})
    CHECK(refused(text).starts_with("a proxy is spoken to by http:// and nothing else: "));
  for (const char* text : {"", "http://", "http://secret@", "http://a/b", "http://a?b", "a:0",
                           "a:b", "[::1", "http://secret:a b@c d", "http://a\r\nX: y"})
    CHECK(refused(text).starts_with("the proxy is not a host and a port: "));
  for (const char* text : {"secret%4@a", "secret%@a", "secret:%zz@a", "secret:%4@a"})
    CHECK(refused(text).starts_with("the proxy's user or password is not percent-encoded: "));
  CHECK(refused("secret%3Ax:y@a").starts_with("the proxy's user has a colon: "));
}

TEST_CASE("proxy: the environment names one for each scheme, or for all") {
  CHECK(chosen({}, "ws://a/") == "none");
  CHECK(chosen({{"http_proxy", "p"}}, "ws://a/") == "p");
  CHECK(chosen({{"http_proxy", "p"}}, "wss://a/") == "none");
  CHECK(chosen({{"https_proxy", "p"}}, "wss://a/") == "p");
  CHECK(chosen({{"https_proxy", "p"}}, "ws://a/") == "none");
  CHECK(chosen({{"all_proxy", "p"}}, "ws://a/") == "p");
  CHECK(chosen({{"all_proxy", "p"}, {"https_proxy", "q"}}, "wss://a/") == "q");
  CHECK(chosen({{"all_proxy", "p"}, {"https_proxy", ""}}, "wss://a/") == "p");
  CHECK(chosen({{"HTTPS_PROXY", "p"}}, "wss://a/") == "p");
  CHECK(chosen({{"ALL_PROXY", "p"}}, "wss://a/") == "p");
  CHECK(chosen({{"HTTPS_PROXY", "p"}, {"https_proxy", "q"}}, "wss://a/") == "q");
  CHECK(chosen({{"HTTP_PROXY", "p"}}, "ws://a/") == "none");  // of a request, perhaps
  CHECK(chosen({{"http_proxy", "socks5://p"}}, "ws://a/")
            .starts_with("a proxy is spoken to by http:// and nothing else: "));
}

TEST_CASE("proxy: no_proxy excepts names and what is below them, addresses, networks, ports") {
  const auto is_excepted = [](const char* list, const char* url) {
    return chosen({{"all_proxy", "p"}, {"no_proxy", list}}, url) == "none";
  };
  for (const char* list : {"*", "example.org", ".example.org", "*.example.org", "EXAMPLE.ORG",
                           "a,example.org", "a b, \texample.org", "example.org:80", "org"})
    CHECK_MESSAGE(is_excepted(list, "ws://www.example.org/"), list);
  for (const char* list : {"", ",", "www", "ample.org", "www.example.org.", "example.org:81",
                           "example.org:", "x.www.example.org", "192.0.2.0/24", ".", ":80"})
    CHECK_FALSE_MESSAGE(is_excepted(list, "ws://www.example.org/"), list);
  CHECK(is_excepted("example.org", "ws://example.org/"));
  // With bits behind the prefix, as others take it.
  CHECK(is_excepted("10.1.2.3/8", "ws://10.9.9.9/"));
  CHECK_FALSE(is_excepted("10.1.2.3/8", "ws://11.9.9.9/"));
  CHECK(is_excepted("2001:db8::1/32", "ws://[2001:db8:7::1]/"));
  CHECK(is_excepted("example.org", "ws://example.org./"));
  CHECK(is_excepted("example.org:443", "wss://example.org/"));
  CHECK(is_excepted("192.0.2.0/24", "ws://192.0.2.9/"));
  CHECK(is_excepted("192.0.2.9:81", "ws://192.0.2.9:81/"));
  CHECK_FALSE(is_excepted("2.9", "ws://192.0.2.9/"));
  CHECK_FALSE(is_excepted("192.0.2.8", "ws://192.0.2.9/"));
  CHECK(is_excepted("2001:db8::/32", "ws://[2001:db8::1]/"));
  CHECK(is_excepted("::1", "ws://[::1]:81/"));
  CHECK(is_excepted("[::1]", "ws://[::1]/"));
  CHECK(is_excepted("[::1]:81", "ws://[::1]:81/"));
  CHECK_FALSE(is_excepted("[::1]:82", "ws://[::1]:81/"));
  CHECK(chosen({{"all_proxy", "p"}, {"NO_PROXY", "*"}}, "ws://a/") == "none");
}

TEST_CASE("proxy: what asks for a tunnel names host and port, whatever they are") {
  const auto request = [](const char* proxy_text, const char* text) {
    Url url;
    CHECK_FALSE(Url::parse(text, url));
    return format_connect(proxy(proxy_text), url);
  };
  CHECK(request("p", "ws://example.org/x") ==
        "CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\n\r\n");
  CHECK(request("p", "wss://[2001:db8::1]") ==
        "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n");
  CHECK(request("http://Aladdin:open%20sesame@p", "ws://a:81") ==
        "CONNECT a:81 HTTP/1.1\r\nHost: a:81\r\n"
        "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
}

TEST_CASE("proxy: an answer of 200 to 299 is a tunnel, and what is behind it is the server's") {
  CHECK(answered("HTTP/1.1 200 Connection established\r\n\r\n") == "stands ");
  CHECK(answered("HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\nHTTP/1.1 101") == "stands HTTP/1.1 101");
  CHECK(answered("HTTP/1.1 299\r\nContent-Length: 5\r\n\r\n\x81") == "stands \x81");
  CHECK(answered("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx") == "stands x");
  CHECK(answered("HTTP/1.1 200 OK\r\n") == "incomplete");
  CHECK(answered("HTTP/1.1 200 OK\r\nX: " + std::string(15'000, 'x') + "\r\n\r\n") == "stands ");
}

TEST_CASE("proxy: any other answer is an error with its status, or one that cannot be read") {
  CHECK(answered("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nno\n") ==
        "the proxy answered 407: it wants another user and password, as in "
        "http://user:word@proxy:3128");
  CHECK(answered("HTTP/1.1 403 Forbidden\r\n\r\n") ==
        "the proxy answered 403: it does not allow this server, or its port");
  CHECK(answered("HTTP/1.1 405 x\r\n\r\n") == "the proxy answered 405: it knows no CONNECT");
  CHECK(answered("HTTP/1.0 502 x\r\n\r\n") == "the proxy answered 502: it cannot reach the server");
  CHECK(answered("HTTP/1.1 302 x\r\nLocation: /\r\n\r\n") == "the proxy answered 302 to CONNECT");
  CHECK(answered("SSH-2.0-OpenSSH\r\n\r\n") == unreadable);
  CHECK(answered("HTTP/1.1 20 x\r\n\r\n") == unreadable);
  CHECK(answered("HTTP/2 200\r\n\r\n") == unreadable);
  CHECK(answered("HTTP/1.1 200 OK\n\n") == unreadable);
  CHECK(answered("HTTP/1.1 200 OK\r\nno colon\r\n\r\n") == unreadable);
  CHECK(answered("HTTP/1.1 200 OK\r\nX: " + std::string(17'000, 'x') + "\r\n\r\n") == unreadable);
  CHECK(answered("\r\n\r\n") == unreadable);
}
