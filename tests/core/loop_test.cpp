// What every loop does the same way: batches, deferred work, the one alarm, post().
#include <doctest/doctest.h>

#include <memory>
#include <thread>
#include <vector>

#include "support/fake_loop.hpp"
#include "timtow/loop.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::FakeLoop;

struct Work final : Deferred {
  explicit Work(std::function<void()> what) : function(std::move(what)) {}
  void run_deferred() noexcept override { function(); }
  std::function<void()> function;
};

using Calls = std::vector<int>;

}  // namespace

TEST_CASE("deferred work waits for the end of the outermost batch, and is done once, in order") {
  FakeLoop loop;
  Calls calls;
  Work a{[&] { calls.push_back(1); }};
  Work b{[&] { calls.push_back(2); }};
  {
    const Loop::Batch outer{loop};
    {
      const Loop::Batch inner{loop};
      loop.defer(b);
      loop.defer(a);
      loop.defer(b);
    }
    CHECK(calls.empty());
    loop.defer(a);
    CHECK(calls.empty());
  }
  CHECK(calls == Calls{2, 1});
  { const Loop::Batch again{loop}; }
  CHECK(calls == Calls{2, 1});
}

TEST_CASE("deferred work may defer more, itself too, and open batches of its own") {
  FakeLoop loop;
  Calls calls;
  int left = 3;
  Work b{[&] { calls.push_back(2); }};
  Work a{[&] { calls.push_back(1); }};
  a.function = [&] {
    const Loop::Batch inner{loop};
    calls.push_back(1);
    loop.defer(b);
    if (--left > 0) loop.defer(a);
  };
  {
    const Loop::Batch batch{loop};
    loop.defer(a);
  }
  CHECK(calls == Calls{1, 2, 1, 2, 1, 2});
}

TEST_CASE("deferred work may be destroyed inside its own call") {
  FakeLoop loop;
  std::unique_ptr<Work> work;
  bool called = false;
  work = std::make_unique<Work>([&] {
    called = true;
    work.reset();
  });
  {
    const Loop::Batch batch{loop};
    loop.defer(*work);
  }
  CHECK(called);
}

TEST_CASE("the alarm is armed when the first timer changes, and only then") {
  FakeLoop loop;
  Timer a{loop, [] {}};
  Timer b{loop, [] {}};
  a.start(1h);
  CHECK(loop.arms == 1);
  const TimePoint first = loop.alarm_at;
  b.start(2h);
  CHECK(loop.arms == 1);
  CHECK(loop.alarm_at == first);
  b.start(1min);
  CHECK(loop.arms == 2);
  CHECK(loop.alarm_at < first);
  b.stop();
  CHECK(loop.arms == 3);
  CHECK(loop.alarm_at == first);
  a.stop();
  CHECK(loop.arms == 4);
  CHECK(loop.alarm_at == never);
  {
    const Loop::Batch batch{loop};  // what changes back in one event is no change
    a.start(1h);
    a.stop();
  }
  CHECK(loop.arms == 4);
}

TEST_CASE("after an alarm the next timer is armed, and after the last none is") {
  FakeLoop loop;
  int calls = 0;
  Timer a{loop, [&] { ++calls; }};
  Timer b{loop, [&] { ++calls; }};
  a.start(1h);
  b.start(3h);
  loop.passes(2h);
  CHECK(calls == 1);
  CHECK(loop.arms == 2);
  CHECK(loop.alarm_at > loop.time());
  CHECK(loop.alarm_at != never);
  loop.passes(2h);
  CHECK(calls == 2);
  CHECK(loop.alarm_at == never);
  CHECK(loop.alarms == 2);
}

TEST_CASE("now() is the time of the event at hand") {
  const TimePoint start = Clock::now() + 100h;
  FakeLoop loop{start};
  CHECK(loop.now() == start);
  const Loop::Batch batch{loop};
  CHECK(loop.now() == start);
  loop.passes(1h);
  CHECK(loop.now() == start + 1h);
}

TEST_CASE("what is posted is called in order, as one event each, and what that posts comes later") {
  FakeLoop loop;
  Calls calls;
  Work work{[&] { calls.push_back(0); }};
  loop.post([&] {
    calls.push_back(1);
    loop.defer(work);
    loop.post([&] { calls.push_back(3); });
  });
  loop.post([&] { calls.push_back(2); });
  CHECK(calls.empty());
  CHECK(loop.woken == 1);  // one wake-up for both
  loop.settle();
  CHECK(calls == Calls{1, 0, 2, 3});
}

TEST_CASE("what is posted to a loop that runs no more is never called, but destroyed") {
  const auto captured = std::make_shared<int>();
  bool called = false;
  {
    FakeLoop loop;
    loop.post([&called, captured] { called = true; });
    CHECK(captured.use_count() == 2);
  }
  CHECK_FALSE(called);
  CHECK(captured.use_count() == 1);
}

TEST_SUITE("thread") {
  TEST_CASE("post() from four threads: each function once, in order for each thread") {
    constexpr int threads = 4;
    constexpr int posts = 5000;
    FakeLoop loop;
    std::vector<Calls> calls(threads);  // only the loop's thread touches it
    int finished = 0;
    std::vector<std::thread> posters;
    for (int t = 0; t < threads; ++t) {
      posters.emplace_back([&, t] {
        for (int i = 0; i < posts; ++i)
          loop.post([&calls, t, i] { calls[static_cast<std::size_t>(t)].push_back(i); });
        loop.post([&] {
          if (++finished == threads) loop.stop();
        });
      });
    }
    loop.run();
    for (auto& each : posters) each.join();
    for (const Calls& of_thread : calls) {
      REQUIRE(of_thread.size() == posts);
      for (int i = 0; i < posts; ++i) REQUIRE(of_thread[static_cast<std::size_t>(i)] == i);
    }
  }
}
