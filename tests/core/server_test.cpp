// Server: who is let in, who is told what, and how it all ends.
#include <doctest/doctest.h>

#include <iterator>
#include <memory>
#include <optional>
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

constexpr std::string_view plain_request = "GET /page?x=1 HTTP/1.1\r\nHost: h\r\n\r\n";

std::string request_with(std::string_view header) {
  std::string request{test::upgrade_request};
  return request.insert(request.size() - 2, header);
}

}  // namespace

// -- The opening handshake ------------------------------------------------------------------------

TEST_CASE("an upgrade is accepted by default, and on_open comes before the first message") {
  World world;
  world.serve();
  Peer& peer = world.loop.connects();
  CHECK(world.server->size() == 1);
  peer.sends(std::string{test::upgrade_request} + test::client_frame(opcode::text, "hi"));
  CHECK(peer.status() == "HTTP/1.1 101 Switching Protocols");
  CHECK(world.heard() == Lines{"1 open", "1 message text 2 \"hi\""});
  CHECK(peer.writes == 1);
}

TEST_CASE("a plain request is answered 426 by default, and the stream ends") {
  World world;
  world.serve();
  Peer& peer = world.loop.connects();
  peer.sends(plain_request);
  CHECK(peer.written.find("\r\nUpgrade: websocket\r\n") != std::string::npos);
  CHECK(peer.written.ends_with("\r\n\r\nThis is a WebSocket server: ask for an upgrade.\n"));
  CHECK(peer.status() == "HTTP/1.1 426 Upgrade Required");
  CHECK(peer.shut_down);
  CHECK_FALSE(peer.closed);
  peer.sends(test::upgrade_request);  // not looked at
  peer.ends();
  CHECK(peer.closed == How::graceful);
  CHECK(world.heard().empty());  // it was answered: nothing went wrong
  CHECK(world.server->size() == 0);
}

TEST_CASE("on_request may accept, with a subprotocol and headers") {
  World world;
  world.handlers.on_request = [](Connection& c, const Request& request) {
    CHECK(request.path() == "/chat");
    CHECK_FALSE(c.is_open());
    CHECK_FALSE(c.accept({.subprotocol = "b", .headers = {{"Set-Cookie", "x=1"}}}));
    CHECK(c.is_open());
    CHECK(c.accept().code == errc::no_request);
    CHECK(c.send("from on_request") == errc::ok);
  };
  world.handlers.on_open = [&](Connection& c) {
    world.say(c, "open " + std::string{c.subprotocol()});
    c.send("from on_open");
  };
  world.serve();
  Peer& peer = world.loop.connects();
  peer.sends(request_with("Sec-WebSocket-Protocol: a, b\r\n"));
  CHECK(world.heard() == Lines{"1 open b"});
  const auto head = peer.written.find("\r\n\r\n") + 4;
  CHECK(peer.written.find("\r\nSet-Cookie: x=1\r\n") < head);
  CHECK(peer.written.find("\r\nSec-WebSocket-Protocol: b\r\n") < head);
  peer.written.erase(0, head);
  CHECK(peer.frames() == Lines{"> text \"from on_request\"", "> text \"from on_open\""});
  CHECK(peer.writes == 1);
}

TEST_CASE("on_request may reject, and respond to a plain request") {
  World world;
  world.handlers.on_request = [](Connection& c, const Request& request) {
    if (request.is_upgrade()) {
      CHECK_FALSE(c.reject(403, "Not you.\n"));
    } else {
      CHECK(c.accept().code == errc::not_an_upgrade);
      CHECK_FALSE(c.respond({.status = 200, .body = "a page", .headers = {}}));
    }
    CHECK(c.respond({}).code == errc::no_request);
    CHECK(c.send("no") == errc::not_open);
  };
  world.serve();
  Peer& rejected = world.loop.connects();
  rejected.sends(std::string{test::upgrade_request} + test::client_frame(opcode::text, "hi"));
  CHECK(rejected.written.ends_with("\r\n\r\nNot you.\n"));
  CHECK(rejected.status() == "HTTP/1.1 403 Forbidden");
  Peer& page = world.loop.connects();
  page.sends(plain_request);
  CHECK(page.written.ends_with("\r\n\r\na page"));
  CHECK(page.status() == "HTTP/1.1 200 OK");
  for (Peer* peer : {&rejected, &page}) {
    CHECK(peer->shut_down);
    peer->ends();
    CHECK(peer->closed == How::graceful);
  }
  CHECK(world.heard() == Lines{"error rejected"});  // the upgrade; the page was answered
}

TEST_CASE("without on_request the first subprotocol of ours that is offered is taken") {
  for (const bool by_function : {false, true}) {
    for (const bool is_needed : {false, true}) {
      CAPTURE(by_function);
      CAPTURE(is_needed);
      World world;
      world.options.needs_subprotocol = is_needed;
      if (by_function)
        world.options.choose_subprotocol = [](const Request& request) {
          return choose_subprotocol(request, {"b", "a"});
        };
      else
        world.options.subprotocols = {"b", "a"};
      world.handlers.on_open = [&](Connection& c) {
        world.say(c, "open " + std::string{c.subprotocol()});
      };
      world.serve();
      Peer& peer = world.loop.connects();
      peer.sends(request_with("Sec-WebSocket-Protocol: x, a, b\r\n"));
      CHECK(peer.written.find("\r\nSec-WebSocket-Protocol: b\r\n") != std::string::npos);
      CHECK(world.heard() == Lines{"1 open b"});
      Peer& other = world.loop.connects();
      other.sends(request_with("Sec-WebSocket-Protocol: B, c\r\n"));
      if (is_needed) {
        CHECK(other.written.ends_with("the client offers no subprotocol that is spoken here\n"));
        CHECK(other.status() == "HTTP/1.1 400 Bad Request");
        CHECK(world.heard() == Lines{"error no_subprotocol"});
        other.ends();
      } else {
        CHECK(other.written.find("Sec-WebSocket-Protocol") == std::string::npos);
        CHECK(other.status() == "HTTP/1.1 101 Switching Protocols");
        CHECK(world.heard() == Lines{"2 open "});
      }
    }
  }
}

TEST_CASE("choose_subprotocol(): our order decides, and case counts") {
  const auto chosen = [](std::string_view offered, std::vector<std::string> ours) {
    const Request request{"GET", "/", Headers{{{"Sec-WebSocket-Protocol", offered}}}};
    return std::string{choose_subprotocol(request, ours)};
  };
  CHECK(chosen("a, b", {"b", "a"}) == "b");
  CHECK(chosen("a, b", {"c", "a"}) == "a");
  CHECK(chosen("a, b", {"A"}).empty());
  CHECK(chosen("", {"a"}).empty());
  CHECK(chosen("a", {}).empty());
  CHECK(choose_subprotocol(Request{}, {"a"}).empty());
}

TEST_CASE("upgrades from pages of others are refused before on_request, and the error says so") {
  for (const bool has_handler : {false, true}) {
    CAPTURE(has_handler);
    World world;
    world.options.origins.allowed = {"https://friend.example"};
    std::string sentence;
    world.handlers.on_error = [&](const Error& error) {
      CHECK(error.code == errc::origin_refused);
      sentence = error.text;
    };
    if (has_handler)
      world.handlers.on_request = [&](Connection& c, const Request& request) {
        world.log.push_back("request from " + std::string{request.origin()});
        request.is_upgrade() ? c.accept() : c.reject(404, "no");
      };
    world.serve();
    for (const char* origin : {"https://evil.example", "null"}) {
      Peer& peer = world.loop.connects();
      peer.sends(request_with("Origin: " + std::string{origin} + "\r\n"));
      CHECK(world.log.empty());
      CHECK(sentence == "pages of the origin \"" + std::string{origin} +
                            "\" may not connect to server.example.com; if they should, add it to "
                            "OriginPolicy::allowed");
      CHECK(peer.written.ends_with("\r\n\r\n" + sentence + '\n'));
      CHECK(peer.status() == "HTTP/1.1 403 Forbidden");
      CHECK(peer.shut_down);
      peer.ends();
      CHECK(peer.closed == How::graceful);
      sentence.clear();
    }
    for (const char* header :
         {"", "Origin: http://server.example.com\r\n", "Origin: https://friend.example\r\n"}) {
      Peer& peer = world.loop.connects();
      peer.sends(request_with(header));
      CHECK(peer.status() == "HTTP/1.1 101 Switching Protocols");
    }
    // A page may be fetched by whoever wants it.
    Peer& plain = world.loop.connects();
    plain.sends("GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://evil.example\r\n\r\n");
    CHECK(plain.status() ==
          (has_handler ? "HTTP/1.1 404 Not Found" : "HTTP/1.1 426 Upgrade Required"));
    plain.ends();
    CHECK(sentence.empty());
  }
}

TEST_CASE("a request that another HTTP server has read is refused alike") {
  World world;
  world.serve();
  const Request request{"GET", "/",
                        Headers{{{"Host", "h"},
                                 {"Upgrade", "websocket"},
                                 {"Connection", "Upgrade"},
                                 {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                                 {"Sec-WebSocket-Version", "13"},
                                 {"Origin", "http://evil.example"}}}};
  const Socket socket = world.loop.connected_elsewhere();
  CHECK_FALSE(world.server->adopt(socket, request));
  world.loop.settle();
  Peer& peer = *world.loop.peers.back();
  CHECK(peer.status() == "HTTP/1.1 403 Forbidden");
  CHECK(world.heard() == Lines{"error origin_refused"});
  peer.ends();
}

TEST_CASE("options that cannot be served are an error of listen() and adopt()") {
  for (const bool of_origins : {false, true}) {
    World world;
    if (of_origins)
      world.options.origins.allowed = {"friend.example"};
    else
      world.options.subprotocols = {"a b"};
    world.server.emplace(world.loop, world.handlers, world.options);
    const Error error = world.server->listen({.host = "127.0.0.1", .port = 9001, .path = {}});
    CHECK(error.code == (of_origins ? errc::bad_address : errc::invalid_header));
    CHECK(world.server->adopt_listener(3).code == error.code);
    CHECK(world.server->adopt(3).code == error.code);
    CHECK(world.loop.listener_count() == 0);
  }
}

TEST_CASE("a request may be answered later, and what came behind it comes after on_open") {
  World world;
  std::shared_ptr<Connection> waiting;
  world.handlers.on_request = [&](Connection& c, const Request&) { waiting = c.keep(); };
  world.serve();
  Peer& peer = world.loop.connects();
  peer.sends(std::string{test::upgrade_request} + test::client_frame(opcode::text, "a") +
             test::client_frame(opcode::text, "b"));
  REQUIRE(waiting);
  CHECK_FALSE(peer.reads);  // what it would send meanwhile waits in the system
  CHECK(peer.written.empty());
  CHECK(world.heard().empty());
  std::memset(world.loop.scratch().data(), 0, 1000);
  world.loop.post([&] {
    CHECK_FALSE(waiting->accept());
    CHECK(world.heard().empty());  // not from inside the call
  });
  world.loop.settle();
  CHECK(peer.reads);
  CHECK(peer.status() == "HTTP/1.1 101 Switching Protocols");
  CHECK(world.heard() == Lines{"1 open", "1 message text 1 \"a\"", "1 message text 1 \"b\""});

  Peer& rejected = world.loop.connects();
  rejected.sends(test::upgrade_request);
  CHECK_FALSE(waiting->reject(503, "later\n"));  // outside of any event
  CHECK(rejected.status() == "HTTP/1.1 503 Service Unavailable");
  CHECK(world.heard() == Lines{"error rejected"});

  Peer& gone = world.loop.connects();
  gone.sends(test::upgrade_request);
  gone.ends();
  CHECK_FALSE(gone.closed);  // it may still read the answer
  CHECK_FALSE(waiting->accept());
  world.loop.settle();
  CHECK(gone.status() == "HTTP/1.1 101 Switching Protocols");
  CHECK(world.heard() == Lines{"3 open", "3 closed 1006 error=connection_lost"});
  CHECK(gone.closed == How::graceful);
}

TEST_CASE("a request that nobody answers is answered 408 when its time is over") {
  World world;
  world.handlers.on_request = [](Connection&, const Request&) {};
  world.serve();
  Peer& silent = world.loop.connects();
  Peer& half = world.loop.connects();
  half.sends(test::upgrade_request.substr(0, 50));
  Peer& whole = world.loop.connects();
  whole.sends(test::upgrade_request);
  world.loop.passes(world.limits.handshake_time - 1ms);
  half.sends(test::upgrade_request.substr(50, 10));  // wins no time
  CHECK(world.heard().empty());
  world.loop.passes(1ms);
  CHECK(world.heard() == Lines(3, "error handshake_timeout"));
  for (Peer* peer : {&silent, &half, &whole}) {
    CHECK(peer->status() == "HTTP/1.1 408 Request Timeout");
    CHECK(peer->shut_down);
    CHECK_FALSE(peer->closed);
  }
  world.loop.passes(world.limits.close_time);
  for (Peer* peer : {&silent, &half, &whole}) CHECK(peer->closed == How::abortive);
  CHECK(world.server->size() == 0);
  CHECK(world.heard().empty());
}

TEST_CASE("a handshake that fails is on_error's, in every way to fail, and on_close's never") {
  struct Case {
    const char* name;
    void (*fail)(World&, Peer&);
    const char* error;
    const char* status;
  };
  const Case cases[] = {
      {"malformed", [](World&, Peer& p) { p.sends("GET /\r\n\r\n"); }, "error bad_request",
       "HTTP/1.1 400 Bad Request"},
      {"too large", [](World&, Peer& p) { p.sends("GET /" + std::string(20'000, 'x')); },
       "error handshake_too_large", "HTTP/1.1 431 Request Header Fields Too Large"},
      {"end",
       [](World&, Peer& p) {
         p.sends("GET / HT");
         p.ends();
       },
       "error handshake_incomplete", ""},
      {"end of nothing", [](World&, Peer& p) { p.ends(); }, "error handshake_incomplete", ""},
      {"reset", [](World&, Peer& p) { p.breaks(); }, "error Connection reset by peer", ""},
      {"abort", [](World& w, Peer&) { w.connection()->abort(); }, "error cancelled", ""},
      {"close", [](World& w, Peer&) { CHECK(w.connection()->close() == errc::ok); },
       "error cancelled", "HTTP/1.1 503 Service Unavailable"},
      {"broken before the 101 is out",
       [](World&, Peer& p) {
         p.write_error = std::make_error_code(std::errc::broken_pipe);
         p.sends("POST / HTTP/1.1\r\nHost: h\r\n\r\n");
       },
       "error method_not_allowed", ""},
  };
  for (const Case& each : cases) {
    CAPTURE(each.name);
    World world;
    world.serve();
    Peer& peer = world.loop.connects();
    std::weak_ptr<int> kept;
    {
      auto value = std::make_shared<int>(1);
      kept = value;
      world.connection()->user_data() = std::move(value);
    }
    each.fail(world, peer);
    CHECK(world.heard() == Lines{each.error});
    CHECK(kept.expired());
    CHECK(peer.status() == each.status);
    world.loop.passes(world.limits.close_time);
    CHECK(peer.closed);
    CHECK(world.server->size() == 0);
    CHECK(world.heard().empty());
  }
}

TEST_CASE("on_request that accepts and closes at once: opened, and closed once") {
  World world;
  world.handlers.on_request = [](Connection& c, const Request&) {
    c.accept();
    c.close(4001, "not today");
  };
  world.serve();
  Peer& peer = world.loop.connects();
  peer.sends(test::upgrade_request);
  CHECK(peer.written.find("HTTP/1.1 101 ") == 0);
  peer.written.erase(0, peer.written.find("\r\n\r\n") + 4);
  CHECK(peer.frames() == Lines{"> close 4001 \"not today\""});
  peer.sends(opcode::text, "still here");
  peer.closes(4001);
  CHECK(peer.closed == How::graceful);
  CHECK(world.heard() ==
        Lines{"1 open", "1 message text 10 \"still here\"", "1 closed 4001 sent=4001"});
}

TEST_CASE("a transport that never came to be is on_error's") {
  World world;
  world.serve();
  world.loop.fail_to_open = std::make_error_code(std::errc::not_enough_memory);
  world.loop.connects();
  CHECK(world.heard() == Lines{"error Cannot allocate memory"});
  CHECK(world.server->size() == 0);
  world.loop.connects().opens();
  CHECK(world.heard() == Lines{"2 open"});
}

// -- Listening and adopting -----------------------------------------------------------------------

TEST_CASE("listen() and adopt_listener() tell where, and why not") {
  World world;
  world.serve();
  CHECK_FALSE(world.server->listen({.host = "::1", .port = 0, .path = {}}));
  CHECK_FALSE(world.server->adopt_listener(3));
  const auto endpoints = world.server->endpoints();
  REQUIRE(endpoints.size() == 3);
  CHECK(to_string(endpoints[0]) == "127.0.0.1:9001");
  CHECK(to_string(endpoints[1]) == "[::1]:40000");
  CHECK(to_string(endpoints[2]) == "adopted:1");
  world.loop.fail_next = std::make_error_code(std::errc::address_in_use);
  const Error error = world.server->listen({.host = "127.0.0.1", .port = 1, .path = {}});
  CHECK(error.code == std::errc::address_in_use);
  CHECK(error.text == "as the test said");
  world.loop.fail_next = std::make_error_code(std::errc::bad_file_descriptor);
  CHECK(world.server->adopt_listener(3).code == std::errc::bad_file_descriptor);
  CHECK(world.server->endpoints().size() == 3);
  world.server.reset();
  CHECK(world.loop.listener_count() == 0);
}

TEST_CASE("adopt() starts with what was read already, and leaves that as it is") {
  for (std::size_t split = 0; split <= test::upgrade_request.size(); split += 13) {
    World world;
    world.serve();
    const std::string read =
        std::string{test::upgrade_request} + test::client_frame(opcode::text, "hi");
    const std::string before = read.substr(0, split);
    const Socket socket = world.loop.connected_elsewhere();
    CHECK_FALSE(world.server->adopt(socket, as_bytes(before)));
    Peer& peer = *world.loop.peers.front();
    peer.sends(read.substr(split));
    CHECK(peer.status() == "HTTP/1.1 101 Switching Protocols");
    CHECK(world.heard() == Lines{"1 open", "1 message text 2 \"hi\""});
  }
  // All of it, frames too: they are unmasked in a copy.
  World world;
  world.serve();
  const std::string all =
      std::string{test::upgrade_request} + test::client_frame(opcode::text, "hi");
  const std::string copy = all;
  CHECK_FALSE(world.server->adopt(world.loop.connected_elsewhere(), as_bytes(all)));
  CHECK(world.heard() == Lines{"1 open", "1 message text 2 \"hi\""});
  CHECK(all == copy);
}

TEST_CASE("adopt() of a request that another server has read") {
  Request request{.method = "GET",
                  .target = "/chat",
                  .headers = Headers{{{"Host", "h"},
                                      {"Upgrade", "websocket"},
                                      {"Connection", "upgrade"},
                                      {"Sec-WebSocket-Version", "13"},
                                      {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}}}};
  const std::string behind = test::client_frame(opcode::text, "hi");
  SUBCASE("accepted by default") {
    World world;
    world.serve();
    CHECK_FALSE(world.server->adopt(world.loop.connected_elsewhere(), request, as_bytes(behind)));
    CHECK(world.heard() == Lines{"1 open", "1 message text 2 \"hi\""});
    Peer& peer = *world.loop.peers.front();
    CHECK(peer.status() == "HTTP/1.1 101 Switching Protocols");
    CHECK(peer.writes == 1);
    peer.sends(opcode::text, "more");
    CHECK(world.heard() == Lines{"1 message text 4 \"more\""});
  }
  SUBCASE("asked for before adopt() returns, answered later") {
    World world;
    std::shared_ptr<Connection> waiting;
    world.handlers.on_request = [&](Connection& c, const Request& r) {
      CHECK(r.target == "/chat");
      waiting = c.keep();
    };
    world.serve();
    CHECK_FALSE(world.server->adopt(world.loop.connected_elsewhere(), request, as_bytes(behind)));
    REQUIRE(waiting);
    CHECK(world.heard().empty());
    request = {};  // its views need not stay
    CHECK_FALSE(waiting->accept());
    CHECK(world.heard() == Lines{"1 open", "1 message text 2 \"hi\""});
    CHECK(world.loop.peers.front()->status() == "HTTP/1.1 101 Switching Protocols");
  }
  SUBCASE("refused") {
    World world;
    world.serve();
    request.method = "POST";
    CHECK_FALSE(world.server->adopt(world.loop.connected_elsewhere(), request, as_bytes(behind)));
    CHECK(world.heard() == Lines{"error method_not_allowed"});
    CHECK(world.loop.peers.front()->status() == "HTTP/1.1 405 Method Not Allowed");
  }
  SUBCASE("the server is destroyed in on_request") {
    World world;
    world.handlers.on_request = [&](Connection&, const Request&) { world.server.reset(); };
    world.serve();
    CHECK_FALSE(world.server->adopt(world.loop.connected_elsewhere(), request, as_bytes(behind)));
    CHECK(world.heard().empty());
    CHECK(world.loop.peers.front()->closed == How::abortive);
  }
}

TEST_CASE("adopt() that fails leaves nothing behind") {
  World world;
  world.serve();
  world.loop.fail_next = std::make_error_code(std::errc::bad_file_descriptor);
  CHECK(world.server->adopt(0).code == std::errc::bad_file_descriptor);
  CHECK(world.server->size() == 0);
  CHECK(world.heard().empty());
}

TEST_CASE("accepting that fails is on_error's, who may destroy the server") {
  World world;
  // What the handler holds must outlive its call.
  world.handlers.on_error = [&world, held = std::make_shared<int>(7)](const Error& error) {
    CHECK(error.code == std::errc::too_many_files_open);
    world.server.reset();
    CHECK(*held == 7);
    world.log.emplace_back("told");
  };
  world.serve();
  world.handlers = {};
  world.loop.accept_events().accept_failed(
      {std::make_error_code(std::errc::too_many_files_open), "x"});
  CHECK(world.heard() == Lines{"told"});
}

TEST_CASE("memory that runs out while a peer connects is on_error's, and the server lives on") {
  int failures = 0;
  for (std::size_t n = 1; n < 50; ++n) {
    CAPTURE(n);
    World world;
    int errors = 0;
    world.handlers = {};
    world.handlers.on_error = [&](const Error&) { ++errors; };
    world.handlers.on_message = [](Connection& c, const Message& m) { c.send(m); };
    world.serve();
    AcceptEvents& accept = world.loop.accept_events();
    Peer& peer = world.loop.make_peer();
    const bool failed = test::Allocation::fail_in(n, [&] { world.loop.accept(peer); });
    if (failed) {
      ++failures;
      CHECK(errors == 1);
      if (!peer.closed) CHECK(peer.status() == "HTTP/1.1 503 Service Unavailable");
      peer.ends();
      CHECK(peer.closed);
      CHECK(world.server->size() == 0);
    }
    world.loop.connects().opens().sends(opcode::text, "hi");
    CHECK(world.loop.peers.back()->frames() == Lines{"> text \"hi\""});
    CHECK(&accept == &world.loop.accept_events());
    if (!failed) break;
  }
  CHECK(failures >= 3);
}

TEST_CASE("memory that runs out in listen() leaves no listener that nobody knows") {
  bool failed = true;
  for (std::size_t n = 1; failed; ++n) {
    CAPTURE(n);
    World world;
    world.serve();
    failed = test::Allocation::fail_in(n, [&] {
      try {
        const Error error = world.server->listen({.host = "::1", .port = 0, .path = {}});
        CHECK_FALSE(error);
      } catch (const std::bad_alloc&) {
      }
    });
    const std::size_t count = world.loop.listener_count();
    CHECK(world.server->endpoints().size() == count);
    CHECK(count == (failed ? 1 : 2));
  }
}

TEST_CASE("memory that runs out in shutdown() leaves the server as it was") {
  for (const bool has_peers : {false, true}) {
    bool failed = true;
    for (std::size_t n = 1; failed; ++n) {
      CAPTURE(n);
      World world;
      world.serve();
      if (has_peers) world.opened().written.reserve(2000);  // it is not the test that fails
      int done = 0;
      bool threw = false;
      failed = test::Allocation::fail_in(n, [&] {
        try {
          world.server->shutdown(1h, [&] { ++done; });
        } catch (const std::bad_alloc&) {
          threw = true;
        }
      });
      world.loop.settle();
      if (threw) {
        CHECK(done == 0);
        CHECK(world.loop.listener_count() == 1);
        world.opened().closes();
        world.server->shutdown(1h, [&] { ++done; });
        world.loop.settle();
      }
      CHECK(world.loop.listener_count() == 0);
      world.loop.passes(1h);
      CHECK(done == 1);
      CHECK(world.server->size() == 0);
    }
  }
}

// -- All of them ----------------------------------------------------------------------------------

TEST_CASE("find() and size() know who is there, for_each() who is open") {
  World world;
  world.serve();
  Peer& a = world.opened();
  Peer& b = world.opened();
  Peer& c = world.loop.connects();
  CHECK(world.server->size() == 3);
  REQUIRE(world.server->find(2));
  CHECK(world.server->find(2)->id() == 2);
  CHECK(world.server->find(0) == nullptr);
  CHECK(world.server->find(4) == nullptr);
  std::set<std::uint64_t> ids;
  world.server->for_each([&](Connection& each) { ids.insert(each.id()); });
  CHECK(ids == std::set<std::uint64_t>{1, 2});
  a.closes();
  CHECK(world.server->find(1) == nullptr);
  CHECK(world.server->size() == 2);
  b.ends();
  c.ends();
  CHECK(world.server->size() == 0);
  world.opened();
  CHECK(world.server->find(1) == nullptr);  // a number is never given again
  CHECK(world.server->find(4) != nullptr);
}

TEST_CASE("for_each() reaches each once, whatever is done to them meanwhile") {
  World world;
  world.serve();
  for (int i = 0; i < 20; ++i) world.opened();
  int reached = 0;
  world.server->for_each([&](Connection& each) {
    ++reached;
    each.send("bye");
    // Each cuts its neighbour, which is reached no more if it was not yet.
    if (const auto next = world.server->find(each.id() ^ 1U)) next->abort();
    CHECK_FALSE(world.server->adopt(world.loop.connected_elsewhere()));
  });
  CHECK(reached == 11);  // 1, one of each of the pairs 2 and 3 to 18 and 19, 20
  int told = 0;
  for (const auto& peer : world.loop.peers)
    if (!peer->written.empty()) {
      ++told;
      CHECK(peer->frames() == Lines{"> text \"bye\""});
      CHECK(peer->writes == 2);
    }
  CHECK(told == 11);
}

TEST_CASE("broadcast() sends one frame to all who are open, or to those who are chosen") {
  World world;
  world.limits.output_bytes = 5000;
  world.handlers.on_request = [](Connection& c, const Request& request) {
    if (request.path() != "/later") c.accept();
  };
  world.serve();
  const std::string text(300, 'b');
  CHECK(world.server->broadcast(Message{MessageType::text, as_bytes(text)}) == 0);
  for (int i = 0; i < 4; ++i) world.opened();
  Peer& opening = world.loop.connects();
  Peer& closing = world.opened();
  world.connection(6)->close();
  world.connection(4)->send_piece({MessageType::text, as_bytes("begun")}, false);
  world.loop.settle();
  const auto frames_of = [&](std::size_t i) { return world.loop.peers[i]->frames(); };
  for (std::size_t i = 0; i < 4; ++i) frames_of(i);
  closing.frames();

  const Message message{MessageType::text, as_bytes(text)};
  CHECK(world.server->broadcast(message) == 3);
  CHECK(world.server->broadcast(message, [](Connection& c) { return c.id() != 1; }) == 2);
  const std::string line = "> text \"b\"*300";
  CHECK(frames_of(0) == Lines{line});
  CHECK(frames_of(1) == Lines{line, line});
  CHECK(frames_of(2) == Lines{line, line});
  CHECK(frames_of(3).empty());
  CHECK(opening.written.empty());
  CHECK(closing.frames().empty());

  // Who is full is passed over, and gets nothing by halves.
  world.loop.peers[0]->room = 0;
  int times = 0;
  while (world.server->broadcast(message) == 3) ++times;
  CHECK(times == 5000 / 304);
  world.loop.peers[0]->takes_all();
  CHECK(frames_of(0) == Lines(static_cast<std::size_t>(times), line));
}

TEST_CASE("a broadcast reaches all, whoever comes or fails to come meanwhile") {
  World world;
  world.serve();
  for (int i = 0; i < 9; ++i) world.opened();
  for (std::uint64_t id = 1; id <= 5; ++id) world.connection(id)->abort();
  world.loop.settle();
  int asked = 0;
  const auto choose = [&](Connection&) {
    world.loop.fail_next = std::make_error_code(std::errc::bad_file_descriptor);
    CHECK(world.server->adopt(0));
    ++asked;
    return true;
  };
  CHECK(world.server->broadcast(Message{MessageType::text, as_bytes("all")}, choose) == 4);
  CHECK(asked == 4);
  for (std::size_t i = 5; i < 9; ++i)
    CHECK(world.loop.peers[i]->frames() == Lines{"> text \"all\""});
}

TEST_CASE("one prepared message is sent by the handlers of many, and outlives its maker") {
  World world;
  std::optional message{PreparedMessage{{MessageType::binary, as_bytes(std::string(1000, 'p'))}}};
  world.serve();
  for (int i = 0; i < 3; ++i) world.opened().room = 500;
  world.loop.post([&] {
    world.server->for_each([&](Connection& each) { CHECK(each.send(*message) == errc::ok); });
    message.reset();
  });
  world.loop.settle();
  for (const auto& peer : world.loop.peers) {
    CHECK(peer->is_blocked());
    peer->takes_all();
    CHECK(peer->frames() == Lines{"> binary \"p\"*1000"});
  }
}

TEST_CASE("connections come and go by the thousand, and each is found by its number") {
  World world;
  world.serve();
  std::set<std::uint64_t> open;
  for (std::uint64_t id = 1; id <= 300; ++id) {
    world.opened();
    open.insert(id);
    if (id % 3 != 0) {
      const std::uint64_t gone = id % 2 == 0 ? *open.begin() : *std::prev(open.end());
      world.connection(gone)->abort();
      world.loop.settle();
      open.erase(gone);
    }
  }
  CHECK(world.server->size() == open.size());
  for (std::uint64_t id = 0; id <= 301; ++id) {
    const auto found = world.server->find(id);
    CHECK((found != nullptr) == (open.count(id) == 1));
    if (found) CHECK(found->id() == id);
  }
  std::vector<std::uint64_t> reached;
  world.server->for_each([&](Connection& each) { reached.push_back(each.id()); });
  CHECK(reached == std::vector<std::uint64_t>(open.begin(), open.end()));
}

TEST_CASE("a broadcast to many is one write each, and none calls back from inside send()") {
  World world;
  bool inside = false;
  world.handlers.on_close = [&](Connection& c, const Closed&) {
    CHECK_FALSE(inside);
    world.say(c, "closed");
  };
  world.serve();
  for (int i = 0; i < 4; ++i) world.opened();
  world.loop.peers[1]->breaks();
  world.heard();
  world.loop.peers[2]->write_error = std::make_error_code(std::errc::broken_pipe);
  const std::string large(100'000, 'x');
  world.loop.post([&] {
    inside = true;
    world.server->for_each([&](Connection& each) {
      each.send("small");
      each.send(large);
    });
    inside = false;
  });
  world.loop.settle();
  CHECK(world.heard() == Lines{"3 closed"});
  for (const std::size_t i : {0U, 3U})
    CHECK(world.loop.peers[i]->frames() == Lines{"> text \"small\"", "> text \"x\"*100000"});
}

// -- The end --------------------------------------------------------------------------------------

TEST_CASE("a server that is destroyed cuts everyone, and calls nobody") {
  World world;
  world.serve();
  Peer& open = world.opened();
  Peer& opening = world.loop.connects();
  auto value = std::make_shared<int>(1);
  world.connection()->user_data() = value;
  const auto kept = world.connection();
  world.server.reset();
  CHECK(world.heard().empty());
  CHECK(open.closed == How::abortive);
  CHECK(opening.closed == How::abortive);
  CHECK(world.loop.listener_count() == 0);
  CHECK(value.use_count() == 1);
  CHECK(kept->send("late") == errc::not_open);
  CHECK(kept->id() == 1);
}

TEST_CASE(
    "shutdown() closes with 1001, answers handshakes with 503, and is done when all are gone") {
  World world;
  world.serve();
  Peer& open = world.opened();
  Peer& ending = world.opened();
  ending.sends("\xFF\xFF");
  CHECK_FALSE(ending.closed);
  world.heard();
  Peer& opening = world.loop.connects();
  int done = 0;
  world.server->shutdown(1h, [&] { ++done; });
  CHECK(world.loop.listener_count() == 0);
  CHECK(world.server->endpoints().empty());
  CHECK(open.frames() == Lines{"> close 1001 \"the server is shutting down\""});
  CHECK(opening.status() == "HTTP/1.1 503 Service Unavailable");
  CHECK(opening.closed == How::graceful);  // for these it does not wait
  CHECK(ending.closed == How::graceful);
  CHECK(world.heard() == Lines{"error cancelled"});
  CHECK(done == 0);
  world.server->shutdown(0ms, [&] { done += 10; });  // the first deadline counts
  open.sends(opcode::text, "not yet");
  CHECK(world.heard() == Lines{"1 message text 7 \"not yet\""});
  open.closes(1001);
  CHECK(open.closed == How::graceful);
  CHECK(world.heard() == Lines{"1 closed 1001 sent=1001"});
  CHECK(done == 11);
  CHECK(world.loop.timers().size() == 0);  // the deadline is off
  world.loop.passes(24h);
  CHECK(done == 11);
}

TEST_CASE("shutdown() in on_request, after accept(): opened and closed as any other") {
  World world;
  bool done = false;
  world.handlers.on_request = [&](Connection& c, const Request&) {
    c.accept();
    world.server->shutdown(1h, [&] { done = true; });
  };
  world.serve();
  Peer& peer = world.loop.connects();
  peer.sends(test::upgrade_request);
  CHECK(world.heard() == Lines{"1 open"});
  CHECK_FALSE(done);
  peer.closes(1001);
  CHECK(world.heard() == Lines{"1 closed 1001 sent=1001"});
  CHECK(done);
}

TEST_CASE("shutdown() cuts at its deadline those who do not go") {
  World world;
  world.limits.close_time = 24h;
  world.serve();
  Peer& a = world.opened();
  Peer& b = world.opened();
  b.room = 0;
  int done = 0;
  world.server->shutdown(1h, [&] { ++done; });
  world.loop.passes(30min);
  CHECK_FALSE(a.closed);
  CHECK(done == 0);
  CHECK(world.heard().empty());
  world.loop.passes(1h);
  CHECK(a.closed == How::abortive);
  CHECK(b.closed == How::abortive);
  CHECK(done == 1);
  Lines heard = world.heard();
  std::sort(heard.begin(), heard.end());
  CHECK(heard == Lines{"1 closed 1006 sent=1001 error=cancelled",
                       "2 closed 1006 sent=1001 error=cancelled"});
}

TEST_CASE("shutdown() of a server without connections is done soon, not from inside the call") {
  World world;
  world.serve();
  int done = 0;
  world.server->shutdown(1h, [&] { ++done; });
  CHECK(done == 0);
  world.loop.settle();
  CHECK(done == 1);
  world.server->shutdown(1h, [&] { done += 10; });  // and again, when it is over
  world.loop.settle();
  CHECK(done == 11);
  world.server->shutdown(1h);
  world.loop.settle();
  CHECK(done == 11);
}

TEST_CASE("after shutdown() a server takes nobody any more") {
  World world;
  world.serve();
  world.opened();
  world.server->shutdown(1h);
  CHECK(world.server->listen({.host = "::1", .port = 0, .path = {}}).code == errc::cancelled);
  CHECK(world.server->adopt_listener(3).code == errc::cancelled);
  CHECK(world.server->adopt(0).code == errc::cancelled);
  CHECK(world.loop.listener_count() == 0);
  CHECK(world.server->size() == 1);
}

TEST_CASE("what shutdown() calls at its end may destroy the server") {
  World world;
  world.serve();
  SUBCASE("with a connection") {
    Peer& peer = world.opened();
    world.server->shutdown(1h, [&world, held = std::make_shared<int>(7)] {
      world.server.reset();
      CHECK(*held == 7);
    });
    peer.ends();
    CHECK(peer.closed);
  }
  SUBCASE("without") {
    world.server->shutdown(1h, [&] { world.server.reset(); });
    world.loop.settle();
  }
  SUBCASE("at the deadline") {
    world.limits.close_time = 24h;
    world.opened();
    world.server->shutdown(1h, [&] { world.server.reset(); });
    world.loop.passes(2h);
  }
  CHECK_FALSE(world.server);
}

TEST_CASE("a server destroyed in the midst of its shutdown is not done") {
  World world;
  bool done = false;
  world.serve();
  SUBCASE("with a connection") { world.opened(); }
  SUBCASE("without") {}
  world.server->shutdown(1h, [&] { done = true; });
  world.server.reset();
  world.loop.passes(2h);
  CHECK_FALSE(done);
}

TEST_CASE("a loop that ends before a shutdown was done takes what was posted along") {
  // The server goes first, as it has to; what it posted goes with the loop.
  World world;
  world.serve();
  world.server->shutdown(1h, [] { FAIL("too late"); });
  world.server.reset();
}
