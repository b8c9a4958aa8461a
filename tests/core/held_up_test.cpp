// A loop that was held up, for seconds, by a handler or by the system: whose deadline came
// meanwhile is heard first. The loop of these tests looks at its alarm before it reads.
#include <doctest/doctest.h>

#include "support/server_world.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Lines;
using test::Peer;
using test::World;
namespace opcode = test::opcode;

}  // namespace

TEST_CASE("what a peer said while the loop was held up is read before its silence is judged") {
  World world;
  world.limits.idle_time = 60s;
  world.serve();
  Peer& speaker = world.opened();
  world.opened();
  world.loop.is_held_up(5min, [&] { speaker.sends(opcode::text, "here"); });
  CHECK(world.heard() == Lines{"1 message text 4 \"here\""});
  world.loop.passes(1s);  // the other one had this time
  CHECK(world.heard() == Lines{"2 closed 1006 sent=1008 error=idle_timeout"});
  world.loop.passes(59s);
  CHECK(world.heard() == Lines{"1 closed 1006 sent=1008 error=idle_timeout"});
}

TEST_CASE(
    "a handshake and a closing handshake that were in time are done, however late that is seen") {
  World world;
  world.serve();
  Peer& late = world.loop.connects();
  late.sends(test::upgrade_request.substr(0, 50));
  Peer& closing = world.opened();
  world.connection(2)->close();
  world.loop.is_held_up(1h, [&] {
    late.sends(test::upgrade_request.substr(50));
    closing.closes();
  });
  CHECK(world.heard() == Lines{"1 open", "2 closed 1000 sent=1000"});
  CHECK(closing.closed == How::graceful);
}

TEST_CASE("a loop that is held up again and again puts a deadline off once") {
  World world;
  world.limits.idle_time = 60s;
  world.serve();
  world.opened();
  world.loop.is_held_up(5min);
  CHECK(world.heard().empty());
  world.loop.is_held_up(5min);
  CHECK(world.heard() == Lines{"1 closed 1006 sent=1008 error=idle_timeout"});
}

TEST_CASE("an alarm that is a little late is none of a loop that was held up") {
  World world;
  world.limits.idle_time = 60s;
  world.serve();
  world.opened();
  world.loop.passes(59s);
  world.loop.is_held_up(1s + 10ms);
  CHECK(world.heard() == Lines{"1 closed 1006 sent=1008 error=idle_timeout"});
}
