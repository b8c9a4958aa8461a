// Peers that read slowly: what becomes of messages sent to them, by Limits::slow_readers.
#include <doctest/doctest.h>

#include <string>

#include "support/allocation.hpp"
#include "support/server_world.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Lines;
using test::Peer;
namespace opcode = test::opcode;

// A server with one peer that takes nothing. Over 100 bytes of output is too much.
struct World : test::World {
  Peer* peer = nullptr;

  explicit World(SlowReaders how) {
    limits.output_high_water = 100;
    limits.output_low_water = 20;
    limits.slow_readers = how;
  }
  Connection& stuck() {
    serve();
    peer = &opened();
    peer->room = 0;
    peer->written.clear();
    return *connection();
  }
  std::uint64_t dropped() { return server->metrics().dropped; }
  // All that the peer gets in the end.
  Lines got() {
    peer->room = test::any_number;
    peer->takes_all();
    return peer->frames();
  }
};

// A message of 50 bytes, so that the third is one too many.
std::string text(int number) {
  std::string text = std::to_string(number);
  return text + std::string(50 - text.size(), '.');
}
std::string line(int number) { return "> text \"" + text(number) + '"'; }

PreparedMessage prepared(int number, std::uint64_t topic = 0) {
  return PreparedMessage{{MessageType::text, as_bytes(text(number))}, topic};
}

}  // namespace

TEST_CASE("slow readers: wait queues up to the limit") {
  World world{SlowReaders::wait};
  world.limits.output_bytes = 200;
  Connection& c = world.stuck();
  for (int i = 1; i <= 3; ++i) CHECK(c.send(text(i)) == errc::ok);
  CHECK(c.is_congested());
  CHECK(c.send(text(4)) == errc::output_full);
  CHECK(world.got() == Lines{line(1), line(2), line(3)});
  CHECK(world.heard() == Lines{"1 drain"});
}

TEST_CASE("slow readers: drop_newest refuses until the low water is reached") {
  World world{SlowReaders::drop_newest};
  Connection& c = world.stuck();
  for (int i = 1; i <= 2; ++i) CHECK(c.send(text(i)) == errc::ok);
  CHECK(c.is_congested());
  CHECK(c.send(text(3)) == errc::slow_reader);
  CHECK(c.send(prepared(3)) == errc::slow_reader);
  CHECK(world.dropped() == 2);
  CHECK(c.send_piece({MessageType::text, as_bytes("part")}, false) == errc::slow_reader);
  CHECK(c.ping() == errc::ok);  // it is still told that it is asked for
  world.peer->takes(60);
  CHECK(c.send(text(4)) == errc::slow_reader);  // 46 wait
  world.peer->takes(30);
  CHECK(c.send(text(5)) == errc::ok);
  CHECK(world.heard() == Lines{"1 drain"});
  CHECK(world.got() == Lines{line(1), line(2), "> ping", line(5)});
}

TEST_CASE("slow readers: close closes with 1008, and cuts who does not even take that") {
  World world{SlowReaders::close};
  Connection& c = world.stuck();
  for (int i = 1; i <= 2; ++i) CHECK(c.send(text(i)) == errc::ok);
  CHECK(c.send(text(3)) == errc::slow_reader);
  world.loop.settle();
  CHECK(world.heard() == Lines{"1 closed 1006 sent=1008 error=peer_too_slow"});
  CHECK(world.server->metrics().slow_closed == 1);
  SUBCASE("it reads on") {
    CHECK(world.got() ==
          Lines{line(1), line(2),
                "> close 1008 \"the peer has left 104 bytes unread; Limits::output_high_water is "
                "100\""});
    world.peer->ends();
    CHECK(world.peer->closed == How::graceful);
  }
  SUBCASE("it does not") {
    world.loop.passes(5s);
    CHECK(world.peer->closed == How::abortive);
  }
}

TEST_CASE("slow readers: drop_oldest keeps the latest, and what was queued before") {
  World world{SlowReaders::drop_oldest};
  bool shares = false;
  SUBCASE("copies") {}
  SUBCASE("what many share") { shares = true; }
  Connection& c = world.stuck();
  const std::size_t before = world.loop.pool().in_use();
  for (int i = 1; i <= 9; ++i) CHECK((shares ? c.send(prepared(i)) : c.send(text(i))) == errc::ok);
  CHECK(world.dropped() == 5);
  CHECK(world.heard().empty());
  CHECK(world.got() == Lines{line(1), line(2), line(8), line(9)});
  CHECK(world.heard() == Lines{"1 drain"});
  CHECK_FALSE(c.is_congested());
  CHECK(world.loop.pool().in_use() == before);
  world.peer->sends(opcode::pong, "");
  CHECK(world.loop.pool().spare() != nullptr);  // and nothing is under way any more
}

TEST_CASE("slow readers: drop_oldest keeps one message, however large") {
  World world{SlowReaders::drop_oldest};
  world.limits.output_bytes = 1000;
  Connection& c = world.stuck();
  for (int i = 1; i <= 3; ++i) CHECK(c.send(text(i)) == errc::ok);
  CHECK(c.send(std::string(997, 'x')) == errc::output_full);  // with its header
  CHECK(c.send(std::string(996, 'x')) == errc::ok);
  CHECK(world.got() == Lines{line(1), line(2), "> text \"x\"*996"});
}

TEST_CASE("slow readers: conflate keeps the latest of each topic, in the place of the first") {
  World world{SlowReaders::conflate};
  Connection& c = world.stuck();
  for (int i = 1; i <= 2; ++i) CHECK(c.send(text(i)) == errc::ok);
  CHECK(c.send(prepared(3, 7)) == errc::ok);
  CHECK(c.send(text(4)) == errc::ok);  // of topic 0
  for (int i = 5; i <= 8; ++i) CHECK(c.send(prepared(i, 7)) == errc::ok);
  CHECK(c.send(text(9)) == errc::ok);
  CHECK(world.dropped() == 5);
  SUBCASE("two of them have room") {
    CHECK(world.got() == Lines{line(1), line(2), line(8), line(9)});
  }
  SUBCASE("a third has not, and the first goes") {
    CHECK(c.send(prepared(10, 8)) == errc::ok);
    CHECK(c.send(prepared(11, 7)) == errc::ok);  // which is the one that went: it is new
    CHECK(world.got() == Lines{line(1), line(2), line(10), line(11)});
  }
  CHECK(world.heard() == Lines{"1 drain"});
}

TEST_CASE("slow readers: what waits goes out as there is room, in order") {
  World world{SlowReaders::drop_oldest};
  world.limits.output_high_water = 300;
  Connection& c = world.stuck();
  for (int i = 1; i <= 11; ++i) CHECK(c.send(text(i)) == errc::ok);
  CHECK(world.dropped() == 0);
  Lines all;
  for (int i = 1; i <= 11; ++i) all.push_back(line(i));
  std::string got;
  for (int i = 0; i < 200 && world.peer->is_blocked(); ++i) {
    world.peer->takes(7);
    CHECK(c.output_size() <= 300 + 52);
    got += std::exchange(world.peer->written, {});
  }
  CHECK(test::OutputLog{Role::server, true}.read(got) == all);
  CHECK(world.heard() == Lines{"1 drain"});
}

TEST_CASE("slow readers: what waits goes out only up to the high water") {
  World world{SlowReaders::drop_oldest};
  world.limits.output_low_water = 90;
  Connection& c = world.stuck();
  for (int i = 1; i <= 4; ++i) CHECK(c.send(text(i)) == errc::ok);
  world.peer->takes(14);
  CHECK(c.output_size() == 90 + 52);
  CHECK(c.is_congested());
  CHECK(world.heard().empty());
  CHECK(world.dropped() == 0);
  CHECK(world.got().size() == 4);
}

TEST_CASE("slow readers: a fragmented message is not cut, and none overtakes what waits") {
  World world{SlowReaders::drop_oldest};
  Connection& c = world.stuck();
  CHECK(c.send_piece({MessageType::text, as_bytes(text(1))}, false) == errc::ok);
  CHECK(c.send_piece({MessageType::text, as_bytes(text(2))}, false) == errc::ok);
  CHECK(c.is_congested());
  CHECK(c.send(text(9)) == errc::message_unfinished);
  CHECK(c.send_piece({MessageType::text, as_bytes(text(3))}, true) == errc::ok);
  CHECK(c.send_piece({MessageType::text, as_bytes("new")}, true) == errc::slow_reader);
  CHECK(c.send(text(4)) == errc::ok);
  const std::string rest = text(3) + "\"";
  CHECK(world.got() == Lines{"> fin=0 text \"" + text(1) + '"',
                             "> fin=0 continuation \"" + text(2) + '"', "> continuation \"" + rest,
                             line(4)});
}

TEST_CASE("slow readers: closing drops what waits, and so does being cut") {
  World world{SlowReaders::drop_oldest};
  Connection& c = world.stuck();
  const auto kept = c.keep();
  for (int i = 1; i <= 4; ++i) CHECK(c.send(text(i)) == errc::ok);
  SUBCASE("closing") {
    CHECK(c.close() == errc::ok);
    CHECK(world.got() == Lines{line(1), line(2), "> close 1000"});
    world.peer->closes();
  }
  SUBCASE("being cut") {
    c.abort();
    world.loop.settle();
    CHECK(world.peer->closed == How::abortive);
  }
  CHECK(world.loop.pool().in_use() == 0);
}

TEST_CASE("slow readers: without memory a message is refused, and nothing else happens") {
  World world{SlowReaders::conflate};
  Connection& c = world.stuck();
  for (int i = 1; i <= 2; ++i) CHECK(c.send(text(i)) == errc::ok);
  const PreparedMessage three = prepared(3, 1);
  const std::size_t before = world.loop.pool().in_use();
  std::size_t failures = 0;
  for (std::size_t nth = 1;; ++nth) {
    errc result = errc::ok;
    if (!test::Allocation::fail_in(nth, [&] { result = c.send(three); })) break;
    CHECK(result == errc::no_memory);
    ++failures;
  }
  CHECK(failures >= 3);
  CHECK(world.loop.pool().in_use() == before + 50);
  CHECK(world.got() == Lines{line(1), line(2), line(3)});
}

TEST_CASE("pings are each answered, but with output blocked only the last one is") {
  World world{SlowReaders::wait};
  Connection& c = world.stuck();
  world.peer->sends(opcode::ping, "1");
  world.peer->sends(opcode::ping, "2");
  for (int i = 1; i <= 2; ++i) CHECK(c.send(text(i)) == errc::ok);
  CHECK(c.is_congested());
  CHECK_FALSE(world.peer->reads);
  // One read more may be under way, and pings in it.
  world.peer->reads = true;
  world.peer->sends(test::client_frame(opcode::ping, "3") + test::client_frame(opcode::ping, "4"));
  CHECK(world.got() == Lines{"> pong \"1\"", "> pong \"2\"", line(1), line(2), "> pong \"4\""});
  world.peer->sends(test::client_frame(opcode::ping, "5") + test::client_frame(opcode::ping, "6"));
  CHECK(world.peer->frames() == Lines{"> pong \"5\"", "> pong \"6\""});
}

TEST_CASE(
    "a broadcast to many of whom some never read keeps to the budget, and reaches the others") {
  World world{SlowReaders::drop_oldest};
  world.limits.output_high_water = 64 * 1024;
  world.limits.output_low_water = 16 * 1024;
  world.serve();
  std::vector<Peer*> slow;
  std::vector<Peer*> others;
  for (int i = 0; i < 1000; ++i) {
    Peer& peer = world.opened();
    (i % 10 == 0 ? slow : others).push_back(&peer);
    if (i % 10 == 0) peer.room = 0;
  }
  const std::string payload(8 * 1024, 'x');
  for (int round = 1; round <= 50; ++round) {
    CHECK(world.server->broadcast({MessageType::binary, as_bytes(payload)}) == 1000);
    world.loop.settle();
    std::size_t whole = 0;
    for (Peer* peer : others) {
      if (peer->written.size() == payload.size() + 4) ++whole;
      peer->written.clear();
    }
    CHECK(whole == others.size());
  }
  CHECK(world.loop.pool().in_use() <= slow.size() * 160 * 1024);
  for (Peer* peer : slow) CHECK_FALSE(peer->closed);
}
