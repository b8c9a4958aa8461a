// A server behind proxies, on a loop in memory: whom it takes a connection to be of.
#include <doctest/doctest.h>

#include <ostream>
#include <string>

#include "support/allocation.hpp"
#include "support/server_world.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using namespace std::string_literals;
using test::Lines;
using test::Peer;
namespace opcode = test::opcode;

const Endpoint proxy{.host = "10.0.0.1", .port = 1, .path = {}};
const Endpoint stranger{.host = "192.0.2.7", .port = 4711, .path = {}};

std::string request_with(std::string_view headers) {
  std::string request{test::upgrade_request};
  return request.insert(request.size() - 2, headers);
}

const std::string header_v1 = "PROXY TCP4 203.0.113.7 10.0.0.9 56324 443\r\n";
const std::string header_v2 =
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0F\xCB\0\x71\x07\x0A\0\0\x09\xDC\x04\x01\xBB\x04\0\0"s;
const std::string local_v2 = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"s;

// Its log says who came: the peer, and who the client is.
struct World : test::World {
  World() {
    options.trusted_proxies = {"10.0.0.0/8"};
    handlers.on_request = [this](Connection& c, const Request&) {
      who("request", c);
      c.accept();
    };
    handlers.on_open = [this](Connection& c) { who("open", c); };
  }
  void who(const std::string& what, Connection& c) {
    log.push_back(what + ' ' + to_string(c.peer()) + ' ' + to_string(c.client_address()));
  }
  World& serve() {
    test::World::serve();
    return *this;
  }
  Peer& connects(const Endpoint& from) {
    loop.peer_address = from;
    return loop.connects();
  }
};

}  // namespace

TEST_CASE("proxied: without proxies the client is the peer") {
  World world;
  world.options.trusted_proxies.clear();
  world.serve();
  Peer& peer = world.connects(stranger);
  peer.sends(request_with("X-Forwarded-For: 203.0.113.7\r\n"));
  CHECK(world.heard() ==
        Lines{"request 192.0.2.7:4711 192.0.2.7:4711", "open 192.0.2.7:4711 192.0.2.7:4711"});
  const auto kept = world.connection();
  peer.closes();
  CHECK(kept->peer().host.empty());  // it is gone
  CHECK(kept->client_address().host.empty());
}

TEST_CASE("proxied: what a trusted proxy's header says of the client stays known") {
  World world;
  world.serve();
  Peer& peer = world.connects(proxy);
  peer.sends(request_with("X-Forwarded-For: 203.0.113.8, 203.0.113.7\r\n"));
  CHECK(world.heard() ==
        Lines{"request 10.0.0.1:1 203.0.113.7:0", "open 10.0.0.1:1 203.0.113.7:0"});
  const auto kept = world.connection();
  kept->user_data() = 7;  // lies beside it
  peer.closes();
  CHECK(to_string(kept->client_address()) == "203.0.113.7:0");
  Peer& other = world.connects(stranger);
  other.sends(request_with("X-Forwarded-For: 203.0.113.7\r\n"));
  CHECK(world.log.back() == "open 192.0.2.7:4711 192.0.2.7:4711");
}

TEST_CASE("proxied: Forwarded is believed where the options say so") {
  World world;
  world.options.forwarded_header = ForwardedHeader::forwarded;
  world.serve();
  world.connects(proxy).sends(
      request_with("X-Forwarded-For: 203.0.113.8\r\nForwarded: for=203.0.113.7\r\n"));
  CHECK(world.heard().back() == "open 10.0.0.1:1 203.0.113.7:0");
}

TEST_CASE("proxied: an origin is compared with the host and scheme that the proxy was asked for") {
  World world;
  world.serve();
  const auto status = [&](const Endpoint& from, const std::string& origin) {
    Peer& peer = world.connects(from);
    peer.sends(
        request_with("X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: example.org\r\n"
                     "X-Forwarded-Proto: https\r\nOrigin: " +
                     origin + "\r\n"));
    const std::string line = peer.status();
    peer.closes();
    return line.substr(9, 3);
  };
  CHECK(status(proxy, "https://example.org") == "101");
  CHECK(status(proxy, "http://example.org") == "403");
  CHECK(status(proxy, "https://server.example.com") == "403");
  CHECK(status(stranger, "https://example.org") == "403");
  CHECK(status(stranger, "https://server.example.com") == "101");
}

TEST_CASE("proxied: a PROXY header is taken off the stream, however it comes") {
  for (const std::string& header : {header_v1, header_v2}) {
    for (const std::size_t read_size : {test::any_number, std::size_t{1}, std::size_t{7}}) {
      CAPTURE(read_size);
      World world;
      world.options.proxy_protocol = true;
      world.handlers.on_message = [](Connection& c, const Message& m) { c.send(m); };
      world.serve();
      Peer& peer = world.connects(proxy);
      peer.read_size = read_size;
      peer.sends(header + std::string{test::upgrade_request} +
                 test::client_frame(opcode::text, "hi"));
      CHECK(world.heard() == Lines{"request 203.0.113.7:56324 203.0.113.7:56324",
                                   "open 203.0.113.7:56324 203.0.113.7:56324"});
      const auto head = peer.written.find("\r\n\r\n") + 4;
      peer.written.erase(0, head);
      CHECK(peer.frames() == Lines{"> text \"hi\""});
      // A large message is read straight to where it stays, and goes back.
      peer.read_size = test::any_number;
      const std::string large(300'000, 'x');
      peer.sends(opcode::binary, large);
      CHECK(peer.written.size() == large.size() + 10);
      peer.written.clear();
      peer.closes();
      CHECK(peer.closed == How::graceful);
      CHECK(world.heard() == Lines{"1 closed 1000 sent=1000"});
    }
  }
}

TEST_CASE("proxied: behind a PROXY header output waits, and reading stops, as without one") {
  World world;
  world.options.proxy_protocol = true;
  world.limits.output_high_water = 50'000;
  world.limits.output_low_water = 10'000;
  world.handlers.on_message = [](Connection& c, const Message& m) { c.send(m); };
  world.serve();
  Peer& peer = world.connects(proxy);
  peer.sends(header_v1 + std::string{test::upgrade_request});
  peer.room = 0;
  const std::string large(100'000, 'x');
  peer.sends(opcode::binary, large);
  CHECK_FALSE(peer.reads);
  peer.takes(large.size());
  CHECK(peer.reads);
  peer.takes_all();
  CHECK(peer.written.size() == large.size() + 10 + peer.written.find("\r\n\r\n") + 4);
}

TEST_CASE("proxied: behind a PROXY header too the client is told by headers, if that is trusted") {
  World world;
  world.options.proxy_protocol = true;
  world.options.trusted_proxies = {"10.0.0.0/8", "203.0.113.0/24"};
  world.serve();
  world.connects(proxy).sends(header_v1 + request_with("X-Forwarded-For: 198.51.100.1\r\n"));
  CHECK(world.heard().back() == "open 203.0.113.7:56324 198.51.100.1:0");
  world.options.trusted_proxies = {"10.0.0.0/8"};
  world.serve();
  world.connects(proxy).sends(header_v1 + request_with("X-Forwarded-For: 198.51.100.1\r\n"));
  CHECK(world.heard().back() == "open 203.0.113.7:56324 203.0.113.7:56324");
}

TEST_CASE("proxied: drafts 75 and 76 repeat what the proxy was asked for, if that is trusted") {
  World world;
  world.options.drafts = true;
  world.options.origins.any = true;
  world.serve();
  const auto location = [&](const Endpoint& from, std::string_view headers) {
    Peer& peer = world.connects(from);
    peer.sends(
        "GET /demo HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: inside\r\n"
        "Origin: http://example.com\r\nX-Forwarded-For: 203.0.113.7\r\n" +
        std::string{headers} + "\r\n");
    constexpr std::string_view name = "WebSocket-Location: ";
    const std::string answer = peer.written.substr(peer.written.find(name) + name.size());
    return answer.substr(0, answer.find("\r\n"));
  };
  CHECK(location(proxy, "") == "ws://inside/demo");
  CHECK(location(proxy, "X-Forwarded-Proto: https\r\n") == "wss://inside/demo");
  CHECK(location(proxy, "X-Forwarded-Proto: http\r\n") == "ws://inside/demo");
  CHECK(location(proxy, "X-Forwarded-Proto: wss\r\nX-Forwarded-Host: example.com:8443\r\n") ==
        "wss://example.com:8443/demo");
  CHECK(location(stranger, "X-Forwarded-Proto: https\r\nX-Forwarded-Host: example.com\r\n") ==
        "ws://inside/demo");
}

TEST_CASE("proxied: a connection of the proxy's own is its own") {
  World world;
  world.options.proxy_protocol = true;
  world.serve();
  world.connects(proxy).sends(local_v2 + std::string{test::upgrade_request});
  CHECK(world.heard().back() == "open 10.0.0.1:1 10.0.0.1:1");
}

TEST_CASE("proxied: a client that the PROXY header does not name cannot name itself") {
  World world;
  world.options.proxy_protocol = true;
  world.serve();
  const std::string unspecified = "\r\n\r\n\0\r\nQUIT\n\x21\0\0\0"s;
  const std::string datagram =
      "\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0C\xCB\0\x71\x07\x0A\0\0\x09\xDC\x04\x01\xBB"s;
  const std::string unnamed = "\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xD8"s + std::string(216, '\0');
  for (const std::string& header : {"PROXY UNKNOWN\r\n"s, unspecified, datagram, unnamed}) {
    world.connects(proxy).sends(header + request_with("X-Forwarded-For: 203.0.113.7\r\n"));
    CHECK(world.heard().back() == "open unknown:0 unknown:0");
  }
}

TEST_CASE(
    "proxied: a PROXY header that is missing, malformed or a stranger's cuts the connection") {
  World world;
  world.options.proxy_protocol = true;
  std::string sentence;
  world.handlers.on_error = [&](const Error& error) {
    world.log.push_back("error " + test::name_of(error.code));
    sentence = error.text;
  };
  world.serve();
  const auto check = [&](const Endpoint& from, const std::string& bytes, const char* error) {
    for (const std::size_t read_size : {test::any_number, std::size_t{1}}) {
      Peer& peer = world.connects(from);
      peer.read_size = read_size;
      peer.sends(bytes);
      CHECK(world.heard() == Lines{"error "s + error});
      CHECK(peer.closed == How::abortive);
      CHECK(peer.written.empty());
    }
  };
  check(proxy, std::string{test::upgrade_request}, "proxy_header_missing");
  CHECK(sentence ==
        "the connection broke: a trusted proxy sent no PROXY header: switch it on there, or off "
        "here");
  check(proxy, "PROXY TCP4 nonsense\r\n", "bad_proxy_header");
  check(proxy, "PROXY " + std::string(200, 'x'), "bad_proxy_header");
  check(stranger, header_v1 + std::string{test::upgrade_request}, "proxy_header_untrusted");
  check(stranger, header_v2, "proxy_header_untrusted");
  check(stranger, "PROXY TCP4 nonsense\r\n", "proxy_header_untrusted");
  CHECK(world.server->size() == 0);
}

TEST_CASE("proxied: a stranger without a PROXY header is served, and has no other address") {
  World world;
  world.options.proxy_protocol = true;
  world.serve();
  for (const std::size_t read_size : {test::any_number, std::size_t{1}}) {
    Peer& peer = world.connects(stranger);
    peer.read_size = read_size;
    peer.sends(test::upgrade_request);
    CHECK(world.heard() ==
          Lines{"request 192.0.2.7:4711 192.0.2.7:4711", "open 192.0.2.7:4711 192.0.2.7:4711"});
    CHECK(peer.status() == "HTTP/1.1 101 Switching Protocols");
  }
  // A method may begin as the header does.
  Peer& post = world.connects(stranger);
  post.read_size = 1;
  post.sends("PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(post.status() == "HTTP/1.1 405 Method Not Allowed");
  post.ends();
}

TEST_CASE(
    "proxied: a PROXY header has to be whole within the handshake's time, and may end early") {
  World world;
  world.options.proxy_protocol = true;
  world.serve();
  Peer& slow = world.connects(proxy);
  slow.sends("PROXY TCP4 ");
  world.loop.passes(world.limits.handshake_time - 1ms);
  CHECK(world.heard().empty());
  slow.sends("203.0.113.7 ");  // which does not push it back
  world.loop.passes(1ms);
  CHECK(world.heard() == Lines{"error handshake_timeout"});
  slow.ends();
  Peer& early = world.connects(proxy);
  early.sends("PROXY");
  early.ends();
  CHECK(world.heard() == Lines{"error handshake_incomplete"});
  Peer& broken = world.connects(proxy);
  broken.sends("PROXY");
  broken.breaks();
  CHECK(world.heard().size() == 1);
  CHECK(world.server->size() == 0);
  Peer& waiting = world.connects(proxy);
  waiting.sends("PROXY");
  world.server.reset();
  world.loop.settle();
  CHECK(waiting.closed);
}

TEST_CASE("proxied: a transport that never comes to be leaves nothing behind") {
  World world;
  world.options.proxy_protocol = true;
  world.serve();
  world.loop.fail_to_open = std::make_error_code(std::errc::not_enough_memory);
  world.connects(proxy);
  CHECK(world.heard().size() == 1);
  CHECK(world.server->size() == 0);
}

TEST_CASE("proxied: adopted sockets begin with the PROXY header too, but not behind a request") {
  World world;
  world.options.proxy_protocol = true;
  world.serve();
  world.loop.peer_address = proxy;
  const std::string whole = header_v1 + std::string{test::upgrade_request};
  for (const std::size_t size : {std::size_t{0}, std::size_t{9}, whole.size()}) {
    CAPTURE(size);
    const Socket socket = world.loop.connected_elsewhere();
    CHECK_FALSE(world.server->adopt(socket, as_bytes(whole).first(size)));
    world.loop.settle();
    if (size < whole.size()) world.loop.peers.back()->sends(whole.substr(size));
    CHECK(world.heard().back() == "open 203.0.113.7:56324 203.0.113.7:56324");
  }
  const Socket bad = world.loop.connected_elsewhere();
  CHECK_FALSE(world.server->adopt(bad, as_bytes("nonsense")));
  world.loop.settle();
  CHECK(world.heard() == Lines{"error proxy_header_missing"});
  const Request request{"GET", "/",
                        Headers{{{"Host", "h"},
                                 {"Upgrade", "websocket"},
                                 {"Connection", "Upgrade"},
                                 {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                                 {"Sec-WebSocket-Version", "13"}}}};
  CHECK_FALSE(world.server->adopt(world.loop.connected_elsewhere(), request));
  world.loop.settle();
  CHECK(world.heard().back() == "open 10.0.0.1:1 10.0.0.1:1");
  world.loop.fail_next = std::make_error_code(std::errc::bad_file_descriptor);
  CHECK(world.server->adopt(0).code == std::errc::bad_file_descriptor);
  CHECK(world.heard().empty());
}

TEST_CASE("proxied: whatever allocation fails, the connection ends or is served") {
  // A long address is memory too.
  const Endpoint far{.host = "2001:db8:1111:2222:3333:4444:5555:6666", .port = 1, .path = {}};
  for (const Endpoint& from : {proxy, far}) {
    for (const bool at_once : {true, false}) {
      bool failed = true;
      for (std::size_t n = 1; failed; ++n) {
        CAPTURE(n);
        World world;
        world.options.trusted_proxies.emplace_back("2001:db8::/32");
        world.options.proxy_protocol = true;
        world.handlers.on_request = nullptr;
        world.handlers.on_open = nullptr;
        world.handlers.on_error = [&](const Error& error) {
          const bool is_told =
              error.code == errc::no_memory || error.code == std::errc::not_enough_memory;
          CHECK((is_told || !at_once));
        };
        world.handlers.on_close = nullptr;
        world.serve();
        world.loop.peer_address = from;
        Peer& peer = world.loop.make_peer();
        peer.written.reserve(2000);
        const std::string bytes = header_v2 + request_with("X-Forwarded-For: 10.1.1.1\r\n");
        peer.read_size = 9;
        if (at_once) {
          failed = test::Allocation::fail_in(n, [&] { world.loop.accept(peer); });
          if (peer.was_opened()) peer.sends(bytes);
        } else {
          world.loop.accept(peer);
          failed = test::Allocation::fail_in_sending(n, peer, bytes);
        }
        world.loop.settle();
        CHECK((peer.closed || world.server->size() == 1));
        if (!failed) CHECK(peer.status() == "HTTP/1.1 101 Switching Protocols");
      }
    }
  }
}

TEST_CASE("proxied: options of proxies that cannot be understood are an error of listen()") {
  const auto fault = [](ServerOptions options) {
    test::FakeLoop loop;
    Server server{loop, {}, std::move(options)};
    return server.listen({.host = "127.0.0.1", .port = 9001, .path = {}}).text;
  };
  CHECK(fault({.trusted_proxies = {"localhost"}}).starts_with("\"localhost\" is no network; "));
  CHECK(fault({.proxy_protocol = true}) ==
        "ServerOptions::proxy_protocol is on, and trusted_proxies are none");
}
