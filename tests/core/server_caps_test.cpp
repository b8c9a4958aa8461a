// How many connections a server has, and each address of them, on a loop in memory.
#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <ostream>
#include <string>

#include "address_counts.hpp"
#include "support/allocation.hpp"
#include "support/server_world.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Lines;
using test::Peer;
namespace opcode = test::opcode;

Endpoint at(const std::string& host) { return {.host = host, .port = 4711, .path = {}}; }

struct World : test::World {
  World() {
    handlers.on_open = [](Connection&) {};
  }
  World& serve() {
    test::World::serve();
    return *this;
  }
  Peer& connects(const std::string& host) {
    loop.peer_address = at(host);
    return loop.connects();
  }
  // The status line of what it is told that asks for an upgrade; "" when it was closed unseen.
  std::string asks(const std::string& host, std::string_view headers = {}) {
    Peer& peer = connects(host);
    if (peer.closed) return {};
    std::string request{test::upgrade_request};
    peer.sends(request.insert(request.size() - 2, headers));
    return peer.status().substr(9, 3);
  }
};

constexpr const char* let_in = "101";
constexpr const char* turned_away = "503";

std::string nth(int i) { return "192.0.2." + std::to_string(i); }

}  // namespace

TEST_CASE("caps: the limit on open files says how many connections there may be") {
  World world;
  world.loop.descriptors = 96;  // five sixths are 80, half of which are 40
  world.serve();
  for (int i = 0; i < 40; ++i) REQUIRE(world.asks("192.0.2.1") == let_in);
  CHECK(world.asks("192.0.2.1") == turned_away);  // one address shuts out no other
  for (int i = 0; i < 40; ++i) REQUIRE(world.asks("192.0.2.2") == let_in);
  CHECK(world.asks("192.0.2.3") == turned_away);
}

TEST_CASE("caps: a loop that knows no limit has none") {
  World world;
  world.serve();
  for (int i = 0; i < 300; ++i) REQUIRE(world.asks("192.0.2.1") == let_in);
}

TEST_CASE("caps: whoever comes beyond is told why, some are closed at once, and places come back") {
  World world;
  world.options.connections = 16;
  world.options.connections_per_address = test::any_number;
  world.serve();
  for (int i = 0; i < 16; ++i) REQUIRE(world.asks(nth(i)) == let_in);

  Peer& told = world.connects("192.0.2.99");
  CHECK(told.written.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  CHECK(told.written.find("\r\nRetry-After: 10\r\n") != std::string::npos);
  CHECK(told.written.ends_with("there are 16 connections, which is ServerOptions::connections\n"));
  CHECK(told.shut_down);
  CHECK_FALSE(told.closed);  // what it has sent is read, or our last words would be lost
  Peer& second = world.connects("192.0.2.99");
  CHECK_FALSE(second.closed);
  const std::size_t all = world.server->size();
  Peer& third = world.connects("192.0.2.99");  // an eighth of 16 is 2
  CHECK(third.closed);
  CHECK(third.written.empty());
  CHECK(world.server->size() == all);

  told.sends(test::upgrade_request);
  told.ends();
  CHECK(told.closed == How::graceful);
  CHECK(world.asks("192.0.2.99") == turned_away);

  world.loop.peers.front()->closes();
  CHECK(world.asks("192.0.2.99") == let_in);
  CHECK(world.asks("192.0.2.99").empty());  // full again, and two are still being told
  world.loop.passes(6s);                    // Limits::close_time: those two are cut
  CHECK(second.closed);
  CHECK(world.asks("192.0.2.99") == turned_away);
}

TEST_CASE("caps: one address, or one network of IPv6, has its share") {
  World world;
  world.options.connections_per_address = 2;
  world.serve();
  for (const char* const host : {"192.0.2.1", "2001:db8::1"}) {
    CAPTURE(host);
    CHECK(world.asks(host) == let_in);
    CHECK(world.asks(host) == let_in);
  }
  CHECK(world.asks("192.0.2.1") == turned_away);
  CHECK(world.asks("::ffff:192.0.2.1") == turned_away);  // which is the same one
  CHECK(world.asks("192.0.2.2") == let_in);
  CHECK(world.asks("2001:db8::ffff:1") == turned_away);
  CHECK(world.asks("2001:db8:0:1::1") == let_in);
  // A place is free when the connection is over.
  world.loop.peers.front()->closes();
  CHECK(world.asks("192.0.2.1") == let_in);
  CHECK(world.asks("192.0.2.1") == turned_away);
}

TEST_CASE("caps: this machine has as many as it likes, and counts in all") {
  World world;
  world.options.connections = 8;
  world.options.connections_per_address = 1;
  world.options.trusted_proxies = {"10.0.0.0/8"};
  world.serve();
  for (const char* const host : {"127.0.0.1", "127.0.0.2", "::1", "10.0.0.1"}) {
    CAPTURE(host);
    CHECK(world.asks(host) == let_in);
    CHECK(world.asks(host) == let_in);
  }
  CHECK(world.asks("127.0.0.1") == turned_away);
}

TEST_CASE("caps: Unix sockets have no address") {
  World world;
  world.options.connections_per_address = 1;
  world.loop.peer_address = {.host = {}, .port = 0, .path = "/run/x"};
  world.serve();
  for (int i = 0; i < 3; ++i) world.loop.connects().opens();
}

TEST_CASE("caps: of a trusted proxy the clients count that it names") {
  World world;
  world.options.connections_per_address = 1;
  world.options.trusted_proxies = {"10.0.0.0/8"};
  world.serve();
  CHECK(world.asks("10.0.0.1", "X-Forwarded-For: 192.0.2.1\r\n") == let_in);
  CHECK(world.asks("10.0.0.2", "X-Forwarded-For: 192.0.2.1\r\n") == turned_away);
  CHECK(world.asks("10.0.0.2", "X-Forwarded-For: 192.0.2.2\r\n") == let_in);
  CHECK(world.asks("192.0.2.2") == turned_away);                               // by whatever way
  CHECK(world.asks("192.0.2.3", "X-Forwarded-For: 192.0.2.1\r\n") == let_in);  // who would lie
  CHECK(world.asks("192.0.2.3") == turned_away);
  CHECK(world.asks("10.0.0.1", "X-Forwarded-For: 127.0.0.1\r\n") == let_in);
  CHECK(world.asks("10.0.0.1", "X-Forwarded-For: 127.0.0.1\r\n") == let_in);
  CHECK(world.asks("10.0.0.1", "X-Forwarded-For: \"\r\n") == let_in);  // who makes a secret of it
  CHECK(world.asks("10.0.0.2", "X-Forwarded-For: me\r\n") == turned_away);
  world.loop.peers.front()->closes();
  CHECK(world.asks("10.0.0.2", "X-Forwarded-For: 192.0.2.1\r\n") == let_in);
  CHECK(world.heard().size() == 1);  // one peer went
}

TEST_CASE("caps: whom a PROXY header names is counted before its request is read") {
  World world;
  world.options.connections_per_address = 1;
  world.options.trusted_proxies = {"10.0.0.0/8"};
  world.options.proxy_protocol = true;
  world.serve();
  const std::string header = "PROXY TCP4 192.0.2.1 10.0.0.9 56324 443\r\n";
  Peer& first = world.connects("10.0.0.1");
  first.sends(header);
  Peer& second = world.connects("10.0.0.1");
  second.sends(header);
  CHECK(second.status() == "HTTP/1.1 503 Service Unavailable");
  CHECK(second.shut_down);
  first.sends(test::upgrade_request);
  CHECK(first.status() == "HTTP/1.1 101 Switching Protocols");
  first.closes();
  Peer& third = world.connects("10.0.0.1");
  third.sends(header + std::string{test::upgrade_request});
  CHECK(third.status() == "HTTP/1.1 101 Switching Protocols");
}

TEST_CASE("caps: over TLS who is turned away is cut, before anything was paid for it") {
  struct Security final : ServerSecurity {
    std::unique_ptr<Filter> secure(Loop&, TransportEvents&) override {
      FAIL("a handshake would begin");
      return nullptr;
    }
  };
  World world;
  world.options.connections = 1;
  world.server.emplace(world.loop, world.handlers, world.options);
  CHECK_FALSE(world.server->listen(at("127.0.0.1"), std::make_shared<Security>()));
  CHECK_FALSE(world.server->adopt(world.loop.connected_elsewhere()));
  CHECK(world.connects("192.0.2.1").closed);
  CHECK(world.server->size() == 1);
}

TEST_CASE("caps: adopted connections count") {
  World world;
  world.options.connections = 3;
  world.options.connections_per_address = 1;
  world.serve();
  const auto adopt = [&](const std::string& host) {
    world.loop.peer_address = at(host);
    return world.server->adopt(world.loop.connected_elsewhere(), as_bytes(test::upgrade_request));
  };
  CHECK_FALSE(adopt("192.0.2.1"));
  CHECK(world.loop.peers.back()->status() == "HTTP/1.1 101 Switching Protocols");
  CHECK_FALSE(adopt("192.0.2.1"));  // the socket is ours already when we know
  CHECK(world.loop.peers.back()->status() == "HTTP/1.1 503 Service Unavailable");
  CHECK_FALSE(adopt("192.0.2.2"));
  CHECK(adopt("192.0.2.3").code == errc::too_many_connections);  // and here it is still theirs
  CHECK_FALSE(world.loop.peers.back()->was_opened());
  CHECK(world.asks("192.0.2.2") == turned_away);
}

TEST_CASE("caps: the application is told how many were turned away, not of each") {
  World world;
  world.options.connections = 3;
  world.options.connections_per_address = 2;
  world.handlers.on_error = [&](const Error& error) { world.log.push_back(error.text); };
  world.handlers.on_close = {};
  world.serve();
  for (int i = 0; i < 2; ++i) world.asks("192.0.2.1");
  for (int i = 0; i < 5; ++i) world.connects("192.0.2.1").ends();
  world.asks("192.0.2.2");
  for (int i = 0; i < 1000; ++i) world.connects("192.0.2.3").ends();
  CHECK(world.heard().empty());
  const Lines all{
      "1000 peers were turned away: there were 3 connections, which is ServerOptions::connections; "
      "raise it, and the limit on open files?",
      "5 peers were turned away: their address had 2 connections, which is "
      "ServerOptions::connections_per_address; if it is a proxy's, name that in trusted_proxies"};
  SUBCASE("after a while") {
    world.loop.passes(1h);
    CHECK(world.heard() == all);
    world.loop.passes(1h);
    CHECK(world.heard().empty());
    world.connects("192.0.2.3");
    world.loop.passes(1h);
    CHECK(world.heard().size() == 1);
  }
  SUBCASE("before the server is done") {
    world.server->shutdown(1s, [&] { world.log.emplace_back("done"); });
    world.loop.passes(1h);
    CHECK(world.heard() == Lines{all[0], all[1], "done"});
  }
  SUBCASE("and may then destroy the server") {
    Lines told;
    world.handlers = {};
    world.server.reset();
    world.handlers.on_error = [&](const Error& error) {
      told.push_back(test::name_of(error.code));
      world.server.reset();
    };
    world.options.connections = 2;
    world.options.connections_per_address = 1;
    world.serve();
    for (int i = 0; i < 2; ++i) world.asks("192.0.2.1");
    world.asks("192.0.2.2");
    world.asks("192.0.2.3");
    world.loop.passes(1h);
    CHECK(told == Lines{"too_many_connections"});
  }
}

TEST_CASE("caps: what memory runs out for is not counted") {
  int failures = 0;
  for (std::size_t n = 1; n < 50; ++n) {
    CAPTURE(n);
    World world;
    world.options.connections_per_address = 1;
    world.serve();
    Peer& peer = world.loop.make_peer();
    const bool failed = test::Allocation::fail_in(n, [&] { world.loop.accept(peer); });
    failures += failed ? 1 : 0;
    if (!failed) peer.sends(test::upgrade_request);
    peer.ends();
    CHECK(peer.closed);
    CHECK(world.asks("192.0.2.7") == let_in);
    CHECK(world.asks("192.0.2.7") == turned_away);
    if (!failed) break;
  }
  CHECK(failures >= 3);
}

TEST_CASE("caps: an address is known by a number that nobody can foresee, and forgotten") {
  AddressCounts some;
  const AddressCounts others;
  const IpAddress address = *IpAddress::parse("192.0.2.1");
  const auto tag = some.tag_of(address);
  CHECK(tag == some.tag_of(*IpAddress::parse("::ffff:192.0.2.1")));
  CHECK(tag != some.tag_of(*IpAddress::parse("192.0.2.2")));
  CHECK(tag != some.tag_of(*IpAddress::parse("::")));
  CHECK(tag != others.tag_of(address));
  some.add(tag);
  some.add(tag);
  CHECK(some.count(tag) == 2);
  CHECK(some.size() == 1);
  some.remove(tag);
  some.remove(tag);
  CHECK(some.count(tag) == 0);
  CHECK(some.size() == 0);
}
