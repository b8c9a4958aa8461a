// Budgets of memory: a connection's, and that of all of a loop.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/client_world.hpp"
#include "support/server_world.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Lines;
using test::Peer;
namespace opcode = test::opcode;

constexpr std::size_t kib = 1024;
constexpr std::size_t mib = 1024 * kib;

// The beginning of a message of that size, of which so many bytes come.
std::string part_of_message(std::size_t size, std::size_t part) {
  return test::client_frame(opcode::binary, std::string(size, 'x')).substr(0, 14 + part);
}

struct StrainLog final : Strain {
  int times = 0;
  void strained() noexcept override { ++times; }
};

}  // namespace

TEST_CASE("pool: the last eighth of a budget is told of when it is drawn upon") {
  StrainLog strain;
  Pool pool;
  pool.limit(64 * kib, &strain);
  CHECK(pool.budget() == 64 * kib);
  std::vector<Block> blocks;
  for (int i = 0; i < 14; ++i) blocks.push_back(pool.allocate(4 * kib));
  CHECK(pool.in_use() == 56 * kib);
  CHECK(strain.times == 0);
  CHECK_FALSE(pool.is_strained());
  blocks.push_back(pool.allocate(4 * kib));
  CHECK(blocks.back());
  CHECK(strain.times == 1);
  CHECK(pool.is_strained());
  CHECK(pool.in_use() == 60 * kib);
  CHECK(pool.charge(4 * kib));
  CHECK(pool.budget() == 64 * kib);
  CHECK_FALSE(pool.allocate(1));
  CHECK_FALSE(pool.charge(1));
  CHECK(strain.times == 3);

  pool.refund(4 * kib);
  pool.settle();
  CHECK(pool.is_strained());
  pool.release(blocks.back());
  blocks.pop_back();
  pool.settle();
  CHECK_FALSE(pool.is_strained());
  CHECK(pool.in_use() == 56 * kib);
  CHECK(pool.budget() == 64 * kib);
  for (const Block& block : blocks) pool.release(block);
  CHECK(pool.in_use() == 0);
}

TEST_CASE("pool: a block that is free, larger, or grown in place draws as well") {
  StrainLog strain;
  Pool pool;
  const Block large = pool.allocate(100 * kib);
  pool.release(large);
  pool.limit(128 * kib, &strain);
  const Block first = pool.allocate(100 * kib);
  CHECK(strain.times == 0);
  const Block grown = pool.grow(first, 1, 120 * kib);
  REQUIRE(grown);
  CHECK(strain.times == 1);
  CHECK_FALSE(pool.grow(grown, 1, 130 * kib));
  pool.release(grown);
  pool.settle();
  CHECK_FALSE(pool.is_strained());
}

TEST_CASE("pool: a budget below what is in use lends nothing") {
  Pool pool;
  const Block block = pool.allocate(4 * kib);
  pool.limit(1 * kib, nullptr);
  CHECK_FALSE(pool.allocate(1));
  pool.release(block);
  CHECK(pool.in_use() == 0);
}

TEST_CASE("a loop that is short of memory ends those who hold most, and nobody else") {
  test::World world;
  world.echo();
  world.loop.limit_memory(8 * mib);
  Peer& idle = world.opened();
  Peer& small = world.opened();
  small.sends(part_of_message(100 * kib, 40 * kib));
  std::vector<Peer*> large;
  for (int i = 0; i < 10; ++i) {
    large.push_back(&world.opened());
    large.back()->sends(part_of_message(2 * mib, mib));
    CHECK(world.loop.pool().in_use() <= 8 * mib);
  }
  std::size_t ended = 0;
  for (Peer* peer : large) {
    const Lines got = peer->frames();
    if (got.empty()) continue;
    ++ended;
    REQUIRE(got.size() == 1);
    CHECK(got[0].starts_with("> close 1013 \"it held "));
    CHECK(got[0].ends_with("more than most, of the 8388608 of Loop::limit_memory()\""));
    CHECK(peer->shut_down);
  }
  CHECK(ended >= 3);
  CHECK(ended <= 7);
  CHECK_FALSE(world.loop.pool().is_strained());
  small.sends(std::string(60 * kib, 'y'));
  CHECK(small.frames().size() == 1);  // it came whole
  idle.sends(opcode::text, "hi");
  CHECK(idle.frames() == Lines{"> text \"hi\""});
}

TEST_CASE("a loop that is short of memory cuts who does not read") {
  test::World world;
  world.limits.output_high_water = 4 * mib;
  world.serve();
  world.loop.limit_memory(8 * mib);
  std::vector<Peer*> stuck;
  const std::string payload(64 * kib, 'x');
  for (int i = 0; i < 12; ++i) {
    stuck.push_back(&world.opened());
    stuck.back()->room = 0;
  }
  bool shares = false;
  SUBCASE("copies") {}
  SUBCASE("what many share") { shares = true; }
  for (int round = 0; round < 16; ++round) {
    const Message message{MessageType::binary, as_bytes(payload)};
    if (shares)
      world.server->broadcast(message);
    else
      world.server->for_each([&](Connection& c) { c.send(message); });
    CHECK(world.loop.pool().in_use() <= 8 * mib);
  }
  std::size_t cut = 0;
  for (const Peer* peer : stuck)
    if (peer->closed == How::abortive) ++cut;
  CHECK(cut >= 5);
  CHECK(cut < 12);
  CHECK(world.server->size() == 12 - cut);
  REQUIRE(cut > 0);
  CHECK(world.heard()[0].ends_with("closed 1006 sent=1013 error=memory_budget"));
}

TEST_CASE("a loop that is short of memory ends nobody who holds next to nothing") {
  test::World world;
  world.serve();
  world.loop.limit_memory(1 * mib);
  Peer& peer = world.opened();
  peer.sends(part_of_message(2 * kib, 500));
  Pool& pool = world.loop.pool();
  CHECK(pool.charge(mib - 4 * kib));  // by something else
  CHECK(pool.is_strained());
  { const Loop::Batch batch{world.loop}; }
  CHECK(peer.frames() == Lines{});
  CHECK(world.heard() == Lines{});
  pool.refund(mib - 4 * kib);
}

TEST_CASE("a loop that is short of memory answers 503 to heads that do not end") {
  test::World world;
  world.serve();
  world.loop.limit_memory(1 * mib);
  std::vector<Peer*> slow;
  for (int i = 0; i < 80; ++i) {
    slow.push_back(&world.loop.connects());
    if (slow.back()->was_opened())
      slow.back()->sends("GET / HTTP/1.1\r\nX: " + std::string(15'000, 'x'));
    CHECK(world.loop.pool().in_use() <= 1 * mib);
  }
  std::size_t refused = 0;
  for (Peer* peer : slow)
    if (peer->status() == "HTTP/1.1 503 Service Unavailable") ++refused;
  const auto turned_away = static_cast<std::size_t>(std::count_if(
      slow.begin(), slow.end(), [](const Peer* peer) { return !peer->was_opened(); }));
  CHECK(refused > 0);
  CHECK(turned_away > 0);
  CHECK(refused + turned_away < 60);
}

TEST_CASE("a loop that is short of memory lets nobody in, and says so once") {
  test::World world;
  world.serve();
  world.loop.limit_memory(1 * mib);
  Peer& open = world.opened();
  Pool& pool = world.loop.pool();
  CHECK(pool.charge(mib - 4 * kib));
  for (int i = 0; i < 5; ++i) CHECK_FALSE(world.loop.connects().was_opened());
  CHECK(world.server->size() == 1);
  CHECK(world.server->metrics().refused.memory == 5);
  CHECK(world.heard() == Lines{});
  world.loop.passes(1min);
  CHECK(world.heard() == Lines{"error memory_budget"});
  pool.refund(mib - 4 * kib);
  pool.settle();
  world.opened();
  CHECK(world.server->size() == 2);
  open.sends(opcode::text, "hi");
  CHECK(world.heard() == Lines{"1 message text 2 \"hi\""});
}

TEST_CASE("a client's connections count as well, and it is told") {
  test::ClientWorld world;
  world.loop.limit_memory(1 * mib);
  world.connect();
  world.peer().sends(test::ClientWorld::answer_to(world.said()));
  world.heard();
  world.peer().sends(test::server_frame(opcode::binary, std::string(2 * mib, 'x')).substr(0, mib));
  CHECK(world.heard() == Lines{"closed 1006 memory_budget"});
  world.peer().ends();
}

TEST_CASE("a connection has a budget of its own") {
  test::World world;
  world.limits.connection_bytes = mib;
  world.echo();
  Peer& peer = world.opened();
  Peer& other = world.opened();
  SUBCASE("for what is gathered") {
    peer.sends(part_of_message(4 * mib, mib + mib / 2));
    CHECK(peer.frames()[0].ends_with("Limits::connection_bytes is 1048576\""));
    CHECK(world.heard() == Lines{"1 closed 1006 sent=1013 error=memory_budget"});
    CHECK(world.loop.pool().in_use() == 0);
  }
  SUBCASE("for what is not taken: then it is cut") {
    peer.room = 0;
    const auto connection = world.connection();
    for (int i = 0; i < 15; ++i) CHECK(connection->send(std::string(64 * kib, 'x')) == errc::ok);
    CHECK_FALSE(peer.closed);
    CHECK(connection->send(std::string(64 * kib, 'x')) == errc::ok);
    CHECK(connection->send("more") == errc::not_open);
    CHECK(peer.closed == How::abortive);
    CHECK(world.heard() == Lines{"1 closed 1006 sent=1013 error=memory_budget"});
    CHECK(world.loop.pool().in_use() == 0);
  }
  other.sends(opcode::text, "hi");
  CHECK(other.frames() == Lines{"> text \"hi\""});
}
