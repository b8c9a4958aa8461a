// Timers: in order, never early, and free to change everything from inside their own call.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "support/allocation.hpp"
#include "support/fake_loop.hpp"
#include "timtow/timer.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;

constexpr TimePoint start = TimePoint{} + 1h;

// An entry that says its number, and may do something then.
struct Entry final : TimerQueue::Entry {
  Entry(std::vector<int>& list, int its_number) : calls(list), number(its_number) {}
  void due(TimePoint now) override {
    CHECK(at() == never);  // taken out first
    called_at = now;
    calls.push_back(number);
    if (act) act();
  }
  std::vector<int>& calls;
  int number;
  TimePoint called_at{};
  std::function<void()> act;
};

struct Queue {
  TimerQueue queue;
  std::vector<int> calls;
  Entry a{calls, 1};
  Entry b{calls, 2};
  Entry c{calls, 3};

  std::vector<int> run(TimePoint now) {
    queue.run(now);
    return std::exchange(calls, {});
  }
};

using Calls = std::vector<int>;

}  // namespace

TEST_CASE("timers are called in the order of their times, and none before its time") {
  Queue q;
  q.queue.set(q.c, start + 3ms);
  q.queue.set(q.a, start + 1ms);
  q.queue.set(q.b, start + 2ms);
  CHECK(q.queue.size() == 3);
  CHECK(q.queue.next() == start + 1ms);
  CHECK(q.run(start + 1ms - 1ns) == Calls{});
  CHECK(q.run(start + 1ms) == Calls{1});
  CHECK(q.queue.next() == start + 2ms);
  CHECK(q.run(start + 1h) == Calls{2, 3});
  CHECK(q.b.called_at == start + 1h);
  CHECK(q.queue.next() == never);
  CHECK(q.queue.size() == 0);
}

TEST_CASE("timers that are due together are called in the order they were set") {
  TimerQueue queue;
  Calls calls;
  std::vector<std::unique_ptr<Entry>> entries;
  for (int i = 0; i < 100; ++i) entries.push_back(std::make_unique<Entry>(calls, i));
  for (const auto& each : entries) queue.set(*each, start);
  // Who is set again, to another time and back, goes to the end.
  queue.set(*entries[0], start + 1ms);
  queue.set(*entries[0], start);
  queue.run(start);
  Calls expected(100);
  std::iota(expected.begin(), expected.end(), 1);
  expected.back() = 0;
  CHECK(calls == expected);
}

TEST_CASE("a timer that is set again is called once, at its new time") {
  Queue q;
  q.queue.set(q.a, start + 10ms);
  q.queue.set(q.b, start + 20ms);
  q.queue.set(q.c, start + 30ms);
  q.queue.set(q.a, start + 25ms);  // later
  q.queue.set(q.c, start + 5ms);   // earlier
  CHECK(q.queue.size() == 3);
  CHECK(q.a.at() == start + 25ms);
  CHECK(q.run(start + 20ms) == Calls{3, 2});
  CHECK(q.run(start + 1h) == Calls{1});
}

TEST_CASE("a timer that is set to never is not called, wherever it stands in the queue") {
  for (int cancelled = 0; cancelled < 20; ++cancelled) {
    CAPTURE(cancelled);
    TimerQueue queue;
    Calls calls;
    std::vector<std::unique_ptr<Entry>> entries;
    for (int i = 0; i < 20; ++i) {
      entries.push_back(std::make_unique<Entry>(calls, i));
      queue.set(*entries.back(), start + (i * 7 % 20) * 1ms);
    }
    Entry& victim = *entries[static_cast<std::size_t>(cancelled)];
    const std::size_t asked = test::Allocation::count_in([&] { queue.set(victim, never); });
    CHECK(asked == 0);
    CHECK(victim.at() == never);
    queue.set(victim, never);  // again: nothing
    queue.run(start + 1h);
    CHECK(calls.size() == 19);
    CHECK(std::count(calls.begin(), calls.end(), cancelled) == 0);
    const bool in_order = std::is_sorted(calls.begin(), calls.end(),
                                         [](int a, int b) { return a * 7 % 20 < b * 7 % 20; });
    CHECK(in_order);
  }
}

TEST_CASE("a timer's call may cancel itself, others, and one that is due in the same run") {
  Queue q;
  q.queue.set(q.a, start);
  q.queue.set(q.b, start);
  q.queue.set(q.c, start + 1ms);
  q.a.act = [&] {
    q.queue.set(q.a, never);
    q.queue.set(q.b, never);
    q.queue.set(q.c, never);
  };
  CHECK(q.run(start + 1h) == Calls{1});
  CHECK(q.queue.size() == 0);
}

TEST_CASE("what a timer's call sets waits for the next run, even if it is due") {
  Queue q;
  q.queue.set(q.a, start);
  q.queue.set(q.b, start + 1ms);
  q.a.act = [&] { q.queue.set(q.a, start + 1ms); };
  q.b.act = [&] { q.queue.set(q.c, start + 1ms); };
  CHECK(q.run(start + 1ms) == Calls{1, 2});
  q.a.act = nullptr;
  CHECK(q.queue.next() == start + 1ms);
  CHECK(q.run(start + 1ms) == Calls{1, 3});
}

TEST_CASE("a timer that always sets itself to a time that has passed holds up no other") {
  Queue q;
  q.queue.set(q.a, start);
  q.queue.set(q.b, start + 1ms);
  q.a.act = [&] { q.queue.set(q.a, start); };
  CHECK(q.run(start + 1ms) == Calls{1, 2});
  CHECK(q.run(start + 1ms) == Calls{1});
}

TEST_CASE("10,000 timers in random order: all are called, in order, none early") {
  TimerQueue queue;
  Calls calls;
  std::vector<std::unique_ptr<Entry>> entries;
  std::mt19937 random{1};
  std::vector<TimePoint> times;
  for (int i = 0; i < 10'000; ++i) {
    entries.push_back(std::make_unique<Entry>(calls, i));
    queue.set(*entries.back(), start + std::chrono::microseconds{random() % 1'000'000});
  }
  for (int i = 0; i < 10'000; i += 3)  // a third of them moves, and a few go
    queue.set(*entries[static_cast<std::size_t>(i)],
              i % 7 == 0 ? never : start + std::chrono::microseconds{random() % 1'000'000});
  for (const auto& each : entries) times.push_back(each->at());
  const auto gone = std::count(times.begin(), times.end(), never);

  for (TimePoint now = start; queue.size() != 0; now += 13ms) queue.run(now);
  REQUIRE(calls.size() == 10'000 - static_cast<std::size_t>(gone));
  const auto time_of = [&](int number) { return times[static_cast<std::size_t>(number)]; };
  CHECK(std::is_sorted(calls.begin(), calls.end(),
                       [&](int a, int b) { return time_of(a) < time_of(b); }));
  for (const int number : calls) {
    const Entry& entry = *entries[static_cast<std::size_t>(number)];
    REQUIRE(entry.called_at >= time_of(number));
    REQUIRE(entry.called_at - 13ms < time_of(number));
  }
}

// -- Timer ----------------------------------------------------------------------------------------

TEST_CASE("a Timer calls once for each start, and not when it was stopped") {
  test::FakeLoop loop;
  int calls = 0;
  Timer timer{loop, [&] { ++calls; }};
  CHECK_FALSE(timer.is_running());
  loop.passes(1h);
  CHECK(calls == 0);

  const TimePoint before = Clock::now();
  timer.start(1min);
  CHECK(timer.is_running());
  CHECK(loop.alarm_at >= before + 1min);
  loop.passes(1h);
  CHECK(calls == 1);
  CHECK_FALSE(timer.is_running());
  CHECK(loop.alarm_at == never);
  loop.passes(1h);
  CHECK(calls == 1);

  timer.start(3h);
  timer.stop();
  CHECK_FALSE(timer.is_running());
  CHECK(loop.alarm_at == never);
  loop.passes(24h);
  CHECK(calls == 1);
}

TEST_CASE("a running Timer that is started starts anew") {
  test::FakeLoop loop;
  int calls = 0;
  Timer timer{loop, [&] { ++calls; }};
  timer.start(1h);
  timer.start(3h);
  loop.passes(2h);
  CHECK(calls == 0);
  loop.passes(2h);
  CHECK(calls == 1);
}

TEST_CASE("a Timer of no time, less than none, or more than there is") {
  test::FakeLoop loop;
  Calls calls;
  Timer none{loop, [&] { calls.push_back(1); }};
  Timer less{loop, [&] { calls.push_back(2); }};
  Timer most{loop, [&] { calls.push_back(3); }};
  most.start(Duration::max());
  CHECK(most.is_running());
  none.start(0ms);
  less.start(Duration::min());
  loop.passes(1min);
  CHECK(calls == Calls{1, 2});
  loop.passes(24h * 1000);
  CHECK(calls == Calls{1, 2});
  CHECK(most.is_running());
}

TEST_CASE("a Timer that restarts itself with 0 leaves the loop its turn") {
  test::FakeLoop loop;
  int calls = 0;
  bool posted = false;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(loop, [&] {
    if (++calls == 1000) FAIL("the loop is starved");
    timer->start(0ms);
    loop.post([&] {
      posted = true;
      timer->stop();
    });
  });
  timer->start(0ms);
  loop.passes(1h);  // so that each restart is due at once
  CHECK(posted);
  CHECK(calls < 10);
}

TEST_CASE(
    "a Timer may be destroyed inside its own call, and what it captured lives until it returns") {
  test::FakeLoop loop;
  const auto captured = std::make_shared<int>(0);
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(loop, [&timer, copy = captured] {
    timer.reset();
    ++*copy;
  });
  timer->start(1ms);
  loop.passes(1h);
  CHECK(*captured == 1);
  CHECK(captured.use_count() == 1);
}

TEST_CASE("a Timer may destroy others inside its call, those that are due as well") {
  test::FakeLoop loop;
  int others = 0;
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < 10; ++i) {
    timers.push_back(std::make_unique<Timer>(loop, [&, i] {
      if (i != 0) ++others;
      timers.clear();
    }));
    timers.back()->start(1ms);
  }
  loop.passes(1h);
  CHECK(others == 0);
  CHECK(loop.timers().size() == 0);
  CHECK(loop.alarm_at == never);
}

TEST_CASE("stopping a Timer asks for no memory") {
  test::FakeLoop loop;
  Timer timer{loop, [] {}};
  timer.start(1h);
  CHECK(test::Allocation::count_in([&] { timer.stop(); }) == 0);
}
