// Handlers that throw: the connection at hand fails, and nobody else notices.
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "support/client_world.hpp"
#include "support/server_world.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Lines;
using test::Peer;
namespace opcode = test::opcode;

[[noreturn]] void break_down() { throw std::runtime_error{"the disk is full"}; }

struct World : test::World {
  std::string text;  // of the last error that was told

  World& serve() {
    handlers.on_close = [this, log = handlers.on_close](Connection& c, const Closed& closed) {
      if (closed.error != nullptr) text = closed.error->text;
      log(c, closed);
    };
    handlers.on_error = [this, log = handlers.on_error](const Error& error) {
      text = error.text;
      log(error);
    };
    test::World::serve();
    return *this;
  }

  // What comes next is no worse off.
  void check_that_the_server_lives() {
    Peer& other = loop.connects();
    other.opens();
    other.sends(opcode::close, test::close_payload(1000));
    CHECK(other.frames() == Lines{"> close 1000"});
    CHECK(server->size() == 0);
  }
};

const Lines failed = {"> close 1011 \"the application failed\""};

}  // namespace

TEST_CASE("a handler that throws closes its connection with 1011, and the server lives") {
  World world;
  std::string bytes = test::client_frame(opcode::text, "one");
  SUBCASE("on_message") {
    world.handlers.on_message = [](Connection&, const Message&) { break_down(); };
  }
  SUBCASE("on_piece") {
    world.handlers.on_piece = [](Connection&, const Piece&) { break_down(); };
  }
  SUBCASE("on_pong") {
    bytes = test::client_frame(opcode::pong, "one");
    world.handlers.on_pong = [](Connection&, Bytes) { break_down(); };
  }
  world.serve();
  Peer& peer = world.opened();
  peer.sends(bytes + bytes);
  CHECK(peer.frames() == failed);
  CHECK(world.text == "a handler threw: the disk is full");
  CHECK(peer.shut_down);
  peer.ends();
  CHECK(peer.closed == How::graceful);
  world.check_that_the_server_lives();
}

TEST_CASE("an on_open that throws closes what was accepted") {
  World world;
  world.handlers.on_open = [](Connection& c) {
    if (c.id() == 1) break_down();
  };
  world.serve();
  Peer& peer = world.loop.connects();
  peer.sends(test::upgrade_request);
  CHECK(peer.written.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
  CHECK(peer.written.ends_with("the application failed"));
  CHECK(world.heard() == Lines{"1 closed 1006 sent=1011 error=handler_threw"});
  peer.ends();
  world.check_that_the_server_lives();
}

TEST_CASE("on_close tells of the handler that threw, with what it threw") {
  World world;
  world.handlers.on_message = [](Connection& c, const Message&) {
    c.send("before");
    throw 7;
  };
  world.serve();
  Peer& peer = world.opened();
  peer.sends(opcode::text, "one");
  CHECK(peer.frames() == Lines{"> text \"before\"", failed[0]});
  CHECK(world.heard() == Lines{"1 closed 1006 sent=1011 error=handler_threw"});
  CHECK(world.text == "a handler threw: something that is no std::exception");
  peer.ends();
}

TEST_CASE("a ping is answered before its handler throws") {
  World world;
  world.handlers.on_ping = [](Connection&, Bytes) { break_down(); };
  world.serve();
  Peer& peer = world.opened();
  peer.sends(opcode::ping, "x");
  CHECK(peer.frames() == Lines{"> pong \"x\"", failed[0]});
  peer.ends();
}

TEST_CASE("a request whose handler throws is answered 500, and not told why") {
  World world;
  world.handlers.on_request = [](Connection& c, const Request&) {
    if (c.id() == 1) break_down();
    c.accept();
  };
  world.serve();
  Peer& peer = world.loop.connects();
  peer.sends(test::upgrade_request);
  CHECK(peer.written.find("disk") == std::string::npos);
  CHECK(peer.status() == "HTTP/1.1 500 Internal Server Error");
  CHECK(world.heard() == Lines{"error handler_threw"});
  CHECK(world.text == "a handler threw: the disk is full");
  peer.ends();
  world.check_that_the_server_lives();
}

TEST_CASE("a request that was accepted before its handler threw is closed with 1011") {
  World world;
  world.handlers.on_request = [](Connection& c, const Request&) {
    c.accept();
    break_down();
  };
  world.serve();
  Peer& peer = world.loop.connects();
  peer.sends(test::upgrade_request);
  CHECK(peer.written.ends_with("the application failed"));
  CHECK(peer.status() == "HTTP/1.1 101 Switching Protocols");
  CHECK(world.heard() == Lines{"1 open", "1 closed 1006 sent=1011 error=handler_threw"});
  peer.ends();
}

TEST_CASE("the choice of a subprotocol may throw") {
  World world;
  world.options.choose_subprotocol = [](const Request&) -> std::string_view { break_down(); };
  world.serve();
  Peer& peer = world.loop.connects();
  peer.sends(test::upgrade_request);
  CHECK(peer.status() == "HTTP/1.1 500 Internal Server Error");
  peer.ends();
}

TEST_CASE("the handler of a request that was adopted may throw") {
  World world;
  world.handlers.on_request = [](Connection&, const Request&) { break_down(); };
  world.serve();
  const Socket socket = world.loop.connected_elsewhere();
  Request request;
  REQUIRE_FALSE(parse_request(test::upgrade_request, 100, request));
  CHECK_FALSE(world.server->adopt(socket, request));
  Peer& peer = *world.loop.peers.back();
  CHECK(peer.status() == "HTTP/1.1 500 Internal Server Error");
  peer.ends();
}

TEST_CASE("an on_drain that throws closes with 1011") {
  World world;
  world.limits.output_high_water = 100;
  world.limits.output_low_water = 10;
  world.handlers.on_message = [](Connection& c, const Message&) { c.send(std::string(200, 'x')); };
  world.handlers.on_drain = [](Connection&) { break_down(); };
  world.serve();
  Peer& peer = world.opened();
  peer.room = 0;
  peer.sends(opcode::text, "");
  CHECK(peer.is_blocked());
  peer.takes_all();
  CHECK(peer.frames().back() == failed[0]);
  CHECK(world.heard() == Lines{"1 closed 1006 sent=1011 error=handler_threw"});
  peer.ends();
  CHECK(peer.closed == How::graceful);
}

TEST_CASE("an on_close that throws is told to on_error, and what it kept is gone") {
  World world;
  const auto kept = std::make_shared<int>(1);
  world.handlers.on_open = [&](Connection& c) { c.user_data() = kept; };
  world.handlers.on_close = [](Connection&, const Closed&) { break_down(); };
  world.handlers.on_error = [&](const Error& error) {
    world.say(*world.connection(), test::describe(error));
    throw 7;  // which nobody is told
  };
  world.test::World::serve();
  Peer& peer = world.opened();
  CHECK(kept.use_count() == 2);
  peer.closes();
  CHECK(peer.frames() == Lines{"> close 1000"});
  CHECK(world.heard() == Lines{"1 handler_threw \"a handler threw: the disk is full\""});
  CHECK(kept.use_count() == 1);
  CHECK(peer.closed == How::graceful);
}

TEST_CASE("accepting may fail, and the handler that is told of it throw") {
  World world;
  world.handlers.on_error = [](const Error&) { break_down(); };
  world.test::World::serve();
  world.loop.accept_events().accept_failed(make_error(errc::no_memory, "no descriptors"));
  world.check_that_the_server_lives();
}

TEST_CASE("who waits for a shutdown may throw, and others that wait are told all the same") {
  World world;
  world.serve();
  world.server->shutdown(1s, [] { break_down(); });
  world.server->shutdown(1s, [&] { world.log.emplace_back("done"); });
  world.loop.settle();
  CHECK(world.heard() == Lines{"error handler_threw", "done"});
}

TEST_CASE("a handler that destroys the server and throws is the last that is called") {
  World world;
  world.handlers.on_message = [&](Connection&, const Message&) {
    world.server.reset();
    break_down();
  };
  world.serve();
  Peer& peer = world.opened();
  peer.sends(opcode::text, "one");
  CHECK(peer.closed == How::abortive);
  CHECK(world.heard().empty());
}

TEST_CASE("client: a handler that throws fails the connection, and it reconnects") {
  test::ClientWorld world;
  world.options.reconnect.emplace();
  Lines expected;
  SUBCASE("on_open") {
    world.handlers.on_open = [](Connection&) { break_down(); };
    expected = {"response 101", "closed 1006 handler_threw, again"};
  }
  SUBCASE("on_response: it never opened") {
    world.handlers.on_response = [](Connection&, const Response&) { break_down(); };
    expected = {
        "the opening handshake with ws://example.org/chat failed: a handler threw: the disk is "
        "full, again"};
  }
  world.connect();
  world.peer().sends(test::ClientWorld::answer_to(world.said()));
  CHECK(world.heard() == expected);
  CHECK(test::OutputLog{Role::client, true}.read(world.said()) == failed);
  world.peer().ends();
}

TEST_CASE("client: an on_error that throws changes nothing") {
  test::ClientWorld world;
  world.handlers.on_error = [](const Error&) { break_down(); };
  world.connect();
  world.peer().sends("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  CHECK_FALSE(world.client->is_active());
  world.client->close();
}
