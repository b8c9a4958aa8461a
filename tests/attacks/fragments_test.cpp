// Messages in more fragments than anybody needs (RFC 6455 sections 5.4 and 10.4).
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "support/allocation.hpp"
#include "support/harness.hpp"

namespace {

using namespace timtow;
using test::Allocation;
using test::Harness;

std::string repeated(const std::string& what, std::size_t times) {
  std::string all;
  all.reserve(what.size() * times);
  for (std::size_t i = 0; i < times; ++i) all += what;
  return all;
}

// Reads of 64 KiB, as they come from a socket.
void flood(Harness& self, const std::string& bytes) { self.feed_by(64 * 1024, bytes); }

std::string last_of(Harness& self) {
  const auto lines = self.log.take();
  return lines.empty() ? std::string{} : lines.back();
}

}  // namespace

TEST_CASE("fragments: 100,000 of one byte are one message, in memory of its size") {
  constexpr std::size_t count = 100'000;
  Harness self{Role::server};
  std::size_t got = 0;
  self.open();
  self.on_event = [&](Harness&, const Event& event) {
    if (const auto* message = event.message()) got = message->payload.size();
  };
  flood(self, self.frame(test::opcode::binary, "x", false));
  std::size_t most = 0;
  const std::string part = repeated(self.frame(test::opcode::continuation, "x", false), 9'999);
  const std::size_t asked = Allocation::count_in([&] {
    for (int i = 0; i < 10; ++i) {
      flood(self, part);
      most = std::max(most, self.pool.in_use());
    }
  });
  CHECK(got == 0);
  CHECK(most <= 4 * count + 1024);
  CHECK(asked <= 100);  // one for a read of this test's, and some as the message grows
  flood(self, repeated(self.frame(test::opcode::continuation, "x", false), 8));
  flood(self, self.frame(test::opcode::continuation, "x"));
  CHECK(got == count);
  CHECK(self.closed_events == 0);
  CHECK(self.pool.in_use() == 0);
}

TEST_CASE("fragments: empty ones without end are stopped at message_fragments, and cost nothing") {
  for (const bool streaming : {false, true}) {
    CAPTURE(streaming);
    Harness self{Role::server};
    self.session.stream_messages(streaming);
    self.open();
    std::size_t most = 0;
    flood(self, self.frame(test::opcode::text, "", false));
    const std::string part = repeated(self.frame(test::opcode::continuation, "", false), 10'000);
    int parts = 0;
    while (self.closed_events == 0 && parts++ < 20) {
      flood(self, part);
      most = std::max(most, self.pool.in_use());
    }
    CHECK(last_of(self) ==
          "closed 1006 sent=1008 error=too_many_fragments \"a message in over 131072 fragments, "
          "which is Limits::message_fragments\"");
    CHECK(most <= 1024);
  }
}

TEST_CASE("fragments: FIN that never comes is stopped at message_bytes") {
  for (const bool streaming : {false, true}) {
    CAPTURE(streaming);
    Harness self{Role::server};
    self.session.stream_messages(streaming);
    self.open();
    std::size_t most = 0;
    self.feed(self.frame(test::opcode::binary, "", false));
    const std::string part =
        self.frame(test::opcode::continuation, std::string(60'000, 'x'), false);
    int parts = 0;
    while (self.closed_events == 0 && parts++ < 1000) {
      self.feed(part);
      self.log.take();
      most = std::max(most, self.pool.in_use());
    }
    CHECK(parts == 16 * 1024 * 1024 / 60'000 + 1);
    CHECK(most <= (streaming ? 1024 : 2 * Limits{}.message_bytes));
    CHECK(self.pool.in_use() <= 1024);
  }
}

TEST_CASE("fragments: many connections without FIN stay within the pool's budget together") {
  constexpr std::size_t budget = 4 * 1024 * 1024;
  Pool pool{budget, 0};
  std::vector<std::unique_ptr<Harness>> all;
  int closed = 0;
  for (int i = 0; i < 100; ++i)
    all.emplace_back(std::make_unique<Harness>(Role::server, Limits{}, pool))->open();
  for (const auto& each : all) {
    Harness& self = *each;
    for (int j = 0; j < 16; ++j) {
      self.feed(self.frame(j == 0 ? test::opcode::binary : test::opcode::continuation,
                           std::string(10'000, 'x'), false));
      CHECK(pool.in_use() <= budget);
    }
    closed += self.closed_events;
  }
  CHECK(closed > 0);
  CHECK(closed < 100);
}
