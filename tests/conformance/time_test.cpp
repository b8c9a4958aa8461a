// Time: a clock on the wall that is set, a loop that is held up, and timers of whatever length.
#include <ctime>
#include <vector>

#include "support/client.hpp"
#include "support/clock.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Client;
using test::EchoServer;
namespace opcode = test::opcode;

// As run_until(), on whatever clock: the test's own time is what bounds it.
void wait_until(Loop& loop, const std::function<bool()>& condition) {
  Timer* again = nullptr;
  Timer look{loop, [&] {
               test::dress_peers();
               condition() ? loop.stop() : again->start(1ms);
             }};
  again = &look;
  look.start(0ms);
  loop.run();
}

}  // namespace

TEST_CASE("the clock on the wall may be set: no deadline and no timer is told by it") {
  EchoServer echo;
  echo.limits.idle_time = 1h;
  echo.start();
  Client client{echo.where()};
  client.open(*echo.loop);
  const test::MadWallClock mad;
  REQUIRE(std::time(nullptr) != std::time(nullptr));
  std::vector<int> calls;
  std::vector<std::unique_ptr<Timer>> timers;
  for (const int after : {30, 10, 20, 3'600'000}) {
    const TimePoint due = Clock::now() + std::chrono::milliseconds{after};
    timers.push_back(std::make_unique<Timer>(*echo.loop, [&calls, after, due] {
      CHECK(Clock::now() >= due);
      calls.push_back(after);
    }));
    timers.back()->start(std::chrono::milliseconds{after});
  }
  test::run_until(*echo.loop, [&] { return calls.size() == 3; });
  CHECK(calls == std::vector{10, 20, 30});
  CHECK(echo.closed.empty());
  CHECK(client.got.empty());  // nor a ping
  echo.still_echoes();
}

TEST_CASE("who has spoken while the loop was held up is heard, and not closed for silence") {
  constexpr std::size_t clients = 300;  // more than a loop is told of at once
  EchoServer echo;
  echo.limits.ping_interval = 0s;
  echo.limits.idle_time = 60s;
  std::vector<Client> all;
  std::size_t heard = 0;
  echo.handlers.on_message = [&](Connection& peer, const Message& message) {
    peer.send(message);
    if (++heard > 1) return;
    for (std::size_t i = 1; i < clients; ++i) all[i].send(opcode::text, "here");
    test::time_passes(5min);  // in this handler
  };
  echo.start();
  for (std::size_t i = 0; i < clients; ++i) all.emplace_back(echo.where());
  for (Client& each : all) each.send(test::upgrade_request);
  wait_until(*echo.loop, [&] { return echo.opened == clients; });
  for (Client& each : all) wait_until(*echo.loop, [&] { return each.upgraded(); });
  Client silent{echo.where()};
  silent.open(*echo.loop);

  all[0].send(opcode::text, "hold on");
  wait_until(*echo.loop, [&] { return heard == clients; });
  CHECK(echo.closed.empty());
  test::time_passes(2s);  // and who has not spoken since has had this time
  wait_until(*echo.loop, [&] { return echo.closed.size() >= 2; });
  for (const auto& each : echo.closed) CHECK(each == "1006 idle_timeout");
  CHECK(echo.closed.size() == 2);  // the silent one, and the first to speak
  all.clear();
  silent.close();
  wait_until(*echo.loop, [&] { return echo.server->size() == 0; });
}

TEST_CASE("a timer that is started after a handler that took long is not late by that") {
  test::Loop loop;
  int calls = 0;
  Timer second{loop, [&] {
                 ++calls;
                 loop->stop();
               }};
  Timer first{loop, [&] {
                test::time_passes(24h);
                second.start(1ms);  // in a day, by the clock that the loop has looked at
              }};
  first.start(0ms);
  loop->run();
  CHECK(calls == 1);
}

TEST_CASE("timers and limits at the end of the range: for ever is for ever, and negative is now") {
  EchoServer echo;
  echo.limits.handshake_time = echo.limits.ping_interval = Duration::max();
  echo.limits.idle_time = echo.limits.close_time = Duration::max() - 1ns;
  echo.start();
  std::vector<std::unique_ptr<Timer>> timers;
  int late = 0;
  for (const Duration after : {Duration::max(), Duration::max() / 2, Duration{365 * 24h}}) {
    timers.push_back(std::make_unique<Timer>(*echo.loop, [&] { ++late; }));
    timers.back()->start(after);
    echo.still_echoes();  // and the only timer that is armed may be that one
  }
  int now = 0;
  Timer negative{*echo.loop, [&] { ++now; }};
  for (const Duration after : {Duration::min(), Duration{-1}}) {
    negative.start(after);
    test::run_until(*echo.loop, [&] { return !negative.is_running(); });
  }
  CHECK(now == 2);
  CHECK(late == 0);
  CHECK(echo.errors.empty());
}
