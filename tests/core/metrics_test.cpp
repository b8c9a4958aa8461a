// What a server and a client count.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "support/client_world.hpp"
#include "support/server_world.hpp"
#include "timtow/metrics.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Lines;
using test::Peer;
using test::World;
namespace opcode = test::opcode;

std::uint64_t sum(const CloseCounts& closes) {
  std::uint64_t all = closes.libraries + closes.applications + closes.others;
  for (const std::uint64_t each : closes.standard) all += each;
  return all;
}

std::uint64_t sum(const Metrics::Refused& r) {
  return r.bad_request + r.head_too_large + r.timeout + r.gone + r.origin + r.subprotocol +
         r.by_application + r.by_us + r.connections + r.of_one_address + r.proxy_header + r.tls +
         r.memory + r.others;
}

}  // namespace

TEST_CASE("metrics: connections are opening, then open, then closing, and gone") {
  World world;
  world.serve();
  const auto states = [&] {
    const Metrics m = world.server->metrics();
    return std::vector<std::uint64_t>{m.accepted, m.opened, m.opening, m.open, m.closing};
  };
  CHECK(states() == std::vector<std::uint64_t>{0, 0, 0, 0, 0});
  Peer& peer = world.loop.connects();
  CHECK(states() == std::vector<std::uint64_t>{1, 0, 1, 0, 0});
  peer.opens();
  CHECK(states() == std::vector<std::uint64_t>{1, 1, 0, 1, 0});
  peer.sends("\xFF\xFF");  // an error, after which the end of the stream is waited for
  CHECK(states() == std::vector<std::uint64_t>{1, 1, 0, 0, 1});
  peer.ends();
  CHECK(states() == std::vector<std::uint64_t>{1, 1, 0, 0, 0});
}

TEST_CASE("metrics: messages and bytes, whole, in fragments and in pieces") {
  World world;
  std::size_t read_size = test::any_number;
  SUBCASE("whole") { world.echo(); }
  SUBCASE("byte by byte") {
    read_size = 1;
    world.echo();
  }
  SUBCASE("in pieces") {
    world.handlers.on_piece = [](Connection& c, const Piece& p) {
      c.send_piece({p.type, p.payload}, p.last);
    };
    world.serve();
  }
  SUBCASE("in pieces, byte by byte") {
    read_size = 1;
    world.handlers.on_piece = [](Connection& c, const Piece& p) {
      c.send_piece({p.type, p.payload}, p.last);
    };
    world.serve();
  }
  Peer& peer = world.loop.connects();
  peer.read_size = read_size;
  std::size_t received = test::upgrade_request.size();
  peer.sends(test::upgrade_request);
  std::size_t sent = peer.written.size();
  peer.written.clear();
  const auto sends = [&](const std::string& bytes) {
    received += bytes.size();
    peer.sends(bytes);
    sent += peer.written.size();
    peer.written.clear();
  };
  for (const std::size_t size : {0U, 16U, 125U, 126U, 5'000U, 70'000U})
    sends(test::client_frame(opcode::binary, std::string(size, 'x')));
  sends(test::client_frame(opcode::text, "abc", false));
  sends(test::client_frame(opcode::ping, "ping!"));
  sends(test::client_frame(opcode::continuation, "de"));
  sends(test::client_frame(opcode::pong, "nobody asked"));

  const Metrics m = world.server->metrics();
  CHECK(m.messages_received == 7);
  CHECK(m.messages_sent == 7);
  CHECK(m.message_bytes_received == 75'267 + 5);
  CHECK(m.message_bytes_sent == 75'267 + 5);
  CHECK(m.bytes_received == received);
  CHECK(m.bytes_sent == sent);
  CHECK(m.pings_received == 1);
  CHECK(m.pongs_sent == 1);
  CHECK(m.pongs_received == 1);
  CHECK(m.pings_sent == 0);
}

TEST_CASE("metrics: a text that is none was no message") {
  for (const std::string size : {"\xFF", "whole, and longer \xFF"}) {
    World world;
    world.serve();
    world.opened().sends(opcode::text, size);
    CHECK(world.server->metrics().messages_received == 0);
    CHECK(world.server->metrics().message_bytes_received == 0);
    CHECK(world.server->metrics().closes_sent.standard[7] == 1);
  }
}

TEST_CASE("metrics: every way to send counts a message once, and what is refused is none") {
  World world;
  world.limits.output_bytes = 100'000;
  world.handlers.on_message = [](Connection& c, const Message& m) { c.send(m); };  // in place
  world.serve();
  Peer& peer = world.opened();
  const auto connection = world.connection();
  const auto sent = [&] { return world.server->metrics().messages_sent; };
  connection->send("short");
  CHECK(sent() == 1);
  connection->send(std::string(1'000, 'x'));
  connection->send(std::string(50'000, 'x'));  // borrowed
  CHECK(sent() == 3);
  peer.sends(opcode::binary, std::string(10'000, 'x'));
  CHECK(sent() == 4);
  world.server->broadcast({MessageType::text, as_bytes("all")});
  CHECK(sent() == 5);
  connection->send_piece({MessageType::text, as_bytes("a")}, false);
  connection->send_piece({MessageType::text, as_bytes("b")}, false);
  CHECK(sent() == 5);
  connection->send_piece({MessageType::text, as_bytes("c")}, true);
  connection->ping(as_bytes("ping"));
  CHECK(sent() == 6);
  CHECK(connection->send(std::string(200'000, 'x')) == errc::output_full);
  peer.closes();
  CHECK(connection->send("late") == errc::not_open);
  const Metrics m = world.server->metrics();
  CHECK(m.messages_sent == 6);
  CHECK(m.message_bytes_sent == 5 + 1'000 + 50'000 + 10'000 + 3 + 3);
  CHECK(m.pings_sent == 1);
}

TEST_CASE("metrics: the pings that silence brings") {
  World world;
  world.limits.ping_interval = 30s;
  world.serve();
  Peer& peer = world.opened();
  world.loop.passes(30s);
  CHECK(peer.frames() == Lines{"> ping"});
  peer.sends(opcode::pong, "");
  const Metrics m = world.server->metrics();
  CHECK(m.pings_sent == 1);
  CHECK(m.pongs_received == 1);
  CHECK(m.messages_sent == 0);
}

TEST_CASE("metrics: close codes, the peers' and ours") {
  World world;
  world.serve();
  for (const unsigned code : {1000U, 1000U, 1001U, 3500U, 4000U, 4999U})
    world.opened().closes(code);
  world.opened().breaks();
  Peer& none = world.opened();
  none.sends(opcode::close, "");
  none.ends();
  const std::uint64_t id = 9;
  Peer& ours = world.opened();
  world.connection(id)->close(1008);
  ours.closes(1008);
  const Metrics m = world.server->metrics();
  CHECK(m.closes_received.standard[0] == 2);
  CHECK(m.closes_received.standard[1] == 1);
  CHECK(m.closes_received.standard[5] == 1);
  CHECK(m.closes_received.standard[6] == 1);
  CHECK(m.closes_received.standard[8] == 1);
  CHECK(m.closes_received.libraries == 1);
  CHECK(m.closes_received.applications == 2);
  CHECK(sum(m.closes_received) == 9);
  CHECK(m.closes_sent.standard[8] == 1);
  CHECK(m.closes_sent.standard[0] == 2);
  CHECK(sum(m.closes_sent) == 8);  // not to whom broke the stream
  CloseCounts drafts;
  drafts.count(999);
  drafts.count(1016);
  CHECK(drafts.others == 2);
}

TEST_CASE("metrics: who is refused, by cause") {
  World world;
  world.limits.handshake_time = 10s;
  std::string bytes{test::upgrade_request};
  const auto with = [](std::string_view header) {
    std::string request{test::upgrade_request};
    return request.insert(request.size() - 2, header);
  };
  std::uint64_t Metrics::Refused::*cause = &Metrics::Refused::others;
  std::function<void(Peer&)> then = [](Peer&) {};
  SUBCASE("a request that is none") {
    bytes = "GET\r\n\r\n";
    cause = &Metrics::Refused::bad_request;
  }
  SUBCASE("too large") {
    bytes = with("X: " + std::string(20'000, 'x') + "\r\n");
    cause = &Metrics::Refused::head_too_large;
  }
  SUBCASE("too slow") {
    bytes = "GET ";
    then = [&](Peer&) { world.loop.passes(10s); };
    cause = &Metrics::Refused::timeout;
  }
  SUBCASE("gone") {
    bytes = "GET ";
    then = [](Peer& peer) { peer.ends(); };
    cause = &Metrics::Refused::gone;
  }
  SUBCASE("broken") {
    bytes = "GET ";
    then = [](Peer& peer) { peer.breaks(); };
    cause = &Metrics::Refused::gone;
  }
  SUBCASE("another origin") {
    bytes = with("Origin: http://evil.example\r\n");
    cause = &Metrics::Refused::origin;
  }
  SUBCASE("no subprotocol") {
    world.options.needs_subprotocol = true;
    cause = &Metrics::Refused::subprotocol;
  }
  SUBCASE("the application") {
    world.handlers.on_request = [](Connection& c, const Request&) { c.reject(403, "no\n"); };
    cause = &Metrics::Refused::by_application;
  }
  SUBCASE("a shutdown") {
    bytes = "GET ";
    then = [&](Peer&) { world.server->shutdown(1s); };
    cause = &Metrics::Refused::by_us;
  }
  SUBCASE("a PROXY header is missing") {
    world.options.trusted_proxies = {"192.0.2.7"};
    world.options.proxy_protocol = true;
    cause = &Metrics::Refused::proxy_header;
  }
  SUBCASE("too many") {
    world.options.connections = 1;
    then = [&](Peer&) { world.loop.connects(); };
    cause = &Metrics::Refused::connections;
  }
  SUBCASE("too many of one address, told or closed at once") {
    world.options.connections_per_address = 1;
    then = [&](Peer&) { world.loop.connects(); };
    cause = &Metrics::Refused::of_one_address;
  }
  world.serve();
  Peer& peer = world.loop.connects();
  peer.sends(bytes);
  then(peer);
  const Metrics::Refused refused = world.server->metrics().refused;
  CHECK(refused.*cause == 1);
  CHECK(sum(refused) == 1);
}

TEST_CASE("metrics: whoever is turned away is counted, closed at once or not") {
  World world;
  world.options.connections = 1;
  world.serve();
  for (int i = 0; i < 11; ++i) world.loop.connects();
  const Metrics m = world.server->metrics();
  CHECK(m.accepted == 11);
  CHECK(m.refused.connections == 10);
}

TEST_CASE("metrics: a plain request is answered, and refused nothing") {
  World world;
  world.serve();
  Peer& peer = world.loop.connects();
  peer.sends("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
  CHECK(peer.status() == "HTTP/1.1 426 Upgrade Required");
  CHECK(world.server->metrics().answered == 1);
  CHECK(sum(world.server->metrics().refused) == 0);
}

TEST_CASE("metrics: accept() out of descriptors, or failing otherwise") {
  World world;
  world.serve();
  AcceptEvents& events = world.loop.accept_events();
  events.accept_failed({std::make_error_code(std::errc::too_many_files_open), "x"});
  events.accept_failed({std::make_error_code(std::errc::too_many_files_open_in_system), "x"});
  events.accept_failed({std::make_error_code(std::errc::not_enough_memory), "x"});
  CHECK(world.server->metrics().accepts_without_descriptors == 2);
  CHECK(world.server->metrics().accepts_failed == 1);
}

TEST_CASE("metrics: the most that has waited for one peer, and the memory of it now") {
  World world;
  world.serve();
  Peer& peer = world.opened();
  Peer& quick = world.opened();
  CHECK(world.server->metrics().largest_output == 0);
  peer.room = 0;
  for (int i = 0; i < 3; ++i) world.connection(1)->send(std::string(10'000, 'x'));
  CHECK(world.server->metrics().largest_output >= 30'000);
  CHECK(world.server->metrics().largest_output < 31'000);
  CHECK(world.server->metrics().memory_in_use > 30'000);
  CHECK(world.server->metrics().memory_budget == world.loop.pool().budget());
  peer.takes_all();
  CHECK(world.server->metrics().memory_in_use == 0);
  world.connection(2)->send(std::string(90'000, 'x'));  // which is taken at once
  CHECK(quick.written.size() > 90'000);
  CHECK(world.server->metrics().largest_output < 31'000);
}

TEST_CASE("metrics: a client counts as well") {
  test::ClientWorld world;
  world.connect();
  Peer& server = world.peer();
  server.sends(test::ClientWorld::answer_to(world.said()));
  CHECK(world.client->send("hello") == errc::ok);
  server.sends(test::server_frame(opcode::text, "hi"));
  const Metrics m = world.client->metrics();
  CHECK(m.accepted == 1);
  CHECK(m.opened == 1);
  CHECK(m.open == 1);
  CHECK(m.messages_sent == 1);
  CHECK(m.message_bytes_sent == 5);
  CHECK(m.messages_received == 1);
}

TEST_CASE("metrics: sessions without options count for themselves") {
  Pool pool;
  const SessionOptions options;
  {
    Session with{Role::server, pool, options};
    Session without{Role::server, pool};
    std::string bytes{test::upgrade_request};
    without.receive(std::as_writable_bytes(std::span{bytes}));
  }
  CHECK(options.traffic.bytes_received == 0);
  CHECK(pool.default_options().traffic.bytes_received == test::upgrade_request.size());
}

TEST_CASE("metrics: in the text format of Prometheus") {
  Metrics m;
  m.messages_received = 7;
  m.open = 3;
  m.refused.origin = 2;
  m.closes_sent.standard[9] = 5;
  m.closes_sent.libraries = 6;
  m.memory_budget = std::numeric_limits<std::uint64_t>::max();
  const std::string text = to_prometheus(m);
  const auto has = [&](const std::string& lines) {
    return ('\n' + text).find('\n' + lines + '\n') != std::string::npos;
  };
  CHECK(
      has("# HELP timtow_messages_received_total Whole messages.\n"
          "# TYPE timtow_messages_received_total counter\n"
          "timtow_messages_received_total 7"));
  CHECK(
      has("# TYPE timtow_connections gauge\n"
          "timtow_connections{state=\"opening\"} 0\n"
          "timtow_connections{state=\"open\"} 3"));
  CHECK(has("timtow_connections_refused_total{cause=\"origin\"} 2"));
  CHECK(has("timtow_closes_sent_total{code=\"1009\"} 5"));
  CHECK(has("timtow_closes_sent_total{code=\"3xxx\"} 6"));
  CHECK(has("timtow_memory_budget_bytes +Inf"));
  CHECK(text.ends_with('\n'));
}
