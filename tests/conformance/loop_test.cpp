// The loop itself: run, stop, post, timers.
#include <memory>
#include <optional>
#include <random>
#include <thread>

#include "support/client.hpp"
#include "support/waits.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;

}  // namespace

TEST_CASE(
    "stop() ends run() from a post, from a timer and from a handler, and run() starts again") {
  test::Loop loop;
  int runs = 0;
  loop->post([&] { ++runs, loop->stop(); });
  loop->run();
  CHECK(runs == 1);
  Timer timer{loop, [&] { ++runs, loop->stop(); }};
  timer.start(1ms);
  loop->run();
  CHECK(runs == 2);

  Handlers handlers;
  handlers.on_open = [&](Connection&) { ++runs, loop->stop(); };
  Server server{loop, handlers};
  REQUIRE_FALSE(server.listen({.host = "127.0.0.1", .port = 0, .path = {}}));
  test::Client client{server.endpoints().front()};
  client.send(test::upgrade_request);
  loop->run();
  CHECK(runs == 3);
  CHECK(client.upgraded());  // what was sent in the last event is out
}

TEST_CASE("what is posted before run() is called by it, in order") {
  test::Loop loop;
  std::vector<int> calls;
  for (int i = 0; i < 3; ++i) loop->post([&, i] { calls.push_back(i); });
  loop->post([&] { loop->stop(); });
  loop->run();
  CHECK(calls == std::vector<int>{0, 1, 2});
}

TEST_CASE("what a loop has still to do when it is destroyed is not done") {
  int calls = 0;
  {
    test::Loop loop;
    loop->post([&] { ++calls; });
    Timer timer{loop, [&] { ++calls; }};
    timer.start(0ms);
  }
  CHECK(calls == 0);
}

TEST_CASE("timers: all are called, in order, and none early") {
  test::Loop loop;
  std::mt19937 random{7};
  struct Each {
    std::unique_ptr<Timer> timer;
    TimePoint due;
  };
  std::vector<Each> timers(200);
  std::size_t called = 0;
  TimePoint last{};
  for (auto& each : timers) {
    each.timer = std::make_unique<Timer>(loop, [&] {
      CHECK(Clock::now() >= each.due);
      CHECK(loop->now() >= each.due);
      CHECK(each.due >= last - 1ms);  // the tests' clock is read a little before the timer's
      last = each.due;
      if (++called == timers.size()) loop->stop();
    });
    const Duration after{random() % 60};
    each.due = Clock::now() + after;
    each.timer->start(after);
  }
  loop->run();
  CHECK(called == timers.size());
}

TEST_CASE("ten thousand timers at once: each is called once, unless it was stopped") {
  constexpr std::size_t count = 10'000;
  test::Loop loop;
  std::vector<std::unique_ptr<Timer>> timers(count);
  std::vector<int> calls(count);
  std::size_t left = count;
  for (std::size_t i = 0; i < count; ++i) {
    timers[i] = std::make_unique<Timer>(loop, [&, i] {
      ++calls[i];
      // One of three stops the one behind it, which may be due in the same wake-up.
      if (i % 3 == 0 && i + 1 < count && timers[i + 1]->is_running()) {
        timers[i + 1]->stop();
        calls[i + 1] += 10;
        if (--left == 0) loop->stop();
      }
      if (--left == 0) loop->stop();
    });
    timers[i]->start(std::chrono::milliseconds{i * 7919 % 50});
  }
  loop->run();
  for (std::size_t i = 0; i < count; ++i) {
    CAPTURE(i);
    REQUIRE((calls[i] == 1 || calls[i] == 10));
  }
}

TEST_CASE("a timer may be stopped, started anew and destroyed inside a call, its own and others'") {
  test::Loop loop;
  int calls = 0;
  std::optional<Timer> victim;
  std::optional<Timer> own;
  victim.emplace(loop, [&] { calls += 100; });
  own.emplace(loop, [&] {
    ++calls;
    if (calls == 1) return own->start(1ms);
    if (calls == 2) {
      own->start(1ms);
      own->stop();
      victim->start(0ms);
      victim.reset();
      own.reset();
    }
  });
  own->start(0ms);
  victim->start(1h);
  test::run_for(loop, 30ms);
  CHECK(calls == 2);
}

TEST_CASE("what is posted to a loop that runs no more is never called, and is let go") {
  const auto token = std::make_shared<int>();
  int calls = 0;
  {
    test::Loop loop;
    loop->post([&] { loop->stop(); });
    loop->run();
    loop->post([&, token] { ++calls; });
  }
  CHECK(calls == 0);
  CHECK(token.use_count() == 1);
}

TEST_CASE("a loop that has nothing to do waits, also after its last timer and its last post") {
  test::Loop loop;
  int calls = 0;
  loop->post([&] { ++calls; });
  Timer timer{loop, [&] { ++calls; }};
  timer.start(1ms);
  std::thread later{[&] {
    std::this_thread::sleep_for(100ms);
    loop->post([&] { loop->stop(); });
  }};
  const unsigned long before = test::waits();
  loop->run();
  CHECK(test::waits() - before < 10);
  later.join();
  CHECK(calls == 2);
}

TEST_CASE("a timer that restarts itself with 0 leaves sockets and posts their turn") {
  test::EchoServer echo;
  echo.start();
  Timer* again = nullptr;
  Timer busy{*echo.loop, [&] { again->start(0ms); }};
  again = &busy;
  busy.start(0ms);
  echo.still_echoes();
  bool posted = false;
  echo.loop->post([&] { posted = true; });
  test::run_until(*echo.loop, [&] { return posted; });
  busy.stop();
  echo.run_until_empty();
}

TEST_CASE("thread: post() wakes a loop that waits") {
  test::Loop loop;
  for (int i = 0; i < 50; ++i) {
    bool called = false;
    std::thread poster{[&] {
      loop->post([&] { called = true; });
      loop->post([&] { loop->stop(); });
    }};
    loop->run();  // with no timer nor socket: nothing else can wake it
    poster.join();
    CHECK(called);
  }
}

TEST_CASE("thread: post() from four threads at once") {
  constexpr int threads = 4;
  constexpr int posts = 2000;
  test::Loop loop;
  std::vector<std::vector<int>> calls(threads);
  int finished = 0;
  std::vector<std::thread> posters;
  for (std::size_t t = 0; t < threads; ++t) {
    posters.emplace_back([&, t] {
      for (int i = 0; i < posts; ++i) loop->post([&calls, t, i] { calls[t].push_back(i); });
      loop->post([&] {
        if (++finished == threads) loop->stop();
      });
    });
  }
  loop->run();
  for (auto& each : posters) each.join();
  for (const auto& of_thread : calls) {
    REQUIRE(of_thread.size() == posts);
    CHECK(std::is_sorted(of_thread.begin(), of_thread.end()));
  }
}
