// Heads that are made to cost much, or to say more than they seem to (RFC 6455 section 4).
#include <doctest/doctest.h>

#include <functional>

#include "support/allocation.hpp"
#include "support/harness.hpp"
#include "timtow/cookie.hpp"
#include "timtow/url.hpp"

namespace {

using namespace timtow;
using namespace std::string_literals;
using test::Allocation;
using test::Harness;

std::string request_with(const std::string& lines) {
  std::string request{test::upgrade_request};
  return request.insert(request.size() - 2, lines);
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("headers: 20 MB, byte by byte: answered at the limit, and the rest is not even kept") {
  Pool pool{std::numeric_limits<std::size_t>::max(), 0};
  Session session{Role::server, pool};
  std::string head = request_with("X: ");
  head.resize(20'000'000, 'x');
  std::size_t answered_at = 0;
  std::size_t most = 0;
  int events = 0;
  const std::size_t asked = Allocation::count_in([&] {
    for (std::size_t i = 0; i < head.size(); ++i) {
      session.receive({reinterpret_cast<std::byte*>(&head[i]), 1});
      while (session.next()) ++events;
      if (answered_at == 0 && session.output_size() != 0) answered_at = i + 1;
      most = std::max(most, pool.in_use());
    }
  });
  CHECK(answered_at == Limits{}.handshake_bytes);
  CHECK(as_text(session.output().front()).starts_with("HTTP/1.1 431 "));
  CHECK(events == 1);
  CHECK(most <= 4 * Limits{}.handshake_bytes);
  CHECK(asked <= 40);
}

TEST_CASE("headers: of 10,000 no more are read than handshake_headers") {
  Limits limits;
  limits.handshake_bytes = 1'000'000;
  std::string lines;
  for (int i = 0; i < 10'000; ++i) lines += "X" + std::to_string(i) + ": y\r\n";
  Harness self{Role::server, limits};
  self.feed(request_with(lines));
  CHECK(self.written.starts_with("HTTP/1.1 431 "));
  CHECK(contains(self.written, "more than 100 headers came, which is Limits::handshake_headers"));
  CHECK(self.pool.in_use() <= 1024);
  // And without raising the limit of bytes, it is that one.
  Harness usual{Role::server};
  usual.feed(request_with(lines));
  CHECK(usual.written.starts_with("HTTP/1.1 431 "));
}

TEST_CASE("headers: what an application sets cannot end its line, in any of its values") {
  for (int byte = 0; byte < 256; ++byte) {
    const bool is_control = byte < 0x20 || byte == 0x7F;
    const bool is_fine = !is_control || byte == '\t';
    CAPTURE(byte);
    const std::string value = "a"s + static_cast<char>(byte) + "b";
    const std::vector<Header> headers{{"X-Value", value}};
    const std::vector<Header> names{{value, "x"}};

    Harness accepting{Role::server};
    accepting.feed(test::upgrade_request);
    CHECK((accepting.session.accept({.subprotocol = {}, .headers = headers}).code ==
           errc::invalid_header) == !is_fine);
    if (is_fine) continue;

    Harness self{Role::server};
    self.feed(test::upgrade_request);
    CHECK(self.session.accept({.subprotocol = {}, .headers = names}).code == errc::invalid_header);
    CHECK(self.session.accept({.subprotocol = value, .headers = {}}).code == errc::invalid_header);
    CHECK(self.session.respond({.status = 200, .body = {}, .headers = headers}).code ==
          errc::invalid_header);
    CHECK(self.session.respond({.status = 200, .body = {}, .headers = names}).code ==
          errc::invalid_header);
    CHECK(self.session.output_size() == 0);

    Harness client{Role::client};
    const std::string target = "/" + value;
    for (const ClientRequest& request :
         {ClientRequest{.host = value, .subprotocols = {}, .headers = {}},
          ClientRequest{.host = "a", .target = target, .subprotocols = {}, .headers = {}},
          ClientRequest{.host = "a", .subprotocols = {value}, .headers = {}},
          ClientRequest{.host = "a", .subprotocols = {}, .headers = headers},
          ClientRequest{.host = "a", .subprotocols = {}, .headers = names}})
      CHECK(client.session.request(request).code == errc::invalid_header);
    CHECK(client.session.output_size() == 0);

    std::string header;
    CHECK(SetCookie{.name = "a", .value = value}.format(header).code == errc::invalid_header);
    CHECK(SetCookie{.name = value, .value = "a"}.format(header).code == errc::invalid_header);
    SetCookie cookie{.name = "a", .value = "b"};
    cookie.path = target;
    CHECK(cookie.format(header).code == errc::invalid_header);
    cookie.path.clear();
    cookie.domain = value;
    CHECK(cookie.format(header).code == errc::invalid_header);
    CHECK(header.empty());

    Url url;
    for (const std::string& text : {"ws://" + value + "/", "ws://a/" + value, value + "://a/"})
      CHECK(Url::parse(text, url).code == errc::bad_address);
  }
}

TEST_CASE("headers: names that mean something elsewhere are names like others") {
  for (const std::string& name : {"constructor"s, "__proto__"s, "prototype"s, "hasOwnProperty"s,
                                  "toString"s, "valueOf"s, "watch"s}) {
    CAPTURE(name);
    Harness self{Role::server};
    std::string seen;
    self.on_event = [&](Harness& its, const Event& event) {
      const Request* const request = event.request();
      if (request == nullptr) return;
      seen = std::string{request->headers[name]} + ',' +
             std::string{request->headers["X-Not-There"]} + ',' +
             std::string{request->cookie(name)} + ',' +
             std::string{choose_subprotocol(*request, {name})};
      // What was offered is what is compared with, and nothing that a name happens to mean.
      CHECK(its.session.accept({.subprotocol = "chat", .headers = {}}).code ==
            errc::invalid_header);
      CHECK_FALSE(its.session.accept({.subprotocol = name, .headers = {}}));
    };
    self.feed(request_with(name + ": a\r\nCookie: " + name +
                           "=b\r\nSec-WebSocket-Protocol: " + name + "\r\n"));
    CHECK(seen == "a,,b," + name);
    CHECK(contains(self.written, "Sec-WebSocket-Protocol: " + name + "\r\n"));

    Harness without{Role::server};
    without.on_event = [&](Harness&, const Event& event) {
      if (const Request* const request = event.request())
        CHECK((request->headers[name].empty() && request->cookie(name).empty() &&
               choose_subprotocol(*request, {name}).empty()));
    };
    without.feed(test::upgrade_request);
  }
}
