// A client's tunnel through a proxy, on a loop in memory.
#include <doctest/doctest.h>

#include <cstdlib>
#include <ostream>
#include <string>

#include "support/allocation.hpp"
#include "support/client_world.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using namespace std::string_literals;
using test::Lines;
using test::Peer;
namespace opcode = test::opcode;

constexpr const char* established = "HTTP/1.1 200 Connection established\r\n\r\n";

// The peers are proxies, and then servers behind them.
struct World : test::ClientWorld {
  World() { options.proxy = "http://user:word@proxy:3128"; }

  World& connect() {
    ClientWorld::connect();
    return *this;
  }
};

constexpr const char* connect_request =
    "CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\n"
    "Proxy-Authorization: Basic dXNlcjp3b3Jk\r\n\r\n";
constexpr const char* failed = "the opening handshake with ws://example.org/chat failed: ";

}  // namespace

TEST_CASE("tunnel: the proxy is connected to, asked, and then the server is spoken to") {
  for (const auto style : {Peer::Style::readiness, Peer::Style::completion}) {
    for (const std::size_t room : {test::any_number, std::size_t{0}, std::size_t{10}}) {
      for (const std::size_t read_size : {test::any_number, std::size_t{1}}) {
        CAPTURE(room);
        World world;
        world.client.emplace(world.loop, world.options, world.handlers);
        world.loop.on_connected = [&](Peer& peer) {
          peer.style = style;
          peer.room = room;
          peer.read_size = read_size;
        };
        CHECK_FALSE(world.client->connect());
        world.loop.settle();
        CHECK(to_string(world.loop.resolved[0]) == "proxy:3128");
        Peer& peer = world.peer();
        while (peer.is_blocked()) peer.takes(7);
        peer.room = test::any_number;
        CHECK(world.said() == connect_request);
        peer.sends(established);
        while (peer.is_blocked()) peer.takes(7);
        const std::string request = world.said();
        CHECK(request.starts_with("GET /chat HTTP/1.1\r\nHost: example.org\r\n"));
        CHECK(request.find("Proxy-") == std::string::npos);
        CHECK(world.heard().empty());
        peer.sends(World::answer_to(request) + test::server_frame(opcode::text, "hi"));
        CHECK(world.heard() == Lines{"response 101", "open", "message text 2 \"hi\""});
        CHECK(world.client->send("hello") == errc::ok);
        world.loop.settle();
        while (peer.is_blocked()) peer.takes_all();
        const std::string sent = world.said();
        std::string_view wire = sent;
        const auto frame = test::decode(wire);
        REQUIRE(frame);
        CHECK(frame->payload == "hello");
      }
    }
  }
}

TEST_CASE("tunnel: its deadline is that of the handshake, for both together") {
  World world;
  world.connect();
  world.loop.passes(world.options.limits.handshake_time - 1ms);
  world.peer().sends(established);
  CHECK(world.heard().empty());
  world.loop.passes(1ms);
  REQUIRE(world.log.size() == 1);
  CHECK(world.log[0].find("Limits::handshake_time") != std::string::npos);
  CHECK(world.peer().closed == How::abortive);
}

TEST_CASE("tunnel: what a proxy answers is an error with its status, and final as a server's is") {
  const auto answered = [](const std::string& answer) {
    World world;
    world.options.reconnect = Reconnect{.first = 1s, .most = 1s};
    std::error_code code;
    world.connect();
    world.peer().sends(answer);
    REQUIRE(world.log.size() == 1);
    CHECK(world.log[0].starts_with(failed));
    CHECK(world.peer().closed);
    return world.log[0].substr(std::string_view{failed}.size());
  };
  CHECK(answered("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno") ==
        "the connection broke: the proxy answered 407: it wants another user and password, as in "
        "http://user:word@proxy:3128");
  CHECK(answered("HTTP/1.1 403 Forbidden\r\n\r\n") ==
        "the connection broke: the proxy answered 403: it does not allow this server, or its port");
  CHECK(answered("HTTP/1.1 503 x\r\n\r\n") ==
        "the connection broke: the proxy answered 503: it cannot reach the server, again");
  CHECK(answered("HTTP/1.1 429 x\r\n\r\n") ==
        "the connection broke: the proxy answered 429 to CONNECT, again");
  CHECK(answered("nonsense\r\n\r\n") ==
        "the connection broke: the proxy gave no answer to CONNECT that can be read, again");
}

TEST_CASE("tunnel: the error is of the proxy's category, and on_response is not called") {
  World world;
  std::error_code code;
  world.handlers.on_error = [&](const Error& error) { code = error.code; };
  world.connect();
  world.peer().sends("HTTP/1.1 407 x\r\n\r\n");
  CHECK(code == std::error_code{407, proxy_category()});
  CHECK(world.log.empty());
  CHECK_FALSE(world.client->is_active());
}

TEST_CASE("tunnel: a proxy that ends or breaks the stream, or answers what was not asked") {
  World ended;
  ended.connect();
  ended.peer().sends("HTTP/1.1 200");
  ended.peer().ends();
  CHECK(ended.heard() == Lines{failed + "the connection broke: the proxy gave no answer to CONNECT "
                                        "that can be read"s});
  World broken;
  broken.connect();
  broken.peer().breaks();
  REQUIRE(broken.log.size() == 1);
  CHECK(broken.log[0].find("reset") != std::string::npos);
  World early;
  early.loop.on_connected = [](Peer& peer) { peer.room = 10; };
  early.connect();
  CHECK(early.peer().is_blocked());
  early.peer().sends(established);
  CHECK(early.heard().size() == 1);
  CHECK(early.peer().closed);
  World at_once;
  at_once.loop.on_connected = [](Peer& peer) {
    peer.write_error = std::make_error_code(std::errc::broken_pipe);
  };
  at_once.connect();
  CHECK(at_once.heard().size() == 1);
  CHECK(at_once.peer().closed);
}

TEST_CASE("tunnel: a transport that never comes to be leaves nothing behind") {
  World world;
  world.loop.fail_to_open = std::make_error_code(std::errc::not_enough_memory);
  world.connect();
  CHECK(world.heard().size() == 1);
  CHECK_FALSE(world.client->is_active());
}

TEST_CASE("tunnel: memory that runs out while the proxy answers ends the attempt") {
  const std::string answer =
      "HTTP/1.1 200 Connection established\r\nVia: " + std::string(2000, 'x') + "\r\n\r\n";
  bool ran_out = true;
  int ended = 0;
  for (std::size_t n = 1; ran_out; ++n) {
    CAPTURE(n);
    World world;
    world.handlers = {};
    world.connect();
    Peer& peer = world.peer();
    peer.read_size = 100;
    peer.written.reserve(4000);
    ran_out = test::Allocation::fail_in_sending(n, peer, answer);
    world.loop.settle();
    ended += peer.closed ? 1 : 0;
    CHECK((peer.closed || peer.written.find("GET /chat") != std::string::npos));
  }
  CHECK(ended > 2);
}

TEST_CASE("tunnel: given up before it stands, and after") {
  for (const bool stands : {false, true}) {
    for (const bool destroyed : {false, true}) {
      World world;
      world.connect();
      if (stands) world.peer().sends(established);
      if (destroyed)
        world.client.reset();
      else
        CHECK(world.client->close() == errc::ok);
      world.loop.settle();
      CHECK(world.peer().closed);
      CHECK(world.heard().empty());
    }
  }
}

TEST_CASE("tunnel: what comes glued to the proxy's answer is the server's, also its end") {
  World world;
  world.connect();
  world.peer().sends(established + "HTTP/1.1 400 Bad Request\r\n\r\n"s);
  CHECK(world.heard() == Lines{"response 400", failed + "the server answered 400 Bad Request; an "
                                                        "upgrade is answered 101"s});
  World ended;
  ended.connect();
  ended.peer().sends(established);
  ended.peer().ends();
  CHECK(ended.heard() == Lines{failed + "the stream ended inside the opening handshake"s});
}

TEST_CASE("tunnel: a proxy that cannot be connected to is named as what it is") {
  World world;
  world.loop.connect_errors = {std::make_error_code(std::errc::connection_refused)};
  world.connect();
  CHECK(world.heard() == Lines{"cannot connect to ws://example.org/chat (through its proxy): "
                               "192.0.2.1:80: Connection refused"});
}

TEST_CASE("tunnel: options that go together, and those that do not") {
  const auto refused = [](ClientOptions options) {
    World world;
    world.client.emplace(world.loop, options, world.handlers);
    return world.client->connect().text;
  };
  const std::string elsewhere =
      "a proxy leads to the URL's host and port, and not to another endpoint";
  CHECK(refused({.url = "ws://a/",
                 .endpoint = Endpoint{.host = "b", .port = 1, .path = {}},
                 .proxy = "p"}) == elsewhere);
  CHECK(refused({.url = "ws+unix:/run/x", .proxy = "p"}) == elsewhere);
  CHECK(refused({.url = "ws://a/", .proxy = "socks5://p"}).starts_with("a proxy is spoken to by "));
}

TEST_CASE("tunnel: the environment's proxy is taken when that is asked for, and not otherwise") {
  struct Variable {
    explicit Variable(const char* value) { setenv("http_proxy", value, 1); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    ~Variable() { unsetenv("http_proxy"); }
  };
  unsetenv("no_proxy");
  unsetenv("NO_PROXY");
  const Variable variable{"http://other:8080"};
  const auto connects_to = [](bool asked, std::string proxy,
                              std::string url = "ws://example.org/") {
    World world;
    world.options.url = std::move(url);
    world.options.proxy = std::move(proxy);
    world.options.proxy_from_environment = asked;
    world.connect();
    return world.loop.resolved.empty() ? to_string(world.loop.connects_to[0])
                                       : to_string(world.loop.resolved[0]);
  };
  CHECK(connects_to(false, "") == "example.org:80");
  CHECK(connects_to(true, "") == "other:8080");
  CHECK(connects_to(true, "proxy:1") == "proxy:1");
  CHECK(connects_to(true, "", "ws+unix:/run/x") == "unix:/run/x");
}
