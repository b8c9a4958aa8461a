// The Client, on a loop in memory.
#include "timtow/client.hpp"

#include <doctest/doctest.h>

#include "support/allocation.hpp"
#include "support/client_world.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Lines;
using test::Peer;
namespace opcode = test::opcode;

const std::error_code refused = std::make_error_code(std::errc::connection_refused);
const std::error_code unreachable = std::make_error_code(std::errc::network_unreachable);

Endpoint address(std::string host) { return {.host = std::move(host), .port = 80, .path = {}}; }

struct World : test::ClientWorld {
  World& connect() {
    ClientWorld::connect();
    return *this;
  }
  // One that reconnects, and now 0: has just been told to connect, 1: looks the name up, 2:
  // connects, 3: has asked, 4: waits for the next attempt, 5: is open.
  void reach(int step) {
    options.reconnect.emplace();
    loop.resolve_waits = step == 1;
    loop.connect_waits = step == 2;
    if (step == 4) loop.connect_errors = {refused};
    CHECK_FALSE(make().connect());
    if (step > 0) loop.settle();
    if (step == 5) accept();
  }
  Peer& server() { return peer(); }
  // The request that came.
  std::string request() { return said(); }
  // Answers the request, and returns it.
  std::string accept(const std::string& headers = {}) {
    std::string came = request();
    server().sends(answer_to(came, headers));
    return came;
  }
};

}  // namespace

TEST_CASE("client: looks up, connects, asks, and is open") {
  World world;
  world.options = {.url = "ws://example.org:81/chat?x=1",
                   .subprotocols = {"chat", "other"},
                   .headers = {{"Origin", "http://example.org"}},
                   .cookies = {{"a", "1"}, {"b", "2"}}};
  Client& client = world.make();
  CHECK_FALSE(client.is_active());
  CHECK(client.send("early") == errc::not_open);
  CHECK_FALSE(client.connect());
  CHECK(client.is_active());
  world.loop.settle();
  REQUIRE(world.loop.resolved.size() == 1);
  CHECK(world.loop.resolved[0].host == "example.org");
  CHECK(world.loop.resolved[0].port == 81);
  REQUIRE(world.loop.connects_to.size() == 1);
  CHECK(world.loop.connects_to[0].host == "192.0.2.1");
  CHECK(client.connection() == nullptr);
  CHECK(client.send("early") == errc::not_open);

  const std::string request = world.accept("Sec-WebSocket-Protocol: other\r\n");
  CHECK(request ==
        "GET /chat?x=1 HTTP/1.1\r\nHost: example.org:81\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: " +
            World::key_of(request) +
            "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, other\r\n"
            "Origin: http://example.org\r\nCookie: a=1; b=2\r\n\r\n");
  CHECK(world.heard() == Lines{"response 101", "open"});
  REQUIRE(client.connection() != nullptr);
  CHECK(client.connection()->subprotocol() == "other");
  CHECK(client.send("hello") == errc::ok);
  world.loop.settle();
  std::string_view wire = world.server().written;
  const auto frame = test::decode(wire);
  REQUIRE(frame);
  CHECK(frame->key);
  CHECK(frame->payload == "hello");
  world.server().sends(test::server_frame(opcode::text, "hi"));
  CHECK(world.heard() == Lines{"message text 2 \"hi\""});
}

TEST_CASE("client: bytes glued to the response are messages") {
  World world;
  world.connect();
  const std::string came = world.request();
  world.server().sends(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nSec-WebSocket-Accept: " +
      accept_for(World::key_of(came)) + "\r\n\r\n" + test::server_frame(opcode::text, "early"));
  CHECK(world.heard() == Lines{"response 101", "open", "message text 5 \"early\""});
}

TEST_CASE("client: options that cannot be sent are an error of connect(), and nothing happens") {
  const auto connect = [](ClientOptions options) {
    World world;
    world.options = std::move(options);
    const Error error = world.make().connect();
    CHECK_FALSE(world.client->is_active());
    world.loop.settle();
    CHECK(world.loop.resolved.empty());
    CHECK(world.log.empty());
    return error;
  };
  CHECK(connect({.url = "http://a/"}).code == errc::bad_address);
  CHECK(connect({.url = "wss://a/"}).code == errc::tls_needed);
  CHECK(connect({.url = "ws://a/", .subprotocols = {"a", "a"}}).code == errc::invalid_header);
  CHECK(connect({.url = "ws://a/", .headers = {{"X", "a\r\nb"}}}).code == errc::invalid_header);
  CHECK(connect({.url = "ws://a/", .headers = {{"Host", "b"}}}).code == errc::invalid_header);
  for (const char* value : {"a;b", "a b", "a,b", "\"a\"", "a\r\n", "\\", "\xC3\xA4"})
    CHECK(connect({.url = "ws://a/", .cookies = {{"name", value}}}).code == errc::invalid_header);
  CHECK(connect({.url = "ws://a/", .headers = {{"cookie", "a=b"}}, .cookies = {{"c", "d"}}}).text ==
        "cookies are given twice: as such, and as a header");
  CHECK(connect({.url = "ws://a/", .cookies = {{"na me", ""}}}).text ==
        "the cookie \"na me\" cannot be sent as it is");
}

TEST_CASE("client: a Unix socket that the URL names is connected to, and no name looked up") {
  World world;
  world.options.url = "ws+unix:/run/chat.sock:/room?x=1";
  world.connect();
  CHECK(world.loop.resolved.empty());
  REQUIRE(world.loop.connects_to.size() == 1);
  CHECK(world.loop.connects_to[0].path == "/run/chat.sock");
  CHECK(world.accept().starts_with("GET /room?x=1 HTTP/1.1\r\nHost: localhost\r\n"));
  CHECK(world.heard() == Lines{"response 101", "open"});
}

TEST_CASE("client: connect() while it is active is refused, and changes nothing") {
  World world;
  world.connect();
  CHECK(world.client->connect().code == errc::cancelled);
  world.accept();
  CHECK(world.client->connect().code == errc::cancelled);
  CHECK(world.heard() == Lines{"response 101", "open"});
}

TEST_CASE("client: each address is tried in turn") {
  World world;
  world.loop.addresses = {address("192.0.2.1"), address("::1"), address("192.0.2.3")};
  world.loop.connect_errors = {refused, unreachable};
  world.connect();
  REQUIRE(world.loop.connects_to.size() == 3);
  CHECK(world.loop.connects_to[1].host == "::1");
  CHECK(world.loop.connects_to[2].host == "192.0.2.3");
  world.accept();
  CHECK(world.heard() == Lines{"response 101", "open"});
}

TEST_CASE("client: when no address answers, the error says so of each") {
  World world;
  world.loop.addresses = {address("192.0.2.1"), address("::1")};
  world.loop.connect_errors = {unreachable, refused};
  std::error_code code;
  world.handlers.on_error = [&](const Error& error) {
    code = error.code;
    world.log.push_back(error.text);
    CHECK_FALSE(world.client->is_active());
  };
  world.connect();
  CHECK(code == refused);
  CHECK(world.heard() == Lines{"cannot connect to ws://example.org/chat: 192.0.2.1:80: Network is "
                               "unreachable, [::1]:80: Connection refused"});
}

TEST_CASE("client: an address that cannot even be tried is one that failed") {
  World world;
  world.loop.addresses = {address("192.0.2.1"), address("192.0.2.2")};
  world.loop.fail_next = unreachable;
  world.connect();
  CHECK(world.loop.connects_to.size() == 2);
  world.accept();
  CHECK(world.heard() == Lines{"response 101", "open"});
}

TEST_CASE("client: a name that is not found") {
  World world;
  world.loop.resolve_error =
      make_error(errc::host_not_found, "looking up \"example.org\" failed: x");
  world.connect();
  CHECK(world.heard() ==
        Lines{"cannot connect to ws://example.org/chat: looking up \"example.org\" failed: x"});
}

TEST_CASE("client: what was found while the loop was held up is no timeout") {
  for (const bool is_found : {true, false}) {
    World world;
    world.loop.resolve_waits = true;
    world.connect();
    world.loop.resolve_waits = false;
    world.loop.is_held_up(5min, [&] {
      if (is_found) world.loop.waits_no_more();
    });
    CHECK(world.heard() == Lines{});
    world.loop.passes(1s);
    CHECK(world.heard().empty() == is_found);
  }
}

TEST_CASE("client: the connect time bounds the lookup, and is shared by the addresses") {
  World world;
  world.options.connect_time = 9s;
  world.loop.resolve_waits = true;
  world.connect();
  world.loop.passes(8999ms);
  CHECK(world.log.empty());
  world.loop.passes(1ms);
  CHECK(world.heard() ==
        Lines{"cannot connect to ws://example.org/chat: its name was not found in time"});
  CHECK(world.loop.pending() == 0);

  world.loop.resolve_waits = false;
  world.loop.connect_waits = true;
  world.loop.addresses = {address("192.0.2.1"), address("192.0.2.2"), address("192.0.2.3")};
  CHECK_FALSE(world.client->connect());
  world.loop.settle();
  CHECK(world.loop.connects_to.size() == 1);
  world.loop.passes(2999ms);
  CHECK(world.loop.connects_to.size() == 1);
  world.loop.passes(1ms);
  CHECK(world.loop.connects_to.size() == 2);
  CHECK(world.loop.pending() == 1);
  world.loop.passes(3s);
  CHECK(world.loop.connects_to.size() == 3);
  world.loop.passes(2999ms);
  CHECK(world.log.empty());
  world.loop.passes(1ms);
  CHECK(world.heard() ==
        Lines{"cannot connect to ws://example.org/chat: 192.0.2.1:80: connecting took too long, "
              "192.0.2.2:80: connecting took too long, 192.0.2.3:80: connecting took too long"});
  CHECK(world.loop.pending() == 0);
}

TEST_CASE("client: another endpoint than the URL's, and a Unix socket without a lookup") {
  World world;
  world.options.endpoint = address("localhost");
  world.connect();
  REQUIRE(world.loop.resolved.size() == 1);
  CHECK(world.loop.resolved[0].host == "localhost");
  CHECK(world.accept().find("Host: example.org\r\n") != std::string::npos);

  World local;
  local.options.endpoint = Endpoint{.host = {}, .port = 0, .path = "/run/x.sock"};
  local.connect();
  CHECK(local.loop.resolved.empty());
  REQUIRE(local.loop.connects_to.size() == 1);
  CHECK(local.loop.connects_to[0].path == "/run/x.sock");
  local.accept();
  CHECK(local.heard() == Lines{"response 101", "open"});
}

TEST_CASE("client: a handshake that fails says how") {
  const auto answer = [](const std::string& bytes) {
    World world;
    world.connect();
    world.request();
    world.server().sends(bytes);
    CHECK_FALSE(world.client->is_active());
    CHECK(world.server().closed);
    return world.heard();
  };
  CHECK(answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") ==
        Lines{"response 403",
              "the opening handshake with ws://example.org/chat failed: the server answered 403 "
              "Forbidden; an upgrade is answered 101"});
  CHECK(answer("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: x\r\n\r\n") ==
        Lines{"response 101",
              "the opening handshake with ws://example.org/chat failed: Sec-WebSocket-Accept does "
              "not answer our key: is this a WebSocket server?"});
  const Lines garbage = answer("SSH-2.0-OpenSSH_9\r\n\r\n");
  REQUIRE(garbage.size() == 1);
  CHECK(garbage[0].starts_with("the opening handshake with ws://example.org/chat failed: "));

  World world;
  world.connect();
  world.server().ends();
  REQUIRE(world.log.size() == 1);
  CHECK(world.log[0].starts_with("the opening handshake with ws://example.org/chat failed: "));
  World broken;
  broken.connect();
  broken.server().breaks();
  REQUIRE(broken.log.size() == 1);
  CHECK_FALSE(broken.client->is_active());
  World slow;
  slow.connect();
  slow.loop.passes(slow.options.limits.handshake_time);
  REQUIRE(slow.log.size() == 1);
  CHECK_FALSE(slow.client->is_active());
}

TEST_CASE("client: close() of an open connection is the closing handshake, and the end") {
  World world;
  world.options.reconnect.emplace();
  world.connect().accept();
  world.client->close(close_code::going_away, "bye");
  world.client->close();  // has no effect: it is closing
  CHECK(world.client->is_active());
  world.loop.settle();
  std::string_view wire = world.server().written;
  CHECK(test::decode(wire)->payload == test::close_payload(1001, "bye"));
  CHECK(wire.empty());
  world.server().sends(test::server_frame(opcode::close, test::close_payload(1001)));
  world.server().ends();
  CHECK(world.heard() == Lines{"response 101", "open", "closed 1001"});
  CHECK_FALSE(world.client->is_active());
  CHECK(world.server().closed == How::graceful);
  world.loop.passes(1h);
  CHECK(world.loop.connects_to.size() == 1);
}

TEST_CASE("client: close() gives up what is not open, at every step, without a word") {
  for (int step = 0; step < 5; ++step) {
    CAPTURE(step);
    World world;
    world.reach(step);
    CHECK(world.loop.pending() == (step == 1 || step == 2 ? 1 : 0));
    CHECK(world.loop.peers.size() == (step == 3 ? 1 : 0));
    CHECK(world.client->is_active());
    world.heard();
    world.client->close();
    CHECK_FALSE(world.client->is_active());
    CHECK(world.loop.pending() == 0);
    CHECK(world.loop.alarm_at == never);
    world.loop.passes(1h);
    CHECK(world.log.empty());
    if (step == 3) CHECK(world.server().closed == How::abortive);

    // And it can be used again.
    world.loop.resolve_waits = world.loop.connect_waits = false;
    CHECK_FALSE(world.client->connect());
    world.loop.settle();
    world.accept();
    CHECK(world.heard() == Lines{"response 101", "open"});
  }
}

TEST_CASE("client: destroyed at every step, it is gone without a word") {
  for (int step = 0; step < 6; ++step) {
    CAPTURE(step);
    World world;
    world.reach(step);
    world.heard();
    world.client.reset();
    CHECK(world.loop.pending() == 0);
    world.loop.passes(1h);
    CHECK(world.log.empty());
    if (step == 3 || step == 5) CHECK(world.server().closed == How::abortive);
  }
}

TEST_CASE("client: destroyed inside each of its handlers") {
  for (int which = 0; which < 5; ++which) {
    CAPTURE(which);
    World world;
    int calls = 0;
    const auto destroy = [&] { ++calls, world.client.reset(); };
    if (which == 0) world.handlers.on_response = [&](Connection&, const Response&) { destroy(); };
    if (which == 1) world.handlers.on_open = [&](Connection&) { destroy(); };
    if (which == 2) world.handlers.on_message = [&](Connection&, const Message&) { destroy(); };
    if (which == 3) world.handlers.on_close = [&](Connection&, const Closed&) { destroy(); };
    if (which == 4) {
      world.handlers.on_error = [&](const Error&) { destroy(); };
      world.loop.connect_errors = {refused};
    }
    world.options.reconnect.emplace();
    world.connect();
    if (which != 4) world.accept();
    if (which == 2) world.server().sends(test::server_frame(opcode::text, "x"));
    if (which == 3) world.server().breaks();
    world.loop.passes(1h);
    CHECK(calls == 1);
    CHECK_FALSE(world.client);
  }
}

TEST_CASE("client: without reconnect an end is the end, and connect() inside on_close works") {
  World world;
  world.handlers.on_close = [&](Connection&, const Closed&) {
    CHECK_FALSE(world.client->is_active());
    CHECK(world.client->connection() == nullptr);
    if (world.loop.peers.size() == 1) CHECK_FALSE(world.client->connect());
  };
  world.connect().accept();
  world.server().breaks();
  CHECK(world.loop.peers.size() == 2);
  world.accept();
  world.server().breaks();
  CHECK_FALSE(world.client->is_active());
  world.loop.passes(1h);
  CHECK(world.loop.peers.size() == 2);
}

TEST_CASE("client: reconnecting waits longer each time, up to the most, and looks up afresh") {
  World world;
  world.options.reconnect = Reconnect{.first = 1s, .most = 5s};
  world.loop.connect_errors.assign(8, refused);
  world.connect();
  CHECK(world.heard() == Lines{"cannot connect to ws://example.org/chat: 192.0.2.1:80: Connection "
                               "refused, again"});
  bool varied = false;
  Duration before{};
  for (const Duration whole : {1s, 2s, 4s, 5s, 5s, 5s, 5s}) {
    CAPTURE(whole.count());
    const std::size_t attempts = world.loop.connects_to.size();
    const TimePoint failed = world.loop.time();
    // To the very time it chose.
    const Duration waited = world.loop.alarm_at - failed;
    CHECK(waited >= whole / 2);
    CHECK(waited <= whole);
    if (whole == 5s && before != Duration{}) varied = varied || waited != before;
    if (whole == 5s) before = waited;
    world.loop.passes(waited - 1ns);
    CHECK(world.loop.connects_to.size() == attempts);
    world.loop.passes(1ns);
    CHECK(world.loop.connects_to.size() == attempts + 1);
  }
  CHECK(varied);
  CHECK(world.loop.resolved.size() == world.loop.connects_to.size());

  // Open once, the count starts anew.
  world.loop.passes(5s);
  world.heard();
  world.accept();
  world.server().breaks();
  CHECK(world.heard() ==
        Lines{"response 101", "open", "closed 1006 Connection reset by peer, again"});
  CHECK(world.loop.alarm_at - world.loop.time() <= 1s);
  world.loop.passes(1s);
  world.accept();
  CHECK(world.heard() == Lines{"response 101", "open"});
  CHECK(world.client->send("back") == errc::ok);
}

TEST_CASE("client: times without end, and less than none, are taken for what they mean") {
  World world;
  world.loop.connect_waits = true;
  world.options.connect_time = Duration::max();
  world.options.reconnect = Reconnect{.first = Duration::max(), .most = Duration::max()};
  world.connect();
  world.loop.passes(24h * 364);
  CHECK(world.log.empty());
  world.loop.passes(24h);
  CHECK(world.log.size() == 1);
  world.client->close();
  world.options.connect_time = -1s;
  world.options.reconnect = Reconnect{.first = -1s, .most = -1s};
  world.handlers.on_error = [&](const Error&) {
    if (world.loop.connects_to.size() == 5) world.client->close();
  };
  world.make();
  CHECK_FALSE(world.client->connect());
  world.loop.settle();
  CHECK(world.loop.connects_to.size() == 5);
}

TEST_CASE("client: an answer that would be the same again is final") {
  const auto tries_again = [](const std::string& answer) {
    World world;
    world.options.reconnect.emplace();
    world.connect();
    world.server().sends(answer);
    const bool active = world.client->is_active();
    world.loop.passes(1s);
    CHECK(world.loop.connects_to.size() == (active ? 2 : 1));
    return active;
  };
  const auto status = [](int number) {
    return "HTTP/1.1 " + std::to_string(number) + " x\r\n\r\n";
  };
  for (const int each : {300, 301, 400, 401, 403, 404, 426, 431, 451, 499})
    CHECK_MESSAGE(!tries_again(status(each)), each);
  for (const int each : {200, 408, 425, 429, 500, 502, 503, 599})
    CHECK_MESSAGE(tries_again(status(each)), each);
  CHECK_FALSE(tries_again("HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n"));
  CHECK_FALSE(tries_again("220 mail.example.org ESMTP\r\n\r\n"));
}

TEST_CASE("client: memory that runs out is an error, or there was none") {
  std::size_t n = 1;
  for (bool failed = true; failed; ++n) {
    CAPTURE(n);
    REQUIRE(n < 500);
    World world;
    bool ended = false;
    world.handlers.on_response = {};
    world.handlers.on_open = [&](Connection&) { ended = true; };
    world.handlers.on_error = [&](const Error&) { ended = true; };
    CHECK_FALSE(world.make().connect());
    world.loop.peers.reserve(8);
    failed = test::Allocation::fail_in(n, [&] {
      try {
        world.loop.settle();
      } catch (const std::bad_alloc&) {  // of the loop of the tests
      }
    });
    world.loop.settle();
    if (!ended && !world.loop.peers.empty() && !world.server().written.empty()) world.accept();
    if (!ended) world.loop.passes(world.options.connect_time);
    CHECK(ended);
  }
  CHECK(n > 5);
}

TEST_CASE("client: close() inside on_response gives up an answer of any kind, for good") {
  for (const bool refused_by_server : {true, false}) {
    CAPTURE(refused_by_server);
    World world;
    world.options.reconnect.emplace();
    world.handlers.on_response = [&](Connection&, const Response&) { world.client->close(); };
    world.connect();
    if (refused_by_server)
      world.server().sends("HTTP/1.1 503 x\r\n\r\n");
    else
      world.accept();
    CHECK(world.log.empty());
    CHECK_FALSE(world.client->is_active());
    CHECK(world.server().closed);
    world.loop.passes(1h);
    CHECK(world.loop.peers.size() == 1);
  }
}

TEST_CASE("client: connect() behind close() inside on_response is a new attempt") {
  for (const std::string status : {"403", "503", "101"}) {
    CAPTURE(status);
    World world;
    world.handlers.on_response = [&](Connection&, const Response&) {
      if (world.loop.peers.size() > 1) return;
      world.client->close();
      CHECK_FALSE(world.client->connect());
    };
    world.connect();
    if (status == "101")
      world.accept();
    else
      world.server().sends("HTTP/1.1 " + status + " x\r\n\r\n");
    CHECK(world.log.empty());
    REQUIRE(world.loop.peers.size() == 2);
    world.accept();
    CHECK(world.heard() == Lines{"open"});
  }
}

TEST_CASE("client: destroyed inside on_response of a refusal, it leaves no timer behind") {
  World world;
  world.options.reconnect.emplace();
  world.handlers.on_response = [&](Connection&, const Response&) { world.client.reset(); };
  world.connect();
  world.server().sends("HTTP/1.1 503 x\r\n\r\n");
  CHECK(world.loop.timers().size() == 0);
  world.loop.passes(1h);
  CHECK(world.log.empty());
  CHECK(world.loop.peers.size() == 1);
}

TEST_CASE("client: a connection that the application cuts before it opens has failed") {
  World world;
  world.options.reconnect.emplace();
  world.handlers.on_response = [](Connection& connection, const Response&) { connection.abort(); };
  world.connect().accept();
  CHECK(world.heard() == Lines{"the opening handshake with ws://example.org/chat failed: the "
                               "connection broke: cancelled, again"});
  world.handlers.on_response = {};
  world.loop.passes(1s);
  CHECK(world.loop.peers.size() == 2);
}

TEST_CASE("client: close() with what cannot be sent is refused, and nothing happens") {
  World world;
  world.options.reconnect.emplace();
  world.connect().accept();
  CHECK(world.client->close(1006) == errc::invalid_close);
  CHECK(world.client->close(1000, std::string(124, 'x')) == errc::invalid_close);
  world.loop.settle();
  CHECK(world.server().written.empty());
  CHECK(world.client->connection() != nullptr);
  CHECK(world.client->close(1000, "bye") == errc::ok);
  world.loop.settle();
  std::string_view wire = world.server().written;
  CHECK(test::decode(wire)->payload == test::close_payload(1000, "bye"));
}

TEST_CASE("client: close() of a connection that is closing already ends it for good") {
  World world;
  world.options.reconnect.emplace();
  world.connect().accept();
  world.client->connection()->close();
  CHECK(world.client->connection() == nullptr);
  world.client->close();
  world.loop.settle();
  world.server().sends(test::server_frame(opcode::close, test::close_payload(1000)));
  world.server().ends();
  CHECK(world.heard() == Lines{"response 101", "open", "closed 1000"});
  world.loop.passes(1h);
  CHECK(world.loop.peers.size() == 1);
}

TEST_CASE("client: a connection is none before on_open, and none behind on_close") {
  World world;
  const auto look = [&] {
    const bool is_open = world.client->connection() != nullptr;
    CHECK((world.client->send("x") == errc::ok) == is_open);
    world.log.push_back(is_open ? "is open" : "is not");
  };
  world.handlers.on_response = [&](Connection&, const Response&) { look(); };
  world.handlers.on_open = [&](Connection&) { look(); };
  world.handlers.on_close = [&](Connection&, const Closed&) { look(); };
  world.connect().accept();
  world.server().breaks();
  CHECK(world.heard() == Lines{"is not", "is open", "is not"});
}

TEST_CASE("client: a transport that never came to be is a handshake that failed") {
  World world;
  world.loop.fail_to_open = std::make_error_code(std::errc::too_many_files_open);
  world.options.reconnect.emplace();
  world.connect();
  CHECK(world.heard() == Lines{"the opening handshake with ws://example.org/chat failed: the "
                               "connection broke: Too many open files, again"});
  world.loop.passes(1s);
  world.accept();
  CHECK(world.heard() == Lines{"response 101", "open"});
}

TEST_CASE("client: every call inside every handler") {
  const char* const handlers[] = {"response 101", "response 503", "open",      "message",
                                  "ping",         "pong",         "drain",     "close",
                                  "no handshake", "no address",   "connecting"};
  enum class Call { close, abort, connect, close_and_connect, send, destroy };
  for (const std::string where : handlers) {
    for (const Call call : {Call::close, Call::abort, Call::connect, Call::close_and_connect,
                            Call::send, Call::destroy}) {
      for (const bool reconnect : {false, true}) {
        CAPTURE(where);
        CAPTURE(static_cast<int>(call));
        CAPTURE(reconnect);
        World world;
        world.options.limits.output_high_water = 1000;
        world.options.limits.output_low_water = 100;
        if (reconnect) world.options.reconnect = Reconnect{.first = 1s, .most = 1s};
        bool called = false;
        bool again = false;  // whether a connection has to follow
        std::size_t attempts = 0;
        const auto act = [&](const std::string& name, Connection* connection) {
          if (name != where || std::exchange(called, true)) return;
          attempts = world.loop.resolved.size();
          again = reconnect;
          if (call == Call::close) world.client->close(), again = false;
          if (call == Call::abort && connection != nullptr) connection->abort();
          if (call == Call::connect)
            again = world.client->connect().code != errc::cancelled || reconnect;
          if (call == Call::close_and_connect) {
            const bool closes = world.client->connection() != nullptr;
            world.client->close();
            const Error error = world.client->connect();
            CHECK(error.code == (closes ? make_error_code(errc::cancelled) : std::error_code{}));
            again = !closes;
          }
          if (call == Call::send)
            CHECK((world.client->send("x") == errc::ok) == (world.client->connection() != nullptr));
          if (call == Call::destroy) world.client.reset(), again = false;
        };
        Handlers& on = world.handlers;
        on.on_response = [&](Connection& c, const Response& response) {
          act("response " + std::to_string(response.status), &c);
        };
        on.on_open = [&](Connection& c) {
          if (where == "drain") c.send(std::string(2000, 'x'));
          act("open", &c);
        };
        on.on_message = [&](Connection& c, const Message&) { act("message", &c); };
        on.on_ping = [&](Connection& c, Bytes) { act("ping", &c); };
        on.on_pong = [&](Connection& c, Bytes) { act("pong", &c); };
        on.on_drain = [&](Connection& c) { act("drain", &c); };
        on.on_close = [&](Connection& c, const Closed&) { act("close", &c); };
        on.on_error = [&](const Error&) {
          act(where, nullptr);  // one of the last three
        };
        if (where == "no address") world.loop.resolve_error = make_error(errc::host_not_found, "x");
        if (where == "connecting") world.loop.connect_errors = {refused};

        world.connect();
        world.loop.resolve_error = {};
        if (where == "response 503") {
          world.server().sends("HTTP/1.1 503 x\r\n\r\n");
        } else if (where == "no handshake") {
          world.server().ends();
        } else if (!called) {
          if (where == "drain") world.server().room = world.server().written.size();
          world.accept();
          world.server().takes_all();
          if (where == "message") world.server().sends(test::server_frame(opcode::text, "x"));
          if (where == "ping") world.server().sends(test::server_frame(opcode::ping, "x"));
          if (where == "pong") world.server().sends(test::server_frame(opcode::pong, "x"));
        }
        if (!world.loop.peers.empty()) world.server().breaks();
        world.loop.passes(1h);
        CHECK(called);
        CHECK((world.loop.resolved.size() > attempts) == again);
        world.client.reset();
        world.loop.settle();
        CHECK(world.loop.timers().size() == 0);
        CHECK(world.loop.pending() == 0);
      }
    }
  }
}

TEST_CASE("client: destroyed in or behind on_close, the server still gets our close frame") {
  for (const bool inside : {true, false}) {
    CAPTURE(inside);
    World world;
    if (inside) world.handlers.on_close = [&](Connection&, const Closed&) { world.client.reset(); };
    world.connect().accept();
    world.server().sends(test::server_frame(opcode::close, test::close_payload(1000)));
    world.client.reset();
    std::string_view wire = world.server().written;
    const auto frame = test::decode(wire);
    REQUIRE(frame);
    CHECK(frame->payload == test::close_payload(1000));
    CHECK(world.server().closed == How::graceful);
  }
}

TEST_CASE("client: destroyed behind on_close while the close frame waits, it is cut") {
  World world;
  world.connect();
  world.server().room = 0;
  world.accept();
  world.server().sends(test::server_frame(opcode::close, test::close_payload(1000)));
  world.client.reset();
  CHECK(world.server().closed == How::abortive);
}

TEST_CASE("client: the connect time is over when it is connected, and the handshake has its own") {
  World world;
  world.options.connect_time = 1s;
  world.connect();
  CHECK(world.loop.held() == 0);
  world.loop.passes(5s);
  CHECK(world.log.empty());
  world.accept();
  world.loop.passes(1h);
  CHECK(world.heard() == Lines{"response 101", "open"});
  CHECK(world.client->connection() != nullptr);
}

TEST_CASE("client: what was looked up or tried is let go of before the next step") {
  World world;
  world.options.connect_time = 10s;
  world.loop.addresses = {address("192.0.2.1"), address("192.0.2.2"), address("192.0.2.3")};
  world.loop.connect_errors = {refused};
  world.loop.connect_waits = true;
  // When each of them is called, all that was before is gone.
  std::vector<std::size_t> held;
  world.loop.on_call = [&] { held.push_back(world.loop.held()); };
  world.connect();
  world.loop.passes(10s);
  world.loop.passes(10s);
  CHECK(held == std::vector<std::size_t>{0, 0, 0, 0});
  CHECK(world.loop.held() == 0);

  world.loop.connect_waits = false;
  world.loop.connect_errors.assign(4, refused);
  CHECK_FALSE(world.client->connect());
  world.loop.settle();
  CHECK(held == std::vector<std::size_t>(held.size(), 0));
}

TEST_CASE("client: a first wait over the most is the most, and connect() counts anew") {
  World world;
  world.options.reconnect = Reconnect{.first = 8s, .most = 2s};
  world.loop.connect_errors.assign(20, refused);
  world.connect();
  CHECK(world.loop.alarm_at - world.loop.time() <= 2s);

  world.options.reconnect = Reconnect{.first = 1s, .most = 64s};
  world.connect();
  for (int i = 0; i < 3; ++i) world.loop.passes(world.loop.alarm_at - world.loop.time());
  CHECK(world.loop.alarm_at - world.loop.time() >= 4s);
  world.client->close();
  CHECK_FALSE(world.client->connect());
  world.loop.settle();
  CHECK(world.loop.alarm_at - world.loop.time() <= 1s);
}

TEST_CASE("client: an answer that is too large is final, and what was no answer is not") {
  World large;
  large.options.reconnect.emplace();
  large.options.limits.handshake_bytes = 100;
  large.connect();
  large.server().sends("HTTP/1.1 101 x\r\nX: " + std::string(200, 'x'));
  CHECK(large.log.size() == 1);
  CHECK_FALSE(large.client->is_active());

  // With the status of a refusal, but it broke within the answer.
  World broken;
  broken.options.reconnect.emplace();
  broken.connect();
  broken.server().sends("HTTP/1.1 403 Forb");
  broken.server().ends();
  CHECK(broken.log.size() == 1);
  CHECK(broken.client->is_active());
}

TEST_CASE("client: destroyed with one connection that is over and one that is open") {
  World world;
  world.options.reconnect = Reconnect{.first = 1s, .most = 1s};
  world.connect().accept();
  world.server().sends(test::server_frame(opcode::close, test::close_payload(1001)));
  world.loop.passes(1s);  // the server leaves the stream open
  world.accept();
  CHECK(world.heard() ==
        Lines{"response 101", "open", "closed 1001, again", "response 101", "open"});
  CHECK(world.client->connection()->id() == 2);  // no two are called the same
  world.client.reset();
  CHECK(world.loop.peers[0]->closed == How::graceful);
  CHECK(world.loop.peers[1]->closed == How::abortive);
  CHECK(world.loop.timers().size() == 0);
}

TEST_CASE("client: a loop that has no memory fails the attempt at once, and the next may work") {
  for (const bool in_resolve : {true, false}) {
    CAPTURE(in_resolve);
    World world;
    world.options.reconnect.emplace();
    world.loop.on_call = [&] {
      if (world.loop.connects_to.empty() == in_resolve) throw std::bad_alloc{};
    };
    world.connect();
    REQUIRE(world.log.size() == 1);
    CHECK(world.log[0].starts_with("cannot connect to ws://example.org/chat: "));
    CHECK(world.log[0].find("memory") != std::string::npos);
    world.loop.on_call = {};
    world.loop.passes(1s);
    world.accept();
    CHECK(world.log.back() == "open");
  }
}

TEST_CASE("client: a connection for which there is no memory is tried again") {
  World world;
  world.options.reconnect.emplace();
  world.loop.connect_waits = true;
  CHECK_FALSE(world.make().connect());
  world.loop.settle();
  ConnectEvents& events = world.loop.connecting();
  test::Allocation::fail_in(1, [&] { CHECK(events.connected() == nullptr); });
  CHECK(world.log.size() == 1);
  CHECK(world.client->is_active());
  world.loop.connect_waits = false;
  CHECK(world.loop.alarm_at != never);
  world.loop.passes(1s);
  world.accept();
  CHECK(world.log.back() == "open");
}

TEST_CASE("client: a connection for which there is no memory leaves nothing behind") {
  bool failed = true;
  std::size_t n = 1;
  for (; failed; ++n) {
    CAPTURE(n);
    World world;
    const auto held = std::make_shared<int>(7);
    world.handlers = {};
    world.handlers.on_ping = [held](Connection&, Bytes) {};
    world.options.headers = {{"Authorization", "Bearer 123456789012345678901234567890"}};
    world.options.cookies = {{"name", "123456789012345678901234567890"}};
    world.loop.connect_waits = true;
    CHECK_FALSE(world.make().connect());
    world.handlers = {};
    world.loop.settle();
    ConnectEvents& connecting = world.loop.connecting();
    TransportEvents* events = nullptr;
    failed = test::Allocation::fail_in(n, [&] { events = connecting.connected(); });
    CHECK((events == nullptr) == failed);
    if (!failed) events->failed(refused);
    CHECK_FALSE(world.client->is_active());
    world.client.reset();
    CHECK(held.use_count() == 1);
  }
  CHECK(n > 5);
}

TEST_CASE("client: what it says of a URL is said without the query, in which tokens are") {
  World world;
  world.options.url = "ws://example.org/chat?access_token=secret";
  world.loop.connect_errors = {refused};
  world.connect();
  CHECK(world.heard() ==
        Lines{"cannot connect to ws://example.org/chat: 192.0.2.1:80: Connection refused"});
  world.connect();
  world.server().ends();
  CHECK(
      world.heard().at(0).starts_with("the opening handshake with ws://example.org/chat failed: "));
  world.options.url = "wss://example.org?access_token=secret";
  CHECK(world.make().connect().text ==
        "for wss://example.org a TLS context is needed: set ClientOptions::tls");
}

TEST_CASE("client: each attempt tells of its own addresses only") {
  World world;
  world.options.reconnect.emplace();
  world.loop.connect_errors = {refused, unreachable};
  world.connect();
  world.loop.passes(1s);
  CHECK(world.heard() == Lines{"cannot connect to ws://example.org/chat: 192.0.2.1:80: Connection "
                               "refused, again",
                               "cannot connect to ws://example.org/chat: 192.0.2.1:80: Network is "
                               "unreachable, again"});
}

TEST_CASE("client: destroyed inside on_error, which lives on until it returns") {
  for (int cause = 0; cause < 5; ++cause) {
    CAPTURE(cause);
    World world;
    bool returned = false;
    world.handlers.on_error = [&world, &returned, own = std::string(1000, 'x')](const Error&) {
      world.client.reset();
      returned = own == std::string(1000, 'x');
    };
    if (cause == 0) world.loop.resolve_error = make_error(errc::host_not_found, "x");
    if (cause == 1) world.loop.resolve_waits = true;
    if (cause == 2) world.loop.connect_errors = {refused};
    if (cause == 3) world.loop.fail_next = refused;
    world.connect();
    if (cause == 1) world.loop.passes(world.options.connect_time);
    if (cause == 4) world.server().breaks();
    CHECK(returned);
  }
}
