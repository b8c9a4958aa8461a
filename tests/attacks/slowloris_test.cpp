// Peers that begin and never end: absolute deadlines for a message and a frame's header, on a clock
// that only these tests move. Those of handshakes and of closing are in core/session_time_test.cpp.
#include <doctest/doctest.h>

#include "support/harness.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Harness;
using test::Lines;

constexpr TimePoint start = TimePoint{} + 1h;
constexpr auto message_time = 5min;

const Lines too_late{
    "closed 1006 sent=1008 error=message_timeout \"a message that has begun is not whole after "
    "300000 ms, which is Limits::message_time\""};

// A session for which silence is no matter, so that what is due is the message.
Limits without_silence() {
  Limits limits;
  limits.ping_interval = 0s;
  limits.idle_time = 0s;
  return limits;
}

struct Slow : Harness {
  TimePoint now = start;

  explicit Slow(Role role = Role::server, const Limits& limits = without_silence(),
                bool drafts = false)
      : Harness(role, limits, drafts) {
    if (!drafts) open();
  }
  // These bytes come, and time passes.
  void comes(std::string_view bytes, Duration then = 0s) {
    feed(bytes);
    deadline();
    passes(then);
  }
  TimePoint deadline() { return session.deadline(now); }
  // All alarms that are due meanwhile are heard.
  void passes(Duration time) {
    const TimePoint until = now + time;
    while (deadline() <= until) {
      now = std::max(now, deadline());
      expire(now);
      if (session.is_ended()) break;
    }
    now = until;
  }
};

}  // namespace

TEST_CASE(
    "slowloris: a frame's header, and a control frame, have message_time from their first byte") {
  for (const Role role : {Role::server, Role::client}) {
    for (const unsigned opcode : {test::opcode::text, test::opcode::ping, test::opcode::close}) {
      Slow self{role};
      CAPTURE(static_cast<int>(role));
      CAPTURE(opcode);
      const std::string frame = self.frame(opcode, test::close_payload(1000, "four"));
      self.comes(frame.substr(0, 1), 100s);
      self.comes(frame.substr(1, 1), 100s);
      CHECK(self.deadline() == start + message_time);
      self.passes(100s - 1ns);
      CHECK(self.log.take().empty());
      self.passes(1ns);
      CHECK(self.log.take() == too_late);
    }
  }
}

TEST_CASE("slowloris: a message has message_time, however lively its frames are") {
  for (const bool streaming : {false, true}) {
    CAPTURE(streaming);
    Slow self{Role::server, Limits{}};  // with pings, and an end of silence
    self.session.stream_messages(streaming);
    self.comes(self.frame(test::opcode::text, "x", false));
    for (int i = 0; i < 59; ++i) {
      self.comes(self.frame(test::opcode::continuation, i % 2 == 0 ? "x" : "", false), 5s);
      self.comes(self.frame(test::opcode::ping, "there is life"));
    }
    CHECK(self.closed_events == 0);
    self.log.take();
    self.passes(5s);
    CHECK(self.log.take() == too_late);
  }
}

TEST_CASE("slowloris: a frame that comes by 1 KiB at a time has message_time as well") {
  Slow self{Role::server, Limits{}};
  const std::string frame = self.frame(test::opcode::binary, std::string(1'000'000, 'x'));
  std::size_t fed = 0;
  while (self.closed_events == 0 && fed < frame.size()) {
    self.comes(std::string_view{frame}.substr(fed, 1024), 100s);
    fed += 1024;
  }
  CHECK(fed == 3 * 1024);
  CHECK(self.log.take() == too_late);
}

TEST_CASE(
    "slowloris: each message has its own time, where one ends in the read that begins the next") {
  for (const std::size_t cut : {std::size_t{1}, std::size_t{7}}) {
    Slow self;
    const std::string frame = self.frame(test::opcode::binary, std::string(20, 'x'));
    self.comes(frame.substr(0, cut), 200s);
    for (int i = 0; i < 20; ++i) self.comes(frame.substr(cut) + frame.substr(0, cut), 200s);
    CHECK(self.closed_events == 0);
    CHECK(self.deadline() == self.now + 100s);
    self.comes(frame.substr(cut));
    CHECK(self.deadline() == never);
  }
}

TEST_CASE("slowloris: a message's time does not pass while nothing is read") {
  Slow self;
  const std::string frame = self.frame(test::opcode::binary, std::string(20, 'x'));
  self.comes(frame.substr(0, 10), 299s);
  SUBCASE("in a pause") {
    self.session.pause(true);
    self.passes(24h);
    self.session.pause(false);
  }
  SUBCASE("over the high water") {
    self.writes = false;
    REQUIRE(self.session.send(std::string(2'000'000, 'x')) == errc::ok);
    self.passes(24h);
    self.session.sent(1'900'000);
  }
  CHECK(self.closed_events == 0);
  CHECK(self.deadline() == self.now + message_time);
  self.passes(299s);
  CHECK(self.closed_events == 0);
  self.passes(1s);
  CHECK(self.closed_events == 1);
}

TEST_CASE("slowloris: message_time of zero is none") {
  Limits limits = without_silence();
  limits.message_time = 0s;
  Slow self{Role::server, limits};
  self.comes(self.frame(test::opcode::binary, "x", false));
  CHECK(self.deadline() == never);
  self.expire(start + 24h);
  CHECK(self.closed_events == 0);
}

TEST_CASE("slowloris: after our close frame close_time holds, whatever has begun") {
  Slow self;
  self.comes(self.frame(test::opcode::binary, "x", false), 299s);
  REQUIRE(self.session.close() == errc::ok);
  CHECK(self.deadline() == self.now + 5s);
}

TEST_CASE("slowloris: a frame of a draft has message_time") {
  Slow self{Role::server, without_silence(), true};
  self.feed(
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
      "Origin: http://a\r\n\r\n");
  REQUIRE_FALSE(self.session.accept());
  self.drain();
  REQUIRE(self.session.is_open());
  self.log.take();
  self.comes("\x80\x05", 200s);  // a frame that is skipped
  self.comes("12345", 0s);
  CHECK(self.deadline() == never);
  self.comes(std::string_view{"\0Hel", 4}, 200s);
  self.comes("lo", 99s);
  CHECK(self.closed_events == 0);
  self.passes(1s);
  CHECK(self.closed_events == 1);
}
