// Connection: the path of messages between a Transport and the handlers, and all its ends.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <ostream>
#include <set>
#include <vector>

#include "support/allocation.hpp"
#include "support/server_world.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::FakeLoop;
using test::Lines;
using test::Peer;
using test::World;
namespace opcode = test::opcode;

std::error_code broken_pipe() { return std::make_error_code(std::errc::broken_pipe); }

std::string text_frame(std::string_view text) { return test::client_frame(opcode::text, text); }

class Keeper final : public Connection::Owner {
 public:
  explicit Keeper(Loop& loop) : Owner(loop, Handlers{}) {}
  using Owner::add;
  using Owner::remove;
  using Owner::size;

 private:
  void released(std::uint32_t) noexcept override {}
};

}  // namespace

// -- Who holds connections ------------------------------------------------------------------------

TEST_CASE("connections that went leave no place behind, and the others are found") {
  FakeLoop loop;
  const SessionOptions options;
  const auto keeper = std::make_shared<Keeper>(loop);
  const auto add = [&] { return keeper->add(keeper, loop, Role::server, options).id(); };
  std::vector<std::uint64_t> staying{add()};
  for (int i = 0; i < 10; ++i) keeper->remove(add());
  const std::size_t calls = test::Allocation::count_in([&] { keeper->remove(add()); });
  CHECK(test::Allocation::count_in([&] {
          for (int i = 0; i < 5000; ++i) keeper->remove(add());
        }) == 5000 * calls);

  std::vector<std::uint64_t> going;
  for (int i = 0; i < 100; ++i) (i % 3 == 0 ? staying : going).push_back(add());
  for (const auto id : going) keeper->remove(id);
  CHECK(keeper->size() == staying.size());
  for (const auto id : going) CHECK(keeper->find(id) == nullptr);
  for (const auto id : staying) {
    REQUIRE(keeper->find(id) != nullptr);
    CHECK(keeper->find(id)->id() == id);
  }
  CHECK(keeper->find(0) == nullptr);
  CHECK(keeper->find(staying.back() + 1) == nullptr);
  for (const auto id : staying) keeper->remove(id);
  CHECK(keeper->size() == 0);
}

TEST_CASE("a connection for which there is no memory leaves no trace") {
  FakeLoop loop;
  const SessionOptions options;
  for (const bool has_place :
       {false, true}) {  // so that the first call is for its place, or for it
    CAPTURE(has_place);
    const auto keeper = std::make_shared<Keeper>(loop);
    const auto add = [&] { return keeper->add(keeper, loop, Role::server, options).id(); };
    if (has_place)
      for (int i = 0; i < 2; ++i) keeper->remove(add());
    bool threw = false;
    CHECK(test::Allocation::fail_in(1, [&] {
      try {
        add();
      } catch (const std::bad_alloc&) {
        threw = true;
      }
    }));
    CHECK(threw);
    CHECK(keeper->size() == 0);
    const std::uint64_t next = add();
    REQUIRE(keeper->find(next) != nullptr);
    CHECK(keeper->find(next)->id() == next);
    keeper->remove(next);
  }
}

// -- Messages -------------------------------------------------------------------------------------

TEST_CASE("all that is sent in one event leaves in one write") {
  World world;
  world.handlers.on_message = [](Connection& c, const Message& m) {
    c.send(m);
    c.send("two");
    c.ping();
    c.send_piece({MessageType::text, as_bytes("three, ")}, false);
    c.send_piece({MessageType::text, as_bytes("four")}, true);
  };
  world.serve();
  Peer& peer = world.opened();
  peer.writes = 0;
  peer.sends(text_frame("one") + text_frame("one") + test::client_frame(opcode::ping, "p"));
  CHECK(peer.writes == 1);
  const Lines each = {"> text \"one\"", "> text \"two\"", "> ping", "> fin=0 text \"three, \"",
                      "> continuation \"four\""};
  Lines all = each;
  all.insert(all.end(), each.begin(), each.end());
  all.emplace_back("> pong \"p\"");
  CHECK(peer.frames() == all);
}

TEST_CASE(
    "what is sent from a timer, a post or another connection's handler leaves in one write each") {
  World world;
  world.handlers.on_message = [&](Connection&, const Message&) {
    world.connection(2)->send("from the other");
    world.connection(2)->send("again");
  };
  world.serve();
  Peer& a = world.opened();
  Peer& b = world.opened();
  b.writes = 0;
  a.sends(opcode::text, "go");
  CHECK(b.writes == 1);
  CHECK(b.frames() == Lines{"> text \"from the other\"", "> text \"again\""});
  Timer timer{world.loop, [&] {
                world.connection(2)->send("from a timer");
                world.connection(2)->ping(as_bytes("p"));
              }};
  timer.start(1ms);
  world.loop.passes(1h);
  CHECK(b.writes == 2);
  CHECK(b.frames() == Lines{"> text \"from a timer\"", "> ping \"p\""});
  world.loop.post([&] {
    world.connection(2)->send("from a post");
    world.connection(2)->send(as_bytes("binary"));
  });
  world.loop.settle();
  CHECK(b.writes == 3);
  CHECK(b.frames() == Lines{"> text \"from a post\"", "> binary \"binary\""});
  world.connection(2)->send("outside of any event");
  CHECK(b.writes == 4);
  CHECK(b.frames() == Lines{"> text \"outside of any event\""});
}

TEST_CASE("messages in pieces, when they are asked for") {
  World world;
  std::string pieces;
  world.handlers.on_piece = [&](Connection&, const Piece& piece) {
    if (piece.first) pieces += piece.type == MessageType::text ? "text<" : "binary<";
    pieces += as_text(piece.payload);
    if (piece.last) pieces += '>';
  };
  world.serve();
  Peer& peer = world.opened();
  peer.read_size = 7;
  peer.sends(text_frame("hello, world") + test::client_frame(opcode::binary, "x", false) +
             test::client_frame(opcode::continuation, "yz") + text_frame(""));
  CHECK(pieces == "text<hello, world>binary<xyz>text<>");
  CHECK(world.heard().empty());
}

TEST_CASE("pings and pongs are told") {
  World world;
  world.serve();
  Peer& peer = world.opened();
  peer.sends(test::client_frame(opcode::ping, "a") + test::client_frame(opcode::pong, "b"));
  CHECK(world.heard() == Lines{"1 ping \"a\"", "1 pong \"b\""});
  CHECK(peer.frames() == Lines{"> pong \"a\""});
}

TEST_CASE("a server without handlers holds its end up") {
  for (const bool streams : {false, true}) {
    World world;
    world.handlers = {};
    if (streams) world.handlers.on_piece = [](Connection&, const Piece&) {};
    world.serve();
    Peer& peer = world.opened();
    peer.sends(text_frame("a") + test::client_frame(opcode::ping, "p") +
               test::client_frame(opcode::pong, ""));
    CHECK(peer.frames() == Lines{"> pong \"p\""});
    peer.closes();
    CHECK(peer.closed == How::graceful);
    Peer& bad = world.loop.connects();
    bad.sends("\n");
    CHECK(bad.status() == "HTTP/1.1 400 Bad Request");
    bad.ends();
  }
}

// -- Writing --------------------------------------------------------------------------------------

TEST_CASE("whatever part of a write is taken, the peer gets all of it, in order") {
  const std::string large(20'000, 'L');
  for (const Peer::Style style : {Peer::Style::readiness, Peer::Style::completion}) {
    for (std::size_t split = 0; split <= 120; ++split) {
      CAPTURE(split);
      World world;
      world.echo();
      Peer& peer = world.opened();
      peer.style = style;
      peer.room = split;  // and then as the loop below says
      peer.sends(text_frame("a") + text_frame(std::string(100, 'b')) + text_frame(large) +
                 text_frame("c"));
      peer.takes(0);
      for (int i = 0; i < 10; ++i) peer.takes(1);
      peer.write_size = 3000;  // written(), and again not all
      peer.takes_all();
      CHECK_FALSE(peer.is_blocked());
      CHECK(peer.frames() ==
            Lines{"> text \"a\"", "> text \"b\"*100", "> text \"L\"*20000", "> text \"c\""});
    }
  }
}

TEST_CASE("of a large payload what the system does not take is copied before send() returns") {
  World world;
  world.serve();
  Peer& peer = world.opened();
  SUBCASE("by a loop that tells when there is room") { peer.style = Peer::Style::readiness; }
  SUBCASE("by a loop that writes by itself") { peer.style = Peer::Style::completion; }
  std::string payload(100'000, 'x');
  for (const std::size_t taken : {0U, 1U, 9U, 10U, 11U, 50'000U, 100'009U, 100'010U}) {
    CAPTURE(taken);
    peer.room = taken;
    payload.assign(100'000, 'x');
    int writes = 0;
    world.loop.post([&] {
      world.connection()->send("before");
      writes = peer.writes;
      world.connection()->send(payload);
      CHECK(peer.writes == writes + 1);  // at once
      std::fill(payload.begin(), payload.end(), '!');
      world.connection()->send("after");
      CHECK(peer.writes == writes + 1);
    });
    world.loop.settle();
    peer.takes_all();
    CHECK(peer.frames() == Lines{"> text \"before\"", "> text \"x\"*100000", "> text \"after\""});
  }
}

TEST_CASE("a large payload that is not taken whole, and then abort(): nothing is waited for") {
  World world;
  world.serve();
  Peer& peer = world.opened();
  peer.room = 30'000;
  world.loop.post([&] {
    world.connection()->send(std::string(50'000, 'y'));
    world.connection()->abort();
  });
  world.loop.settle();
  CHECK(world.heard() == Lines{"1 closed 1006 error=cancelled"});
  CHECK_FALSE(peer.is_blocked());
  CHECK(peer.closed == How::abortive);
}

TEST_CASE("two large payloads in one event, and the first is not taken whole") {
  World world;
  world.handlers.on_message = [](Connection& c, const Message& m) {
    c.send(m);
    c.send(m);
  };
  world.serve();
  Peer& peer = world.opened();
  peer.room = 30'000;
  peer.sends(opcode::binary, std::string(50'000, 'y'));
  CHECK(peer.is_blocked());
  peer.takes(30'000);
  peer.takes_all();
  CHECK(peer.frames() == Lines(2, "> binary \"y\"*50000"));
  CHECK(world.loop.pool().in_use() == 0);
}

TEST_CASE("what cannot be sent is refused with the reason") {
  World world;
  world.limits.output_bytes = 50'000;
  world.limits.output_high_water = 40'000;
  world.limits.output_low_water = 10'000;
  world.serve();
  Peer& peer = world.opened();
  peer.room = 0;
  const auto c = world.connection();
  const std::string large(30'000, 'x');
  CHECK(c->send(large) == errc::ok);
  CHECK(c->send(large) == errc::output_full);
  CHECK(c->output_size() == large.size() + 4);
  CHECK(c->ping(as_bytes(std::string(126, 'x'))) == errc::payload_too_long);
  CHECK(c->close(999) == errc::invalid_close);
  CHECK(c->send_piece({MessageType::text, as_bytes("a")}, false) == errc::ok);
  CHECK(c->send("b") == errc::message_unfinished);
  CHECK(c->send(std::string(20'000, 'x')) == errc::output_full);
  CHECK(c->send(std::string(17'000, 'x')) == errc::message_unfinished);
  CHECK(c->send_piece({MessageType::text, as_bytes("b")}, true) == errc::ok);
  CHECK_FALSE(c->is_congested());
  peer.takes_all();
  CHECK(peer.frames() == Lines{"> text \"x\"*30000", "> fin=0 text \"a\"", "> continuation \"b\""});
  CHECK(c->output_size() == 0);
}

// -- Backpressure ---------------------------------------------------------------------------------

TEST_CASE("output over the high water stops reading until the low water, and on_drain comes once") {
  World world;
  world.limits.output_high_water = 10'000;
  world.limits.output_low_water = 2'000;
  world.handlers.on_message = [](Connection& c, const Message& m) { c.send(m); };
  world.serve();
  Peer& peer = world.opened();
  const auto c = world.connection();
  peer.room = 0;
  for (int i = 0; i < 9; ++i) peer.sends(opcode::binary, std::string(1000, 'a'));
  CHECK(peer.reads);
  CHECK_FALSE(c->is_congested());
  for (int i = 0; i < 7; ++i) peer.sends(opcode::binary, std::string(1000, 'a'));
  CHECK_FALSE(peer.reads);
  CHECK(c->is_congested());
  CHECK(c->output_size() == 10 * 1004);  // the others wait in the system
  peer.takes(8 * 1004);                  // 2,008 are left
  CHECK_FALSE(peer.reads);
  CHECK(world.heard().empty());
  peer.takes(8);
  CHECK(peer.reads);
  CHECK(world.heard() == Lines{"1 drain"});
  peer.takes_all();
  CHECK(world.heard().empty());
  CHECK(peer.frames() == Lines(16, "> binary \"a\"*1000"));
  CHECK(peer.pauses == 1);
}

TEST_CASE("on_drain may send beyond the high water again") {
  World world;
  world.limits.output_high_water = 10'000;
  world.limits.output_low_water = 2'000;
  int left = 3;
  world.handlers.on_drain = [&](Connection& c) {
    world.say(c, "drain");
    if (left-- > 0) c.send(std::string(12'000, 'd'));
  };
  world.serve();
  Peer& peer = world.opened();
  peer.room = 0;
  world.connection()->send(std::string(12'000, 'd'));
  for (int i = 0; i < 10; ++i) peer.takes(12'004);
  CHECK(world.heard() == Lines(4, "1 drain"));
  CHECK(peer.frames() == Lines(4, "> text \"d\"*12000"));
}

TEST_CASE("a connection that is ending drains in silence") {
  World world;
  world.limits.output_high_water = 10'000;
  world.limits.output_low_water = 2'000;
  world.handlers.on_message = [](Connection& c, const Message&) {
    CHECK(c.send(std::string(12'000, 'x')) == errc::ok);
  };
  world.serve();
  Peer& peer = world.opened();
  peer.room = 0;
  SUBCASE("by the peer's fault") {
    peer.sends(text_frame("a") + "\xFF\xFF");
    CHECK(world.heard() == Lines{"1 closed 1006 sent=1002 error=protocol_error"});
  }
  SUBCASE("closed by us") {
    peer.sends(text_frame("a"));
    world.connection()->close();
  }
  peer.takes(11'000);
  peer.takes_all();
  CHECK(world.heard().empty());
}

// -- What goes back as it came --------------------------------------------------------------------

TEST_CASE(
    "what goes back as it came is the peer's, whatever part is taken and read over meanwhile") {
  const std::vector<std::vector<std::size_t>> reads = {{255},
                                                       {256},
                                                       {1000},
                                                       {4095},
                                                       {4096},
                                                       {20'000},
                                                       {70'000},
                                                       {1000, 1000},
                                                       {5000, 100, 5000},
                                                       {20'000, 20'000},
                                                       {100, 70'000},
                                                       {200'000}};
  for (const Peer::Style style : {Peer::Style::readiness, Peer::Style::completion}) {
    for (const auto& sizes : reads) {
      for (const std::size_t room : {0UL, 1UL, 3UL, 4UL, 5UL, 300UL, 5005UL, test::any_number}) {
        CAPTURE(sizes.front());
        CAPTURE(room);
        World world;
        world.handlers.on_message = [](Connection& c, const Message& m) {
          c.send(m);
          c.send(m);  // the second time it is a copy
          CHECK(m.text() == std::string(m.payload.size(), m.text().front()));
        };
        world.serve();
        Peer& peer = world.opened();
        Peer& other = world.opened();
        peer.style = style;
        peer.room = room;
        std::string sent;
        Lines expected;
        char letter = 'a';
        for (const std::size_t size : sizes) {
          sent += text_frame(std::string(size, letter));
          for (int i = 0; i < 2; ++i)
            expected.push_back("> text \"" + std::string(1, letter) + "\"*" + std::to_string(size));
          ++letter;
        }
        peer.sends(sent);
        other.sends(text_frame(std::string(50'000, 'o')));  // read to the same place
        peer.takes_all();
        CHECK(peer.frames() == expected);
        CHECK(world.loop.pool().in_use() == 0);
      }
    }
  }
}

TEST_CASE("what goes back came behind its header, or is copied: nothing in front is written") {
  for (const std::size_t size : {256UL, 5000UL, 70'000UL}) {
    for (std::size_t first = 1; first <= 15; ++first) {
      CAPTURE(size);
      CAPTURE(first);
      World world;
      world.echo();
      Peer& peer = world.opened();
      const std::string frame = text_frame(std::string(size, 'x'));
      peer.sends(frame.substr(0, first));
      peer.sends(frame.substr(first));
      CHECK(peer.frames() == Lines{"> text \"x\"*" + std::to_string(size)});
    }
  }  // a write in front of the place for reads is found when that is freed, at the latest
}

TEST_CASE("a part of a message that is sent back leaves the rest of it as it is") {
  World world;
  const std::string text = "0123456789" + std::string(1000, 'x');
  world.handlers.on_message = [&](Connection& c, const Message& m) {
    c.send(Message{MessageType::text, m.payload.subspan(5)});
    CHECK(m.text() == text);
    c.send(m);
    CHECK(m.text() == text);
  };
  world.serve();
  Peer& peer = world.opened();
  peer.sends(text_frame(text));
  CHECK(peer.frames().size() == 2);
}

TEST_CASE("a connection that was cut and is kept keeps nothing of its output") {
  World world;
  std::shared_ptr<Connection> kept;
  bool is_small = true;
  SUBCASE("what was sent before is in the tray") {}
  SUBCASE("what was sent before is in blocks") { is_small = false; }
  world.handlers.on_message = [&](Connection& c, const Message& m) {
    kept = c.keep();
    if (is_small) {
      c.send("small");
    } else {
      c.send(m);
    }
    c.abort();
  };
  world.serve();
  OutputChunk* const tray = world.loop.pool().tray();
  REQUIRE(tray != nullptr);
  Peer& peer = world.opened();
  peer.room = 0;
  peer.sends(text_frame(std::string(100'000, 'x')));
  REQUIRE(kept != nullptr);
  CHECK(peer.closed == How::abortive);
  CHECK(world.loop.pool().tray() == tray);
  CHECK(world.loop.pool().in_use() == 0);
}

TEST_CASE("a message that is sent back as another the second time does not change the first") {
  World world;
  world.handlers.on_message = [](Connection& c, const Message& m) {
    c.send(m);
    c.send(m.payload.first(4096));
  };
  world.serve();
  Peer& peer = world.opened();
  peer.sends(text_frame(std::string(5000, 'x')));
  CHECK(peer.frames() == Lines{"> text \"x\"*5000", "> binary \"x\"*4096"});
}

TEST_CASE("what goes back as it came takes no memory for its bytes") {
  World world;
  std::size_t in_use = 0;
  world.handlers.on_message = [&](Connection& c, const Message& m) {
    c.send(m);
    in_use = world.loop.pool().in_use();
  };
  world.serve();
  Peer& peer = world.opened();
  std::string sent;  // more than the tray holds, in one read
  for (int i = 0; i < 10; ++i) sent += text_frame(std::string(15'000, 'x'));
  peer.sends(sent);
  CHECK(in_use < 4096);
  CHECK(peer.frames() == Lines(10, "> text \"x\"*15000"));
}

TEST_CASE("what comes while a write is not taken is copied when it goes back") {
  World world;
  world.echo();
  Peer& peer = world.opened();
  Peer& other = world.opened();
  peer.room = 0;
  peer.sends(text_frame(std::string(300, 'a')));
  peer.sends(text_frame(std::string(5000, 'b')));
  other.sends(text_frame(std::string(50'000, 'o')));  // read to the same place
  peer.takes_all();
  CHECK(peer.frames() == Lines{"> text \"a\"*300", "> text \"b\"*5000"});
}

TEST_CASE("what goes to another connection is copied, and goes back to its own all the same") {
  for (const std::size_t size : {300UL, 5000UL, 20'000UL}) {
    CAPTURE(size);
    World world;
    world.handlers.on_message = [&](Connection& c, const Message& m) {
      world.connection(2)->send(m);
      c.send(m);
    };
    world.serve();
    Peer& peer = world.opened();
    Peer& other = world.opened();
    peer.sends(text_frame(std::string(size, 'x')));
    const std::string frame = "> text \"x\"*" + std::to_string(size);
    CHECK(peer.frames() == Lines{frame});
    CHECK(other.frames() == Lines{frame});
  }
}

TEST_CASE("what goes back as it came is refused and counted like anything else that is sent") {
  World world;
  const std::string text(5000, 'x');
  const std::string shown = "> text \"x\"*5000";
  Lines expected;
  SUBCASE("behind our close frame") {
    world.handlers.on_message = [](Connection& c, const Message& m) {
      CHECK(c.close() == errc::ok);
      CHECK(c.send(m) == errc::not_open);
    };
    expected = {"> close 1000"};
  }
  SUBCASE("inside a message in pieces") {
    world.handlers.on_message = [](Connection& c, const Message& m) {
      CHECK(c.send_piece({MessageType::text, as_bytes("piece")}, false) == errc::ok);
      CHECK(c.send(m) == errc::message_unfinished);
    };
    expected = {"> fin=0 text \"piece\""};
  }
  SUBCASE("over output_bytes") {
    world.limits.output_bytes = 4999;
    world.handlers.on_message = [](Connection& c, const Message& m) {
      CHECK(c.send(m) == errc::output_full);
    };
  }
  SUBCASE("over the high water") {
    world.limits.output_high_water = 4999;
    world.handlers.on_message = [](Connection& c, const Message& m) {
      CHECK(c.send(m) == errc::ok);
      CHECK(c.is_congested());
    };
    expected = {shown};
  }
  SUBCASE("over the high water, prepared for many") {
    world.limits.output_high_water = 4999;
    world.handlers.on_message = [](Connection& c, const Message& m) {
      CHECK(c.send(PreparedMessage{m}) == errc::ok);
      CHECK(c.is_congested());
    };
    expected = {shown};
  }
  world.serve();
  Peer& peer = world.opened();
  peer.sends(text_frame(text));
  CHECK(peer.frames() == expected);
}

// -- Pausing --------------------------------------------------------------------------------------

TEST_CASE("a paused connection has nothing to say until it is resumed") {
  World world;
  world.handlers.on_message = [&](Connection& c, const Message& m) {
    world.say(c, std::string{m.text()});
    if (m.text() == "pause") c.pause();
    if (m.text() == "both") {
      c.pause();
      c.resume();
    }
  };
  world.serve();
  Peer& peer = world.opened();
  const auto c = world.connection();
  peer.sends(text_frame("pause") + text_frame("b") + text_frame("pause") + text_frame("c") +
             text_frame("both") + text_frame("d").substr(0, 3));
  CHECK(world.heard() == Lines{"1 pause"});
  CHECK_FALSE(peer.reads);
  std::memset(world.loop.scratch().data(), 0, 1000);
  peer.sends(text_frame("d").substr(3));
  c->pause();
  CHECK(peer.pauses == 1);
  c->resume();
  CHECK(world.heard() == Lines{"1 b", "1 pause"});
  CHECK_FALSE(peer.reads);
  c->resume();
  world.loop.settle();
  CHECK(world.heard() == Lines{"1 c", "1 both", "1 d"});
  CHECK(peer.reads);
  CHECK(world.loop.pool().in_use() == 0);
}

TEST_CASE(
    "a pause before the first byte, or in the handshake, holds messages and not the handshake") {
  World world;
  world.handlers.on_request = [](Connection& c, const Request&) { c.accept(); };
  world.serve();
  Peer& peer = world.loop.connects();
  world.connection()->pause();
  peer.sends(std::string{test::upgrade_request} + text_frame("a"));
  CHECK(peer.status() == "HTTP/1.1 101 Switching Protocols");
  CHECK(world.heard() == Lines{"1 open"});
  CHECK_FALSE(peer.reads);
  world.connection()->resume();
  CHECK(world.heard() == Lines{"1 message text 1 \"a\""});
  CHECK(peer.reads);
}

TEST_CASE("a paused connection that is closed reads on, so that the closing handshake can end") {
  World world;
  world.serve();
  Peer& peer = world.opened();
  world.connection()->pause();
  CHECK_FALSE(peer.reads);
  CHECK(world.connection()->close(1000) == errc::ok);
  CHECK(peer.reads);
  peer.sends(test::client_frame(opcode::close, "\x03\xe8"));
  CHECK(world.heard().back().starts_with("1 closed 1000"));
}

TEST_CASE("the end of the stream is told after what came before it was, also after a pause") {
  World world;
  world.handlers.on_message = [&](Connection& c, const Message& m) {
    world.say(c, std::string{m.text()});
    c.pause();
  };
  world.serve();
  Peer& peer = world.opened();
  peer.sends(text_frame("a") + text_frame("b"));
  const auto c = world.connection();
  SUBCASE("FIN") {
    peer.ends();
    CHECK(world.heard() == Lines{"1 a"});
    c->resume();
    CHECK(world.heard() == Lines{"1 b"});
    world.loop.passes(24h);
    CHECK(world.heard().empty());
    CHECK_FALSE(peer.closed);
    c->resume();
    world.loop.settle();
    CHECK(world.heard() == Lines{"1 closed 1006 error=connection_lost"});
    CHECK(peer.closed == How::graceful);
  }
  SUBCASE("RST") {
    peer.breaks();
    CHECK(world.heard() == Lines{"1 a"});
    c->resume();
    CHECK(world.heard() == Lines{"1 b"});
    c->resume();
    world.loop.settle();
    CHECK(world.heard() == Lines{"1 closed 1006 error=Connection reset by peer"});
    CHECK(peer.closed == How::abortive);
  }
  SUBCASE("RST, found out by sending") {
    peer.breaks();
    world.heard();
    c->send("anybody there?");
    CHECK(world.heard() == Lines{"1 closed 1006 error=Connection reset by peer"});
    CHECK(peer.closed == How::abortive);
  }
  SUBCASE("ours") {
    world.heard();
    c->abort();
    CHECK(world.heard() == Lines{"1 closed 1006 error=cancelled"});
    CHECK(peer.closed == How::abortive);
  }
  CHECK(world.server->size() == 0);
}

// -- The end --------------------------------------------------------------------------------------

TEST_CASE(
    "however an open connection ends, on_close comes once, as the last, and all is given back") {
  struct Case {
    const char* name;
    void (*end)(World&, Peer&);
    const char* closed;
    How how;
  };
  const Case cases[] = {
      {"the peer closes", [](World&, Peer& p) { p.closes(); }, "1 closed 1000 sent=1000",
       How::graceful},
      {"we close",
       [](World& w, Peer& p) {
         w.connection()->close(4000, "x");
         p.closes(4000);
       },
       "1 closed 4000 sent=4000", How::graceful},
      {"we close, nobody answers",
       [](World& w, Peer&) {
         w.connection()->close();
         w.loop.passes(w.limits.close_time);
       },
       "1 closed 1006 sent=1000 error=close_timeout", How::abortive},
      {"abort", [](World& w, Peer&) { w.connection()->abort(); }, "1 closed 1006 error=cancelled",
       How::abortive},
      {"abort twice",
       [](World& w, Peer&) {
         w.loop.post([&w] {
           w.connection()->abort();
           w.connection()->abort();
         });
         w.loop.settle();
       },
       "1 closed 1006 error=cancelled", How::abortive},
      {"end", [](World&, Peer& p) { p.ends(); }, "1 closed 1006 error=connection_lost",
       How::graceful},
      {"end inside a frame",
       [](World&, Peer& p) {
         p.sends(text_frame("a").substr(0, 4));
         p.ends();
       },
       "1 closed 1006 error=connection_lost", How::graceful},
      {"reset", [](World&, Peer& p) { p.breaks(); }, "1 closed 1006 error=Connection reset by peer",
       How::abortive},
      {"a write fails",
       [](World& w, Peer& p) {
         p.write_error = broken_pipe();
         w.connection()->send("x");
       },
       "1 closed 1006 error=Broken pipe", How::abortive},
      {"a large write fails",
       [](World& w, Peer& p) {
         p.write_error = broken_pipe();
         w.connection()->send(std::string(50'000, 'x'));
       },
       "1 closed 1006 error=Broken pipe", How::abortive},
      {"a pong fails",
       [](World& w, Peer& p) {
         w.heard();
         p.write_error = broken_pipe();
         p.sends(opcode::pong, "");
         w.heard();
         p.sends(opcode::ping, "");
         w.log.erase(w.log.begin());
       },
       "1 closed 1006 error=Broken pipe", How::abortive},
      {"a later write fails",
       [](World& w, Peer& p) {
         p.room = 0;
         w.connection()->send("x");
         p.write_error = broken_pipe();
         p.takes(1);
       },
       "1 closed 1006 error=Broken pipe", How::abortive},
      {"protocol error",
       [](World&, Peer& p) {
         p.sends("\xFF\xFF");
         p.ends();
       },
       "1 closed 1006 sent=1002 error=protocol_error", How::graceful},
      {"not UTF-8",
       [](World&, Peer& p) {
         p.sends(opcode::text, "\xFF");
         p.ends();
       },
       "1 closed 1006 sent=1007 error=invalid_utf8", How::graceful},
      {"message too big",
       [](World&, Peer& p) {
         p.sends(opcode::binary, std::string(2000, 'x'));
         p.ends();
       },
       "1 closed 1006 sent=1009 error=message_too_big", How::graceful},
      {"idle",
       [](World& w, Peer& p) {
         w.loop.passes(1h);
         w.loop.passes(1h);
         p.ends();
       },
       "1 closed 1006 sent=1008 error=idle_timeout", How::graceful},
      {"the answer to our close breaks the rules",
       [](World& w, Peer& p) {
         w.connection()->close();
         p.sends("\xFF\xFF");
         p.ends();
       },
       "1 closed 1006 sent=1000 error=protocol_error", How::graceful},
      {"the stream ends when we close",
       [](World& w, Peer& p) {
         w.connection()->close();
         p.ends();
       },
       "1 closed 1006 sent=1000 error=connection_lost", How::graceful},
  };
  for (const Case& each : cases) {
    CAPTURE(each.name);
    World world;
    world.limits.message_bytes = 1000;
    world.limits.idle_time = 2h;
    bool over = false;
    std::weak_ptr<int> user_data;
    auto on_close = world.handlers.on_close;
    world.handlers.on_close = [&](Connection& c, const Closed& closed) {
      CHECK_FALSE(over);
      over = true;
      CHECK_FALSE(user_data.expired());  // it is destroyed after this
      CHECK_FALSE(c.is_open());
      CHECK(c.send("x") == errc::not_open);
      on_close(c, closed);
    };
    world.serve();
    Peer& peer = world.opened();
    const auto kept = world.connection();
    {
      auto value = std::make_shared<int>(1);
      user_data = value;
      kept->user_data() = std::move(value);
    }
    each.end(world, peer);
    CHECK(world.heard() == Lines{each.closed});
    CHECK(peer.closed == each.how);
    CHECK(user_data.expired());
    CHECK(world.server->size() == 0);
    CHECK(world.connection() == nullptr);
    CHECK(kept.use_count() == 1);
    world.loop.passes(24h);
    CHECK(world.heard().empty());
    CHECK(world.loop.timers().size() == 0);
  }
}

TEST_CASE("whoever keeps a closed connection may call all of it, and nothing happens") {
  World world;
  world.serve();
  Peer& peer = world.opened();
  const auto c = world.connection();
  peer.closes();
  world.heard();
  const std::size_t arms = static_cast<std::size_t>(world.loop.arms);
  for (int i = 0; i < 2; ++i) {
    CHECK(c->send("x") == errc::not_open);
    CHECK(c->send(as_bytes("x")) == errc::not_open);
    CHECK(c->send(std::string(100'000, 'x')) == errc::not_open);
    CHECK(c->send_piece({MessageType::text, as_bytes("x")}, true) == errc::not_open);
    CHECK(c->ping() == errc::not_open);
    CHECK(c->close() == errc::not_open);
    CHECK(c->accept().code == errc::no_request);
    CHECK(c->respond({}).code == errc::no_request);
    CHECK(c->reject(403, "").code == errc::no_request);
    c->abort();
    c->pause();
    c->resume();
    CHECK_FALSE(c->is_open());
    CHECK_FALSE(c->is_congested());
    CHECK(c->output_size() == 0);
    CHECK(c->id() == 1);
    c->user_data() = 1;
    world.loop.passes(1h);
    world.server.reset();
  }
  CHECK(c.use_count() == 1);
  CHECK(world.heard().empty());
  CHECK(static_cast<std::size_t>(world.loop.arms) == arms);
}

TEST_CASE("after our last word the stream is ended, and read on until the peer ends it too") {
  World world;
  world.serve();
  Peer& peer = world.opened();
  peer.room = 5;
  peer.sends("\xFF\xFF");
  CHECK(world.heard() == Lines{"1 closed 1006 sent=1002 error=protocol_error"});
  CHECK_FALSE(peer.shut_down);  // not before it is out
  CHECK_FALSE(peer.closed);
  peer.takes_all();
  CHECK(peer.frames().size() == 1);
  CHECK(peer.shut_down);
  for (int i = 0; i < 10; ++i) {
    CHECK(peer.reads);
    peer.sends(std::string(100'000, 'x'));  // dropped, not kept
    CHECK(world.loop.pool().in_use() == 0);
  }
  CHECK_FALSE(peer.closed);
  SUBCASE("the peer ends it") {
    peer.ends();
    CHECK(peer.closed == How::graceful);
  }
  SUBCASE("it does not, and its time is over") {
    world.loop.passes(world.limits.close_time - 1ms);
    CHECK_FALSE(peer.closed);
    world.loop.passes(1ms);
    CHECK(peer.closed == How::abortive);
  }
  SUBCASE("it breaks it") {
    peer.breaks();
    CHECK(peer.closed == How::abortive);
  }
  CHECK(world.server->size() == 0);
  CHECK(world.heard().empty());
}

TEST_CASE("last words that the peer does not take are cut off when the time is over") {
  for (const Peer::Style style : {Peer::Style::readiness, Peer::Style::completion}) {
    World world;
    world.serve();
    Peer& peer = world.opened();
    peer.style = style;
    peer.room = 0;
    peer.sends("\xFF\xFF");
    world.loop.passes(world.limits.close_time);
    CHECK(peer.closed == How::abortive);
    CHECK_FALSE(peer.shut_down);  // no FIN with a write under way
    CHECK(world.server->size() == 0);
  }
}

TEST_CASE("when both sides have said all, the stream is closed at once, and otherwise read on") {
  World world;
  world.serve();
  Peer& peer = world.opened();
  SUBCASE("nothing behind the peer's close frame") {
    peer.sends(opcode::close, test::close_payload(1000));
    CHECK(peer.closed == How::graceful);
    CHECK_FALSE(peer.shut_down);
  }
  SUBCASE("the peer answers ours") {
    world.connection()->close();
    world.loop.settle();
    CHECK_FALSE(peer.closed);
    peer.sends(opcode::close, test::close_payload(1000));
    CHECK(peer.closed == How::graceful);
    CHECK_FALSE(peer.shut_down);
  }
  SUBCASE("our answer is not taken yet") {
    peer.room = 1;
    peer.sends(opcode::close, test::close_payload(1000));
    CHECK_FALSE(peer.closed);
    peer.takes_all();
    CHECK(peer.closed == How::graceful);
    CHECK_FALSE(peer.shut_down);
  }
  SUBCASE("more behind it") {
    peer.sends(test::client_frame(opcode::close, test::close_payload(1000)) + "more");
    CHECK(peer.shut_down);
    CHECK_FALSE(peer.closed);
    peer.ends();
    CHECK(peer.closed == How::graceful);
  }
  SUBCASE("more comes while our answer waits") {
    peer.room = 1;
    peer.sends(opcode::close, test::close_payload(1000));
    peer.sends("more");
    peer.takes_all();
    CHECK(peer.shut_down);
    CHECK_FALSE(peer.closed);
    peer.ends();
    CHECK(peer.closed == How::graceful);
  }
  world.loop.settle();
  CHECK(world.server->size() == 0);
}

TEST_CASE("messages put the ping off, and one that was answered is followed by the next in time") {
  World world;
  world.limits.ping_interval = 30s;
  world.limits.idle_time = 120s;
  world.echo();
  Peer& peer = world.opened();
  const auto pings = [&] {
    const Lines all = peer.frames();
    return std::count(all.begin(), all.end(), "> ping");
  };
  for (int i = 0; i < 5; ++i) {
    world.loop.passes(20s);
    peer.sends(opcode::text, "alive");
    CHECK(pings() == 0);
  }
  world.loop.passes(29s);
  CHECK(pings() == 0);
  for (int i = 0; i < 3; ++i) {
    world.loop.passes(1s);
    CHECK(pings() == 1);
    world.loop.passes(9s);
    peer.sends(opcode::pong, "");
    world.loop.passes(20s);
    peer.sends(opcode::text, "alive");
    world.loop.passes(29s);
    CHECK(pings() == 0);
  }
  world.loop.passes(1s);
  CHECK(pings() == 1);
  world.loop.passes(89s);
  CHECK(world.server->size() == 1);
  world.loop.passes(1s);
  CHECK(peer.frames() ==
        Lines{"> close 1008 \"silent for 120000 ms, which is Limits::idle_time\""});
}

TEST_CASE("keep() hands out a connection until it is over") {
  World world;
  std::shared_ptr<Connection> at_the_end;
  world.handlers.on_close = [&](Connection& c, const Closed&) { at_the_end = c.keep(); };
  world.serve();
  Peer& peer = world.opened();
  const auto kept = world.connection()->keep();
  REQUIRE(kept);
  CHECK(kept == world.connection());
  peer.closes();
  CHECK(at_the_end == kept);
  CHECK(kept->keep() == nullptr);
  world.server.reset();
  CHECK(kept->keep() == nullptr);
  CHECK(kept->send("late") == errc::not_open);
}

TEST_CASE("silence is answered by a ping, and by the end if that is not answered") {
  World world;
  world.limits.ping_interval = 30s;
  world.limits.idle_time = 120s;
  world.handlers.on_message = nullptr;
  world.serve();
  Peer& peer = world.opened();
  world.loop.passes(29s);
  peer.sends(opcode::text, "a");
  world.loop.passes(29s);
  CHECK(peer.written.empty());
  world.loop.passes(1s);
  CHECK(peer.frames() == Lines{"> ping"});
  peer.sends(opcode::pong, "");
  world.heard();
  peer.room = 0;
  world.loop.passes(119s);
  CHECK(world.heard().empty());
  world.loop.passes(1s);
  CHECK(world.heard() == Lines{"1 closed 1006 sent=1008 error=idle_timeout"});
  peer.takes_all();
  CHECK(peer.frames().front() == "> ping");
  peer.ends();
  CHECK(peer.closed == How::graceful);
}

// -- Anything, anywhere ---------------------------------------------------------------------------

namespace {

// What an application might do in a handler.
struct Act {
  const char* name;
  void (*act)(World&, Connection*);  // the connection whose handler it is, if it is one's
};
const Act acts[] = {
    {"send",
     [](World&, Connection* c) {
       if (c) c->send("small");
     }},
    {"send much",
     [](World&, Connection* c) {
       if (c) c->send(std::string(200'000, 'x'));
     }},
    {"close",
     [](World&, Connection* c) {
       if (c) c->close(1000, "done");
     }},
    {"abort",
     [](World&, Connection* c) {
       if (c) c->abort();
     }},
    {"accept",
     [](World&, Connection* c) {
       if (c) c->accept();
     }},
    {"reject",
     [](World&, Connection* c) {
       if (c) c->reject(403, "no");
     }},
    {"pause",
     [](World&, Connection* c) {
       if (c) c->pause();
     }},
    {"resume",
     [](World&, Connection* c) {
       if (c) c->resume();
     }},
    {"destroy", [](World& w, Connection*) { w.server.reset(); }},
    {"abort and destroy",
     [](World& w, Connection* c) {
       if (c) c->abort();
       w.server.reset();
     }},
    {"shutdown",
     [](World& w, Connection*) {
       if (w.server) w.server->shutdown(1h);
     }},
    {"shutdown, destroy when done",
     [](World& w, Connection*) {
       if (w.server) w.server->shutdown(1ms, [&w] { w.server.reset(); });
     }},
    {"abort all",
     [](World& w, Connection*) {
       if (w.server) w.server->for_each([](Connection& each) { each.abort(); });
     }},
    {"close and send to all",
     [](World& w, Connection*) {
       if (w.server)
         w.server->for_each([](Connection& each) {
           each.send(std::string(20'000, 'y'));
           each.close();
         });
     }},
    {"pause all",
     [](World& w, Connection*) {
       if (w.server) w.server->for_each([](Connection& each) { each.pause(); });
     }},
    {"adopt",
     [](World& w, Connection*) {
       if (w.server && w.loop.peers.size() < 10)
         w.server->adopt(w.loop.connected_elsewhere(), as_bytes("GET / HTTP/1.1\r\n"));
     }},
    {"post an abort",
     [](World& w, Connection* c) {
       if (c) w.loop.post([kept = c->keep()] { kept->abort(); });
     }},
    {"replace the user data",
     [](World&, Connection* c) {
       if (c) c->user_data() = 5;
     }},
};
const char* const places[] = {"on_request", "on_open", "on_message", "on_piece",
                              "on_ping",    "on_pong", "on_drain",   "on_close",
                              "on_error",   "timer",   "post"};

// A day in a server's life, in which every handler is called; at one place, one act.
struct Day {
  Day(const char* its_place, const Act& its_act) : place(its_place), act(its_act) {
    world.limits.output_high_water = 50'000;
    world.limits.output_low_water = 1'000;
    Handlers& on = world.handlers;
    on.on_request = [this](Connection& c, const Request&) {
      at("on_request", c);
      c.accept();
    };
    on.on_open = [this](Connection& c) {
      check(c);
      CHECK(open.insert(c.id()).second);
      at("on_open", c);
    };
    on.on_message = [this](Connection& c, const Message& m) {
      check(c, true);
      c.send(m);
      at("on_message", c);
    };
    if (place == "on_piece")
      on.on_piece = [this](Connection& c, const Piece& p) {
        check(c, true);
        at("on_piece", c);
        c.send_piece({p.type, p.payload}, p.last);
      };
    on.on_ping = [this](Connection& c, Bytes) { check(c, true), at("on_ping", c); };
    on.on_pong = [this](Connection& c, Bytes) { check(c, true), at("on_pong", c); };
    on.on_drain = [this](Connection& c) { check(c, true), at("on_drain", c); };
    on.on_close = [this](Connection& c, const Closed&) {
      check(c, true);
      CHECK(open.erase(c.id()) == 1);
      at("on_close", c);
    };
    on.on_error = [this](const Error&) {
      CHECK(world.server);
      if (place == "on_error") act.act(world, nullptr), ++acted;
    };
  }

  void check(Connection& c, bool must_be_open = false) {
    CHECK_MESSAGE(world.server, "a handler of a server that was destroyed");
    CHECK_MESSAGE(!inside, "a handler inside of another");
    if (must_be_open) CHECK(open.count(c.id()) == 1);
  }
  void at(std::string_view here, Connection& c) {
    if (here != place) return;
    inside = true;
    ++acted;
    act.act(world, &c);
    inside = false;
  }

  Peer* connect() {
    if (!world.server || world.loop.listener_count() == 0) return nullptr;
    Peer& peer = world.loop.connects();
    peer.sends(std::string{test::upgrade_request} + text_frame("first"));
    return &peer;
  }

  void pass(std::size_t room, bool breaks) {
    world.serve();
    const auto keep_one = [this] { return world.server ? world.connection(1) : nullptr; };
    Peer* a = connect();
    auto kept = keep_one();
    Peer* b = connect();
    for (Peer* peer : {a, b}) {
      if (peer == nullptr) continue;
      peer->room = room;
      peer->sends(text_frame("one") + test::client_frame(opcode::ping, "p") + text_frame("two") +
                  test::client_frame(opcode::pong, "q") +
                  test::client_frame(opcode::binary, std::string(60'000, 'z')) +
                  text_frame("last"));
      peer->takes_all();
      if (kept) kept->resume();
      world.loop.settle();
    }
    if (const auto c = kept ? kept : nullptr) {
      a->room = 0;
      c->send(std::string(60'000, 'd'));
      a->takes_all();  // on_drain
    }
    const auto elsewhere = [&](std::string_view here) {
      if (here != place) return;
      ++acted;
      act.act(world, kept.get());
    };
    Timer timer{world.loop, [&] { elsewhere("timer"); }};
    timer.start(1ms);
    world.loop.passes(1s);
    world.loop.post([&] { elsewhere("post"); });
    world.loop.settle();
    if (world.server && world.loop.listener_count() > 0)
      world.loop.connects().sends("no HTTP\r\n\r\n");  // on_error
    kept.reset();
    for (std::size_t i = 0; i < world.loop.peers.size(); ++i)  // on_close; there may come more
      breaks ? world.loop.peers[i]->breaks() : world.loop.peers[i]->closes();
    world.loop.passes(24h);
    const bool left = world.server && world.server->size() > 0;
    if (left) CHECK_MESSAGE(std::string_view{act.name}.find("pause") == 0, "somebody is left");
    world.server.reset();
    world.loop.settle();
    for (const auto& peer : world.loop.peers) CHECK((peer->closed || !peer->was_opened()));
    CHECK(world.loop.pool().in_use() == 0);
    CHECK(world.loop.timers().size() == 0);
    CHECK(acted > 0);
  }

  World world;
  std::string_view place;
  const Act& act;
  std::set<std::uint64_t> open;
  bool inside = false;
  int acted = 0;
};

}  // namespace

TEST_CASE("any act in any handler, whether the peer takes all, some, or breaks off") {
  for (const char* place : places) {
    for (const Act& act : acts) {
      for (const std::size_t room : {test::any_number, std::size_t{100}, std::size_t{0}}) {
        for (const bool breaks : {false, true}) {
          CAPTURE(place);
          CAPTURE(act.name);
          CAPTURE(room);
          CAPTURE(breaks);
          Day{place, act}.pass(room, breaks);
        }
      }
    }
  }
}
