// How sessions end: once, with one closed event, and nothing behind it. The closing handshake's
// bytes are in golden/close.log.
#include <doctest/doctest.h>

#include <algorithm>

#include "support/harness.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Harness;
using test::Lines;

constexpr TimePoint start = TimePoint{} + 1h;

// All that may happen to a session that is over; none of it may be seen.
void poke(Harness& self) {
  const Lines before = self.log.lines();
  self.feed(self.frame(test::opcode::text, "late"));
  CHECK(self.session.send(std::string_view{"late"}) == errc::not_open);
  CHECK(self.session.send_borrowed({MessageType::text, as_bytes("late")}) == errc::not_open);
  CHECK(self.session.send_piece({MessageType::text, as_bytes("late")}, true) == errc::not_open);
  CHECK(self.session.ping() == errc::not_open);
  CHECK(self.session.pong() == errc::not_open);
  CHECK(self.session.close() == errc::not_open);
  CHECK(self.session.accept().code == errc::no_request);
  CHECK(self.session.respond({.status = 200, .body = {}, .headers = {}}).code == errc::no_request);
  CHECK(self.session.read_space().empty());
  self.session.own_output();
  self.session.hold();
  self.drain();
  self.end_of_input();
  self.feed("more");
  self.session.lost(std::make_error_code(std::errc::connection_reset));
  self.drain();
  self.expire(start + 24h);
  self.session.lost(std::make_error_code(std::errc::broken_pipe));
  self.drain();
  CHECK_FALSE(self.session.is_open());
  CHECK(self.session.finished());
  CHECK(self.session.output().empty());
  CHECK(self.log.lines() == before);
  CHECK(self.closed_events == 1);
}

}  // namespace

TEST_CASE("however a session ends, there is one closed event and nothing after it") {
  struct End {
    const char* name;
    void (*bring)(Harness&);
  };
  const End ends[] = {
      {"the peer closes",
       [](Harness& self) {
         self.feed(self.frame(test::opcode::close, test::close_payload(1000)));
       }},
      {"we close, the peer answers",
       [](Harness& self) {
         CHECK(self.session.close() == errc::ok);
         self.feed(self.frame(test::opcode::close, test::close_payload(1000)));
       }},
      {"we close, the peer is silent",
       [](Harness& self) {
         CHECK(self.session.close() == errc::ok);
         self.session.deadline(start);
         self.expire(start + 5s);
       }},
      {"we close, the stream ends",
       [](Harness& self) {
         CHECK(self.session.close() == errc::ok);
         self.end_of_input();
       }},
      {"the stream ends", [](Harness& self) { self.end_of_input(); }},
      {"the stream breaks",
       [](Harness& self) {
         self.session.lost(std::make_error_code(std::errc::connection_reset));
         self.drain();
       }},
      {"the peer breaks the rules", [](Harness& self) { self.feed(self.frame(3, "")); }},
      {"a text is no text",
       [](Harness& self) { self.feed(self.frame(test::opcode::text, "\xFF")); }},
      {"the peer is silent",
       [](Harness& self) {
         self.session.deadline(start);
         self.expire(start + 120s);
       }},
  };
  for (const Role role : {Role::server, Role::client}) {
    for (const auto& end : ends) {
      CAPTURE(end.name);
      CAPTURE(static_cast<int>(role));
      Harness self{role};
      self.open();
      end.bring(self);
      CHECK(self.closed_events == 1);
      poke(self);
    }
  }
}

TEST_CASE("a handshake that comes to nothing also has one closed event") {
  struct End {
    const char* name;
    Role role;
    void (*bring)(Harness&);
  };
  const End ends[] = {
      {"a bad request", Role::server, [](Harness& self) { self.feed("\x16\x03\x01"); }},
      {"a rejected request", Role::server,
       [](Harness& self) {
         self.feed(test::upgrade_request);
         CHECK_FALSE(self.session.reject(403, "no"));
         self.drain();
       }},
      {"a request that is given up", Role::server,
       [](Harness& self) {
         self.feed(test::upgrade_request);
         CHECK(self.session.close() == errc::ok);
         self.drain();
       }},
      {"lost while the request waits", Role::server,
       [](Harness& self) {
         self.feed(test::upgrade_request);
         self.session.lost(std::make_error_code(std::errc::connection_reset));
         self.drain();
       }},
      {"ended", Role::server, [](Harness& self) { self.end_of_input(); }},
      {"timed out", Role::server,
       [](Harness& self) {
         self.session.deadline(start);
         self.expire(start + 10s);
       }},
      {"a bad response", Role::client, [](Harness& self) { self.feed("no HTTP\r\n\r\n"); }},
      {"a refusal", Role::client, [](Harness& self) { self.feed("HTTP/1.1 403 No\r\n\r\n"); }},
      {"given up", Role::client,
       [](Harness& self) {
         CHECK(self.session.close() == errc::ok);
         self.drain();
       }},
      {"ended", Role::client, [](Harness& self) { self.end_of_input(); }},
  };
  for (const auto& end : ends) {
    CAPTURE(end.name);
    Harness self{end.role};
    if (end.role == Role::client) {
      REQUIRE_FALSE(self.session.request({.host = "a", .subprotocols = {}, .headers = {}}));
      self.write();
    }
    end.bring(self);
    CHECK(self.closed_events == 1);
    poke(self);
  }
}

TEST_CASE("a request that waits when the stream ends is still answered") {
  Harness self{Role::server};
  self.feed(test::upgrade_request);
  self.end_of_input();
  CHECK(self.closed_events == 0);
  CHECK_FALSE(self.session.finished());
  REQUIRE_FALSE(self.session.reject(403, "no"));
  self.drain();
  CHECK(self.written.starts_with("HTTP/1.1 403 Forbidden\r\n"));
  CHECK(self.session.finished());
  CHECK(self.closed_events == 1);
}

TEST_CASE("there are no bytes behind the end of the stream") {
  Harness self{Role::server};
  self.feed(test::upgrade_request);
  self.feed(self.frame(test::opcode::text, "before"));
  self.end_of_input();
  CHECK_FALSE(self.session.wants_read());
  self.feed(self.frame(test::opcode::text, "behind"));
  self.log.take();
  REQUIRE_FALSE(self.session.accept());
  self.drain();
  CHECK(self.log.take() ==
        Lines{"message text 6 \"before\"",
              "closed 1006 error=connection_lost \"the peer ended the stream without a close "
              "frame\""});
}

TEST_CASE("a peer that half-closes gets all its answers before the session is finished") {
  Harness self{Role::server};
  self.open();
  self.on_event = test::echo;
  self.writes = false;
  self.feed(self.frame(test::opcode::text, "one") + self.frame(test::opcode::text, "two"));
  self.end_of_input();
  CHECK(self.log.lines().size() == 3);
  CHECK(self.closed_events == 1);
  CHECK_FALSE(self.session.finished());
  while (self.session.output_size() != 0) {
    CHECK_FALSE(self.session.finished());
    self.written += as_text(self.session.output().front().first(1));
    self.session.sent(1);
  }
  CHECK(self.session.finished());
  CHECK_FALSE(self.session.was_cut());
  CHECK(self.frames() == Lines{"> text \"one\"", "> text \"two\""});
}

TEST_CASE("the closing handshake is sent to its last byte before the session is finished") {
  for (const bool eof_first : {true, false}) {
    CAPTURE(eof_first);
    Harness self{Role::server};
    self.open();
    self.writes = false;
    self.feed(self.frame(test::opcode::close, test::close_payload(1000)));
    CHECK(self.session.wants_shutdown());
    if (eof_first) self.end_of_input();
    for (int i = 0; i < 4; ++i) {
      CHECK_FALSE(self.session.finished());
      self.session.sent(1);
    }
    CHECK(self.session.finished() == eof_first);
    self.end_of_input();
    CHECK(self.session.finished());
    CHECK_FALSE(self.session.was_cut());
    CHECK(self.closed_events == 1);
  }
}

TEST_CASE("a stream that breaks gives no more output, and what was being written may still end") {
  Harness self{Role::server};
  self.open();
  self.writes = false;
  REQUIRE(self.session.send(std::string_view{"Hello"}) == errc::ok);
  const Bytes in_flight = self.session.output().front();
  const std::string before{as_text(in_flight)};
  self.session.lost(std::make_error_code(std::errc::connection_reset));
  self.drain();
  CHECK(self.session.output().empty());
  CHECK(self.session.output_size() == 0);
  CHECK(as_text(in_flight) == before);  // a completion loop's write ends later than its stream
  self.session.sent(in_flight.size());
  CHECK(self.session.output_size() == 0);
  CHECK(self.session.finished());
}

TEST_CASE("a message stays what it is while its handler loses the connection") {
  for (const bool fragmented : {false, true}) {
    CAPTURE(fragmented);
    Harness self{Role::server};
    self.open();
    std::string seen;
    self.on_event = [&](Harness& its, const Event& event) {
      const Message* message = event.message();
      if (message == nullptr) return;
      its.session.lost(std::make_error_code(std::errc::broken_pipe));
      seen = message->text();
    };
    if (fragmented) {
      self.feed(self.frame(test::opcode::text, "Hel", false) +
                self.frame(test::opcode::continuation, "lo"));
    } else {
      const std::string frame = self.frame(test::opcode::text, "Hello");
      self.feed(frame.substr(0, 8));
      self.feed(frame.substr(8));
    }
    CHECK(seen == "Hello");
    CHECK(self.closed_events == 1);
    CHECK(self.pool.in_use() == 0);
  }
}

TEST_CASE("close() in a message's handler: what came with it is still delivered") {
  Harness self{Role::server};
  self.open();
  self.on_event = [](Harness& its, const Event& event) {
    if (event.message() != nullptr && its.session.is_open())
      CHECK(its.session.close(1001, "enough") == errc::ok);
  };
  self.feed(self.frame(test::opcode::text, "one") + self.frame(test::opcode::text, "two") +
            self.frame(test::opcode::close, test::close_payload(1001)));
  CHECK(self.log.lines() ==
        Lines{"message text 3 \"one\"", "message text 3 \"two\"", "closed 1001 sent=1001"});
  CHECK(self.frames() == Lines{"> close 1001 \"enough\""});
  CHECK(self.session.wants_shutdown());
}

TEST_CASE("an error is told to the peer in 123 bytes at most") {
  Limits limits;
  limits.message_bytes = 9;
  Harness self{Role::server, limits};
  self.open();
  test::Frame frame;
  frame.key = test::rfc_key;
  frame.announced = 0x7FFFFFFFFFFFFFFF;
  self.feed(test::encode(frame));
  std::string_view written = self.written;
  const auto close = test::decode(written);
  REQUIRE(close);
  CHECK(close->opcode == test::opcode::close);
  CHECK(close->payload.size() <= 125);
}
