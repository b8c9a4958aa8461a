// Deadlines, on a clock that only these tests move.
#include <doctest/doctest.h>

#include "support/harness.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Harness;
using test::Lines;

constexpr TimePoint start = TimePoint{} + 1h;

Limits limits_of(Duration ping_interval, Duration idle_time) {
  Limits limits;
  limits.ping_interval = ping_interval;
  limits.idle_time = idle_time;
  return limits;
}

std::size_t closed_count(Harness& self) { return static_cast<std::size_t>(self.closed_events); }

}  // namespace

// -- The opening handshake ------------------------------------------------------------------------

TEST_CASE("a server's handshake_time is absolute: bytes do not push it back") {
  Harness self{Role::server};
  CHECK(self.session.deadline(start) == start + 10s);
  TimePoint now = start;
  for (const char c : test::upgrade_request.substr(0, 19)) {
    now += 500ms;
    self.feed({&c, 1});
    CHECK(self.session.deadline(now) == start + 10s);
  }
  self.expire(start + 10s - 1ns);
  CHECK(self.log.take().empty());
  CHECK(self.written.empty());

  self.expire(start + 10s);
  CHECK(self.log.take() ==
        Lines{"closed 1006 error=handshake_timeout \"the opening handshake took over 10000 ms, "
              "which is Limits::handshake_time\""});
  CHECK(self.written.starts_with("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"));
  CHECK(
      self.written.ends_with("\r\n\r\nthe opening handshake took over 10000 ms, which is "
                             "Limits::handshake_time\n"));
  CHECK(self.session.wants_shutdown());
  CHECK_FALSE(self.session.finished());

  // Then it lingers, so that the peer reads the answer; but not for ever.
  CHECK(self.session.deadline(start + 11s) == start + 16s);
  self.expire(start + 16s);
  CHECK(self.session.finished());
  CHECK(closed_count(self) == 1);
}

TEST_CASE("handshake_time also bounds the application's decision") {
  Harness self{Role::server};
  CHECK(self.session.deadline(start) == start + 10s);
  self.feed(test::upgrade_request);
  CHECK(self.session.deadline(start + 9s) == start + 10s);
  self.expire(start + 10s);
  CHECK(self.written.starts_with("HTTP/1.1 408 "));
  CHECK(self.session.accept().code == errc::no_request);
  CHECK(closed_count(self) == 1);
}

TEST_CASE("an accepted request ends handshake_time") {
  Harness self{Role::server};
  CHECK(self.session.deadline(start) == start + 10s);
  self.feed(test::upgrade_request);
  REQUIRE_FALSE(self.session.accept());
  CHECK(self.session.deadline(start + 9s) == start + 9s + 30s);
  self.expire(start + 10s);
  CHECK(self.session.is_open());
}

TEST_CASE("a client's handshake_time cuts: there is nothing to say") {
  Harness self{Role::client};
  REQUIRE_FALSE(self.session.request({.host = "a", .subprotocols = {}, .headers = {}}));
  self.write();
  self.written.clear();
  CHECK(self.session.deadline(start) == start + 10s);
  self.feed("HTTP/1.1 101 Swi");
  CHECK(self.session.deadline(start + 9s) == start + 10s);
  self.expire(start + 10s);
  CHECK(self.log.take() ==
        Lines{"closed 1006 error=handshake_timeout \"the opening handshake took over 10000 ms, "
              "which is Limits::handshake_time\""});
  CHECK(self.written.empty());
  CHECK(self.session.finished());
  CHECK(self.session.was_cut());
}

// -- Silence --------------------------------------------------------------------------------------

TEST_CASE("silence: a ping after ping_interval, and the end after idle_time") {
  for (const Role role : {Role::server, Role::client}) {
    CAPTURE(static_cast<int>(role));
    Harness self{role};
    self.open();
    CHECK(self.session.deadline(start) == start + 30s);
    self.expire(start + 30s - 1ns);
    CHECK(self.frames().empty());

    self.writes = false;  // output that the peer takes would be a sign of life
    self.expire(start + 30s);
    const std::size_t one_ping = self.session.output_size();
    CHECK(one_ping == (role == Role::server ? 2 : 6));
    CHECK(self.session.deadline(start + 30s) == start + 120s);  // one ping is enough
    self.expire(start + 60s);
    CHECK(self.session.output_size() == one_ping);

    self.expire(start + 120s);
    CHECK(self.log.take() == Lines{"closed 1006 sent=1008 error=idle_timeout \"silent for 120000 "
                                   "ms, which is Limits::idle_time\""});
    self.write();
    CHECK(self.frames() ==
          Lines{"> ping", "> close 1008 \"silent for 120000 ms, which is Limits::idle_time\""});
    CHECK(self.session.wants_shutdown());
    CHECK(self.session.deadline(start + 120s) == start + 125s);
    self.expire(start + 125s);
    CHECK(self.session.finished());
    CHECK(self.closed_events == 1);
  }
}

TEST_CASE("a pong is a sign of life, and so the next ping comes after another silence") {
  Harness self{Role::server};
  self.open();
  TimePoint now = start;
  CHECK(self.session.deadline(now) == now + 30s);
  for (int i = 0; i < 10; ++i) {
    now += 30s;
    self.expire(now);
    CHECK(self.frames() == Lines{"> ping"});
    self.feed(self.frame(test::opcode::pong, ""));
    CHECK(self.session.deadline(now) == now + 30s);
  }
  CHECK(self.session.is_open());
}

TEST_CASE("every whole frame is a sign of life") {
  using namespace test::opcode;
  for (const unsigned opcode : {text, binary, ping, pong}) {
    for (const bool fin : {true, false}) {
      if (!fin && (opcode == ping || opcode == pong)) continue;
      CAPTURE(opcode);
      CAPTURE(fin);
      Harness self{Role::server};
      self.open();
      self.writes = false;
      CHECK(self.session.deadline(start) == start + 30s);
      const std::string frame = self.frame(opcode, "x", fin);
      self.feed(frame.substr(0, frame.size() - 1));
      CHECK(self.session.deadline(start + 10s) == start + 30s);
      self.feed(frame.substr(frame.size() - 1));
      CHECK(self.session.deadline(start + 10s) == start + 40s);
    }
  }
}

TEST_CASE("a large frame is not kept alive by a byte at a time, but by idle_bytes") {
  for (const bool streaming : {false, true}) {
    CAPTURE(streaming);
    Harness self{Role::server, limits_of(0s, 120s)};
    self.session.stream_messages(streaming);
    self.open();
    CHECK(self.session.deadline(start) == start + 120s);
    const std::string frame = self.frame(test::opcode::binary, std::string(100'000, 'x'));
    TimePoint now = start;
    std::size_t fed = 0;
    const auto feed = [&](std::size_t size) {
      self.feed(std::string_view{frame}.substr(fed, size));
      fed += size;
    };
    feed(14);  // the header, with its key
    for (int i = 0; i < 1023; ++i) {
      feed(1);
      now += 100ms;
      CHECK(self.session.deadline(now) == start + 120s);
    }
    feed(1);
    CHECK(self.session.deadline(now) == now + 120s);
    const TimePoint then = now;
    feed(1023);
    CHECK(self.session.deadline(now + 1s) == then + 120s);
    feed(1);
    CHECK(self.session.deadline(now + 2s) == now + 2s + 120s);
    feed(1000);
    self.expire(now + 2s + 120s);
    CHECK(self.closed_events == 1);
  }
}

TEST_CASE("idle_bytes are counted anew in each frame") {
  Harness self{Role::server, limits_of(0s, 120s)};
  self.open();
  const std::string frame = self.frame(test::opcode::binary, std::string(2000, 'x'));
  self.feed(frame.substr(0, 8 + 1000));
  self.feed(frame.substr(8 + 1000));
  CHECK(self.session.deadline(start) == start + 120s);
  self.feed(frame.substr(0, 8 + 1023));
  CHECK(self.session.deadline(start + 1s) == start + 120s);
  self.feed(frame.substr(8 + 1023, 1));
  CHECK(self.session.deadline(start + 1s) == start + 121s);
}

TEST_CASE("headers and control frames that do not become whole are no sign of life") {
  for (const std::string& frame :
       {test::client_frame(test::opcode::ping, std::string(125, 'x')),
        test::client_frame(test::opcode::binary, std::string(70'000, 'x')).substr(0, 15)}) {
    Harness self{Role::server, limits_of(0s, 120s)};
    self.open();
    CHECK(self.session.deadline(start) == start + 120s);
    TimePoint now = start;
    for (std::size_t i = 0; i + 1 < frame.size(); ++i) {
      now += 900ms;
      self.feed({&frame[i], 1});
      CHECK(self.session.deadline(now) == start + 120s);
    }
    self.expire(start + 120s);
    CHECK(self.closed_events == 1);
  }
}

TEST_CASE("output that the peer takes is a sign of life") {
  Harness self{Role::server};
  self.open();
  self.writes = false;
  REQUIRE(self.session.send(std::string_view{"Hello"}) == errc::ok);
  CHECK(self.session.deadline(start) == start + 30s);
  CHECK(self.session.deadline(start + 10s) == start + 30s);  // to send is none
  self.session.sent(1);                                      // for which the system had room
  CHECK(self.session.deadline(start + 10s) == start + 30s);
  self.session.sent(1);
  CHECK(self.session.deadline(start + 10s) == start + 40s);
  self.session.sent(0);
  CHECK(self.session.deadline(start + 20s) == start + 40s);
}

TEST_CASE("a duration of zero switches its rule off") {
  SUBCASE("ping_interval") {
    Harness self{Role::server, limits_of(0s, 120s)};
    self.open();
    CHECK(self.session.deadline(start) == start + 120s);
    self.expire(start + 60s);
    CHECK(self.frames().empty());
  }
  SUBCASE("idle_time") {
    Harness self{Role::server, limits_of(30s, 0s)};
    self.open();
    self.writes = false;
    CHECK(self.session.deadline(start) == start + 30s);
    self.expire(start + 30s);
    CHECK(self.session.output_size() == 2);
    CHECK(self.session.deadline(start + 30s) == never);
    self.expire(start + 24h);
    CHECK(self.session.is_open());
  }
  SUBCASE("both: nothing is due") {
    Harness self{Role::server, limits_of(0s, 0s)};
    self.open();
    CHECK(self.session.deadline(start) == never);
    self.expire(start + 24h);
    CHECK(self.session.is_open());
    CHECK(self.frames().empty());
  }
  SUBCASE("handshake_time") {
    Limits limits;
    limits.handshake_time = 0s;
    Harness self{Role::server, limits};
    CHECK(self.session.deadline(start) == never);
    self.expire(start + 24h);
    CHECK(self.log.take().empty());
  }
  SUBCASE("close_time") {
    Limits limits;
    limits.close_time = 0s;
    Harness self{Role::server, limits};
    self.open();
    REQUIRE(self.session.close() == errc::ok);
    CHECK(self.session.deadline(start) == never);
    self.expire(start + 24h);
    CHECK(self.log.take().empty());
  }
}

TEST_CASE("an idle_time shorter than ping_interval") {
  Harness self{Role::client, limits_of(30s, 20s)};
  self.open();
  CHECK(self.session.deadline(start) == start + 20s);
  self.expire(start + 20s);
  CHECK(self.frames() == Lines{"> close 1008 \"silent for 20000 ms, which is Limits::idle_time\""});
}

TEST_CASE("while paused the peer's silence does not count") {
  Harness self{Role::server, limits_of(0s, 120s)};
  self.open();
  CHECK(self.session.deadline(start) == start + 120s);
  self.session.pause(true);
  CHECK(self.session.deadline(start + 100s) > start + 120s);
  self.expire(start + 24h);
  CHECK(self.session.is_open());
  self.session.pause(false);
  const TimePoint resumed = start + 24h;
  CHECK(self.session.deadline(resumed) == resumed + 120s);
  self.expire(resumed + 120s);
  CHECK(self.closed_events == 1);
}

TEST_CASE(
    "silence is counted from the end of a pause, whenever the deadline was asked for before") {
  for (const bool twice : {false, true}) {
    CAPTURE(twice);
    Harness self{Role::server, limits_of(0s, 120s)};
    self.open();
    CHECK(self.session.deadline(start) == start + 120s);
    self.session.pause(true);
    CHECK(self.session.deadline(start + 1s) == start + 121s);
    if (twice) self.session.pause(true);
    self.session.pause(false);
    CHECK(self.session.deadline(start + 100s) == start + 220s);
    self.session.pause(false);  // it was not paused
    CHECK(self.session.deadline(start + 110s) == start + 220s);
  }
}

TEST_CASE("that our ping is taken is no sign of life, and what is taken behind it is one") {
  Harness self{Role::server};
  self.open();
  self.writes = false;
  CHECK(self.session.deadline(start) == start + 30s);
  self.expire(start + 30s);
  REQUIRE(self.session.output_size() == 2);
  CHECK(self.session.deadline(start + 31s) == start + 120s);
  SUBCASE("in two parts") {
    self.session.sent(1);
    CHECK(self.session.deadline(start + 32s) == start + 120s);
    self.session.sent(1);
  }
  SUBCASE("at once") { self.session.sent(2); }
  CHECK(self.session.deadline(start + 33s) == start + 120s);
  REQUIRE(self.session.send(std::string_view{"Hello"}) == errc::ok);
  CHECK(self.session.deadline(start + 34s) == start + 120s);
  self.session.sent(0);  // there is no room
  self.session.sent(1);
  CHECK(self.session.deadline(start + 35s) == start + 65s);
}

TEST_CASE("what waits in front of our ping is a sign of life when it is taken") {
  Harness self{Role::server};
  self.open();
  self.writes = false;
  CHECK(self.session.deadline(start) == start + 30s);
  REQUIRE(self.session.send(std::string_view{"Hello"}) == errc::ok);
  self.expire(start + 30s);
  REQUIRE(self.session.output_size() == 7 + 2);
  CHECK(self.session.deadline(start + 31s) == start + 120s);
  self.session.sent(0);
  self.session.sent(1);
  CHECK(self.session.deadline(start + 32s) == start + 62s);
}

TEST_CASE("a session that is at ease notes each sign of life") {
  Harness self{Role::server};
  self.open();
  self.writes = false;
  CHECK(self.session.deadline(start) == start + 30s);
  self.feed(self.frame(test::opcode::text, "x"));
  CHECK(self.session.is_at_ease(start + 5s));
  CHECK(self.session.deadline(start + 6s) == start + 35s);
  REQUIRE(self.session.send(std::string_view{"Hello"}) == errc::ok);
  CHECK(self.session.is_at_ease(start + 7s));
  CHECK(self.session.deadline(start + 8s) == start + 35s);
  self.session.sent(1);
  CHECK(self.session.is_at_ease(start + 9s));
  CHECK(self.session.deadline(start + 9s) == start + 35s);
  self.session.sent(1);
  CHECK(self.session.is_at_ease(start + 10s));
  CHECK(self.session.deadline(start + 11s) == start + 40s);
}

TEST_CASE("what is sent to a peer that is long gone keeps it no longer, for the system takes it") {
  Harness self{Role::server};
  self.open();
  self.writes = false;
  TimePoint now = start;
  CHECK(self.session.deadline(now) == start + 30s);
  for (; now < start + 120s; now += 1s) {
    if (self.session.output_size() == 0)
      REQUIRE(self.session.send(std::string_view{"tick"}) == errc::ok);
    self.session.sent(self.session.output_size());
    if (now >= self.session.deadline(now)) self.expire(now);
    REQUIRE(self.session.is_open());
  }
  self.expire(now);
  CHECK(self.closed_events == 1);
}

TEST_CASE("times at the end of the range: the longest is for ever, a negative one is off") {
  for (const Duration time :
       {Duration::max(), Duration::max() - 1h, Duration::min(), Duration{-1}}) {
    Limits limits;
    limits.handshake_time = limits.ping_interval = limits.idle_time = limits.close_time = time;
    Harness self{Role::server, limits};
    CHECK(self.session.deadline(start) == never);
    self.expire(start + 24h);
    self.open();
    CHECK(self.session.deadline(start + 24h) == never);
    self.expire(start + 48h);
    CHECK(self.session.is_open());
    REQUIRE(self.session.close() == errc::ok);
    CHECK(self.session.deadline(start + 48h) == never);
    self.expire(start + 72h);
    CHECK(self.closed_events == 0);
  }
}

// -- Closing --------------------------------------------------------------------------------------

TEST_CASE("close_time: a peer that does not answer our close frame is cut off") {
  for (const Role role : {Role::server, Role::client}) {
    CAPTURE(static_cast<int>(role));
    Harness self{role};
    self.open();
    CHECK(self.session.deadline(start) == start + 30s);
    REQUIRE(self.session.close(1000) == errc::ok);
    self.write();
    CHECK(self.session.deadline(start + 1s) == start + 6s);
    // Neither messages nor pings push it back.
    self.feed(self.frame(test::opcode::text, "still here") + self.frame(test::opcode::ping, ""));
    CHECK(self.session.deadline(start + 5s) == start + 6s);
    self.log.take();
    self.expire(start + 6s - 1ns);
    CHECK(self.log.take().empty());
    self.expire(start + 6s);
    CHECK(self.log.take() == Lines{"closed 1006 sent=1000 error=close_timeout \"no close frame "
                                   "came for 5000 ms, which is Limits::close_time\""});
    CHECK(self.session.finished());
    CHECK(self.session.was_cut());
    CHECK(self.session.deadline(start + 7s) == never);
  }
}

TEST_CASE("a session that failed lingers until the peer ends the stream") {
  Harness self{Role::server};
  self.open();
  CHECK(self.session.deadline(start) == start + 30s);
  self.feed(self.frame(3, ""));
  CHECK(self.closed_events == 1);
  CHECK(self.session.wants_shutdown());
  CHECK(self.session.wants_read());
  CHECK_FALSE(self.session.finished());
  CHECK(self.session.deadline(start) == start + 5s);
  self.feed(self.frame(test::opcode::text, "what was on its way"));
  CHECK(self.session.deadline(start + 4s) == start + 5s);
  CHECK_FALSE(self.session.finished());
  self.end_of_input();
  CHECK(self.session.finished());
  CHECK_FALSE(self.session.was_cut());
  CHECK(self.session.deadline(start + 4s) == never);
  CHECK(self.closed_events == 1);
}

TEST_CASE("a session that failed lingers until close_time is over") {
  Harness self{Role::client};
  self.open();
  self.feed(self.frame(3, ""));
  CHECK(self.session.deadline(start) == start + 5s);
  CHECK_FALSE(self.session.finished());
  self.expire(start + 5s);
  CHECK(self.session.finished());
  CHECK(self.closed_events == 1);
}

TEST_CASE("a session that fails when it had closed keeps its first deadline") {
  Harness self{Role::server};
  self.open();
  REQUIRE(self.session.close() == errc::ok);
  CHECK(self.session.deadline(start) == start + 5s);
  self.feed(self.frame(3, ""));
  CHECK(self.session.deadline(start + 4s) == start + 5s);
}

TEST_CASE("a client waits close_time for the server to end the stream") {
  Harness self{Role::client};
  self.open();
  self.feed(self.frame(test::opcode::close, test::close_payload(1000)));
  CHECK_FALSE(self.session.finished());
  CHECK(self.session.wants_read());
  CHECK_FALSE(self.session.wants_shutdown());
  CHECK(self.session.deadline(start) == start + 5s);
  self.expire(start + 5s);
  CHECK(self.session.finished());
  CHECK(self.closed_events == 1);
}

TEST_CASE("a peer that does not take the last output is cut off") {
  Harness self{Role::server};
  self.open();
  self.writes = false;
  REQUIRE(self.session.send(std::string_view{"Hello"}) == errc::ok);
  self.feed(self.frame(test::opcode::close, test::close_payload(1000)));
  CHECK(self.closed_events == 1);
  CHECK_FALSE(self.session.finished());
  CHECK(self.session.deadline(start) == start + 5s);
  self.session.sent(1);
  CHECK(self.session.deadline(start + 4s) == start + 5s);
  self.expire(start + 5s);
  CHECK(self.session.finished());
  CHECK(self.session.was_cut());
  CHECK(self.session.output().empty());
  CHECK(self.closed_events == 1);
}

TEST_CASE("a server waits close_time for the client to end the stream") {
  Harness self{Role::server};
  self.open();
  self.feed(self.frame(test::opcode::close, test::close_payload(1000)));
  CHECK(self.session.wants_shutdown());
  CHECK(self.session.wants_read());
  CHECK_FALSE(self.session.finished());
  CHECK(self.session.deadline(start) == start + 5s);
  self.expire(start + 5s);
  CHECK(self.session.finished());
  CHECK(self.closed_events == 1);
}

TEST_CASE("where nothing is due, there is no deadline") {
  Harness self{Role::server};
  self.open();
  self.feed(self.frame(test::opcode::close, test::close_payload(1000)));
  self.end_of_input();
  CHECK(self.session.finished());
  CHECK(self.session.deadline(start) == never);
  self.expire(start + 24h);
  CHECK(self.closed_events == 1);
  CHECK_FALSE(self.session.was_cut());
}
