// The drafts before RFC 6455, beyond what the golden logs say of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <set>

#include "handshake_drafts.hpp"
#include "support/allocation.hpp"
#include "support/harness.hpp"
#include "support/server_world.hpp"
#include "timtow/client.hpp"
#include "timtow/digest.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Harness;
using test::Lines;

constexpr TimePoint start = TimePoint{} + 1h;

const std::string request_75 =
    "GET /demo HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: example.com\r\n"
    "Origin: http://example.com\r\n\r\n";
const std::string head_76 =
    "GET /demo HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: example.com\r\n"
    "Sec-WebSocket-Key1: 18x 6]8vM;54 *(5:  {   U1]8  z [  8\r\n"
    "Sec-WebSocket-Key2: 1_ tx7X d  <  nw  334J702) 7]o}` 0\r\n"
    "Origin: http://example.com\r\n\r\n";
const std::string key3 = "Tm[K T2u";
const std::string answer = "fQJ,fN/4F4!~K~MH";

std::string text_frame(std::string_view text) {
  return std::string(1, '\0').append(text).append("\xFF");
}

const std::string closing("\xFF\0", 2);

// A server that is open and speaks a draft, and of which nobody has heard yet.
struct Open : Harness {
  explicit Open(ProtocolVersion version, const Limits& limits = {})
      : Harness(Role::server, limits, true) {
    feed(version == ProtocolVersion::hixie_75 ? request_75 : head_76 + key3);
    REQUIRE_FALSE(session.accept());
    drain();
    REQUIRE(session.is_open());
    REQUIRE(session.version() == version);
    log.take();
    written.clear();
  }
};

std::optional<std::uint32_t> number(std::uint32_t value) { return value; }

Refusal check(std::vector<Header> headers) {
  headers.insert(headers.begin(), {{"Host", "a"}, {"Connection", "Upgrade"}});
  return check_request({"GET", "/", Headers{std::move(headers)}}, true);
}

}  // namespace

// -- The opening handshake ------------------------------------------------------------------------

TEST_CASE("draft 76: numbers that are hidden in keys, of sections 1.3 and 5.2") {
  CHECK(hixie_number("18x 6]8vM;54 *(5:  {   U1]8  z [  8") == number(155'712'099));
  CHECK(hixie_number("1_ tx7X d  <  nw  334J702) 7]o}` 0") == number(173'347'027));
  CHECK(hixie_number("3e6b263  4 17 80") == number(906'585'445));
  CHECK(hixie_number("17  9 G`ZD9   2 2b 7X 3 /r90") == number(179'922'739));
  CHECK(hixie_number("0 0") == number(0));
  CHECK(hixie_number("4294967295 x") == number(4'294'967'295));
  CHECK(hixie_number("42949672 9 4") == number(2'147'483'647));
}

TEST_CASE("draft 76: keys that hide no number") {
  for (const char* key : {"", " ", "x y", "12345", "1 0 1", "4294967296 x",
                          "99999999999999999999 9", "18446744073709551617 1", "\t1\t2"})
    CHECK_MESSAGE(!hixie_number(key), key);
}

TEST_CASE("draft 76: keys are made as section 4.1 says, of whatever randomness") {
  std::set<std::size_t> spaces_seen;
  std::array<std::byte, hixie_key_randomness> random;
  for (unsigned seed = 0; seed < 2000; ++seed) {
    unsigned state = seed * 2'654'435'761U;
    for (auto& each : random) {
      state = state * 1'664'525U + 1'013'904'223U;
      each = static_cast<std::byte>(seed == 0 ? 0 : seed == 1 ? 0xFF : state >> 24U);
    }
    const HixieKeys keys = hixie_keys(random);
    for (const auto& [key, at] : {std::pair{keys.key1, 0}, std::pair{keys.key2, 4}}) {
      const auto hidden = hixie_number(key);
      REQUIRE(hidden);
      CHECK(*hidden == detail::load_big_endian<std::uint32_t>(keys.challenge.data() + at));
      CHECK(key.front() != ' ');
      CHECK(key.back() != ' ');
      CHECK(std::all_of(key.begin(), key.end(), [](char c) { return c >= ' ' && c <= '~'; }));
      const auto spaces = static_cast<std::size_t>(std::count(key.begin(), key.end(), ' '));
      const auto digits = static_cast<std::size_t>(
          std::count_if(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; }));
      CHECK((spaces >= 1 && spaces <= 12));
      CHECK((key.size() > spaces + digits && key.size() <= spaces + digits + 12));
      spaces_seen.insert(spaces);
    }
    // The last bytes are nobody else's.
    CHECK(std::search(random.begin(), random.end(), keys.challenge.begin() + hixie_numbers,
                      keys.challenge.end()) != random.end());
  }
  CHECK(spaces_seen.size() == 12);
}

TEST_CASE("drafts: which version a request asks for") {
  const auto version = [](std::vector<Header> headers) {
    return Request{"GET", "/", Headers{std::move(headers)}}.version();
  };
  const Header upgrade{"Upgrade", "WebSocket"};
  CHECK(version({}) == ProtocolVersion::rfc6455);
  CHECK(version({upgrade}) == ProtocolVersion::hixie_75);
  CHECK(version({upgrade, {"Sec-WebSocket-Key1", "1 1"}}) == ProtocolVersion::hixie_76);
  CHECK(version({upgrade, {"Sec-WebSocket-Key2", "1 1"}}) == ProtocolVersion::hixie_76);
  CHECK(version({upgrade, {"Sec-WebSocket-Key", "x"}}) == ProtocolVersion::rfc6455);
  CHECK(version({upgrade, {"Sec-WebSocket-Version", ""}}) == ProtocolVersion::rfc6455);
  CHECK(version({upgrade, {"Sec-WebSocket-Version", "13"}}) == ProtocolVersion::rfc6455);
  CHECK(version({upgrade, {"Sec-WebSocket-Version", "8"}}) == ProtocolVersion::hybi_8);
  CHECK(version({upgrade, {"Sec-WebSocket-Version", "7"}}) == ProtocolVersion::hybi_7);
  CHECK(version({upgrade, {"Sec-WebSocket-Version", "07"}}) == ProtocolVersion::rfc6455);
}

TEST_CASE("drafts: the origin that versions 7 and 8 call otherwise is the same question") {
  const auto request = [](std::vector<Header> headers) {
    headers.insert(headers.begin(), {{"Host", "example.com"}});
    return Request{"GET", "/", Headers{std::move(headers)}};
  };
  for (const char* version : {"7", "8"}) {
    const Header header{"Sec-WebSocket-Version", version};
    CHECK(request({header, {"Sec-WebSocket-Origin", "http://example.com"}}).is_same_origin());
    const Request other = request({header, {"Sec-WebSocket-Origin", "http://evil.example"}});
    CHECK(other.origin() == "http://evil.example");
    CHECK_FALSE(other.is_same_origin());
    CHECK_FALSE(request({header, {"Origin", "http://evil.example"}}).is_same_origin());
  }
  const Request rfc = request({{"Sec-WebSocket-Version", "13"}, {"Sec-WebSocket-Origin", "x"}});
  CHECK(rfc.origin().empty());
  CHECK(rfc.is_same_origin());
}

TEST_CASE("drafts: requests that are refused") {
  const auto refused = [](int status, std::vector<Header> headers, const char* why) {
    const Refusal refusal = check(std::move(headers));
    CHECK(refusal.status == status);
    CHECK_MESSAGE(refusal.error.text.find(why) != std::string::npos, refusal.error.text);
  };
  const Header upgrade{"Upgrade", "WebSocket"};
  const Header key1{"Sec-WebSocket-Key1", "1 1"};
  const Header key2{"Sec-WebSocket-Key2", "2 2"};
  CHECK_FALSE(check({upgrade}));
  CHECK_FALSE(check({upgrade, key1, key2}));
  refused(400, {upgrade, key1}, "Sec-WebSocket-Key2 does not hide");
  refused(400, {upgrade, key2}, "Sec-WebSocket-Key1 does not hide");
  refused(400, {upgrade, key1, key1, key2}, "Sec-WebSocket-Key1 came more than once");
  refused(400, {upgrade, key1, key2, key2}, "Sec-WebSocket-Key2 came more than once");
  refused(400, {upgrade, {"WebSocket-Protocol", "a"}, {"WebSocket-Protocol", "b"}}, "once");
  refused(400, {upgrade, {"WebSocket-Protocol", "a b"}}, "token");
  refused(400, {upgrade, {"Content-Length", "8"}}, "body");
  refused(400, {upgrade, key1, key2, {"Content-Length", "9"}}, "body");
  refused(400, {upgrade, key1, key2, {"Transfer-Encoding", "chunked"}}, "body");
  CHECK_FALSE(check({upgrade, key1, key2, {"Content-Length", "8"}}));
  refused(426, {upgrade, key1, key2, {"Sec-WebSocket-Draft", "2"}}, "Sec-WebSocket-Draft");
  const Header key{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="};
  const Header seven{"Sec-WebSocket-Version", "7"};
  CHECK_FALSE(check({upgrade, key, seven}));
  refused(426, {upgrade, key}, "missing; it has to be 13, 8 or 7");
  refused(400, {upgrade, seven}, "Sec-WebSocket-Key is missing");
  const Header old_origin{"Sec-WebSocket-Origin", "http://a"};
  CHECK_FALSE(check({upgrade, key, seven, old_origin, {"Origin", "http://a"}}));
  refused(400, {upgrade, key, seven, old_origin, {"Origin", "http://b"}}, "Sec-WebSocket-Origin");
  refused(400, {upgrade, key, seven, old_origin, old_origin}, "Sec-WebSocket-Origin");
}

TEST_CASE("drafts 75 and 76: the application does not write what we write") {
  for (const std::string& request : {request_75, head_76}) {
    Harness self{Role::server, {}, true};
    self.feed(request);
    for (const char* name : {"WebSocket-Origin", "Sec-WebSocket-Location", "websocket-protocol"})
      CHECK(self.session.accept({.subprotocol = {}, .headers = {{name, "x"}}}).code ==
            errc::invalid_header);
    CHECK_FALSE(self.session.accept());
  }
}

TEST_CASE("drafts 75 and 76: a request of another HTTP parser, which may let line ends pass") {
  const SessionOptions options{.drafts = true};
  const auto request = [](std::string_view target, std::string_view origin) {
    return Request{"GET", target,
                   Headers{{{"Host", "a"},
                            {"Upgrade", "WebSocket"},
                            {"Connection", "Upgrade"},
                            {"Origin", origin},
                            {"Sec-WebSocket-Key1", "3e6b263  4 17 80"},
                            {"Sec-WebSocket-Key2", "17  9 G`ZD9   2 2b 7X 3 /r90"}}}};
  };
  CHECK(check_request(request("/\r\nX: y", "b"), true).status == 400);
  CHECK(check_request(request("/", "b\r\nX: y"), true).status == 400);
  Pool pool;
  Session session{Role::server, pool, options};
  REQUIRE_FALSE(session.receive_request(request("/", "b")));
  REQUIRE_FALSE(session.accept());
  std::string bytes = "WjN}|M(6";
  session.receive(std::as_writable_bytes(std::span{bytes}));
  const auto event = session.next();
  REQUIRE(event);
  CHECK(event->opened() != nullptr);
  CHECK(as_text(session.output().front()).ends_with("\r\n\r\nn`9eBk9z$R8pOtVb"));
}

TEST_CASE("drafts 75 and 76: over TLS the location says so") {
  const SessionOptions options{.drafts = true, .secure = true};
  Pool pool;
  Session session{Role::server, pool, options};
  std::string bytes = request_75;
  session.receive(std::as_writable_bytes(std::span{bytes}));
  REQUIRE(session.next());
  REQUIRE_FALSE(session.accept());
  CHECK(as_text(session.output().front()).find("Location: wss://example.com/demo\r\n") !=
        std::string_view::npos);
  const ClientRequest request{.host = "a",
                              .subprotocols = {},
                              .headers = {},
                              .version = ProtocolVersion::hixie_75,
                              .secure = true};
  CHECK(hixie_terms(request).location == "wss://a/");
  CHECK(hixie_terms(request).origin == "https://a");
}

TEST_CASE(
    "draft 76: handshake_time bounds the wait for key3, and the response is not written twice") {
  Harness self{Role::server, {}, true};
  CHECK(self.session.deadline(start) == start + 10s);
  self.feed(head_76);
  REQUIRE_FALSE(self.session.accept());
  self.drain();
  self.feed(key3.substr(0, 7));
  CHECK(self.session.deadline(start + 9s) == start + 10s);
  self.log.take();
  self.written.clear();
  self.expire(start + 10s);
  CHECK(self.log.take() == Lines{"closed 1006 error=handshake_timeout \"the opening handshake took "
                                 "over 10000 ms, which is Limits::handshake_time\""});
  CHECK(self.written.empty());
  CHECK(self.session.wants_shutdown());
}

// -- Output ---------------------------------------------------------------------------------------

TEST_CASE("drafts 75 and 76: every way to send makes their frames") {
  Open self{ProtocolVersion::hixie_76};
  const std::string large(100'000, 'x');
  const Message text{MessageType::text, as_bytes(large)};
  const std::string expected = text_frame(large);
  CHECK(self.session.send(text) == errc::ok);
  self.write();
  CHECK(std::exchange(self.written, {}) == expected);
  CHECK(self.session.send_borrowed(text) == errc::ok);
  self.session.own_output();
  self.write();
  CHECK(std::exchange(self.written, {}) == expected);
  CHECK(self.session.send(PreparedMessage{text}) == errc::ok);
  self.write();
  CHECK(std::exchange(self.written, {}) == expected);
  self.on_event = [](Harness& it, const Event& event) {
    if (const auto* message = event.message())
      CHECK(it.session.send_in_place(*message) == errc::ok);
  };
  self.feed("\x01\x02\x03\xFF" + expected);
  CHECK(std::exchange(self.written, {}) == expected);

  const Message binary{MessageType::binary, as_bytes(large)};
  CHECK(self.session.send(binary) == errc::unsupported_by_draft);
  CHECK(self.session.send_borrowed(binary) == errc::unsupported_by_draft);
  CHECK(self.session.send_in_place(binary) == errc::unsupported_by_draft);
  CHECK(self.session.send(PreparedMessage{binary}) == errc::unsupported_by_draft);
  CHECK(self.session.output_size() == 0);
}

TEST_CASE("drafts 75 and 76: output_bytes and the high water bound what waits") {
  Limits limits;
  limits.output_bytes = 100;
  limits.output_high_water = 50;
  limits.output_low_water = 10;
  Open self{ProtocolVersion::hixie_75, limits};
  CHECK(self.session.send(std::string(101, 'x')) == errc::output_full);
  CHECK(self.session.send(std::string(60, 'x')) == errc::ok);
  CHECK(self.session.is_congested());
  CHECK(self.session.send(std::string(60, 'x')) == errc::output_full);
  CHECK_FALSE(self.session.wants_read());
  self.write();
  CHECK_FALSE(self.session.is_congested());
  CHECK(self.session.wants_read());
}

TEST_CASE("drafts 75 and 76: memory grows with what came, and is given back") {
  Open self{ProtocolVersion::hixie_76};
  self.feed(std::string(1, '\0'));
  CHECK(self.pool.in_use() == 0);
  self.feed_by(1000, std::string(50'000, 'x'));
  CHECK(self.pool.in_use() >= 50'000);
  CHECK(self.pool.in_use() <= 4 * 64 * 1024);
  self.feed("\xFF");
  CHECK(self.log.take() ==
        Lines{"message text 50000 " + test::in_quotes(std::string(50'000, 'x'))});
  self.drain();
  CHECK(self.pool.in_use() == 0);
  CHECK(self.pool.spare() != nullptr);  // the record of what is under way went back as well
  self.feed("\x80\x84\x80\x80\x00");    // 8 MiB, announced only
  CHECK(self.pool.in_use() == 0);
}

// -- The end --------------------------------------------------------------------------------------

TEST_CASE("drafts 75 and 76: no pings, and idle_time closes") {
  for (const auto version : {ProtocolVersion::hixie_75, ProtocolVersion::hixie_76}) {
    Open self{version};
    CHECK(self.session.deadline(start) == start + 120s);
    self.expire(start + 31s);
    CHECK(self.written.empty());
    // A frame that is dropped is a sign of life, and so is enough of one.
    self.feed("\x05 \xFF");
    CHECK(self.session.deadline(start + 40s) == start + 160s);
    self.feed(std::string(1, '\0') + std::string(1023, 'x'));
    CHECK(self.session.deadline(start + 50s) == start + 160s);
    self.feed("x");
    CHECK(self.session.deadline(start + 50s) == start + 170s);
    // What came beyond counts for the next: half of 1024 and half are one.
    self.feed(std::string(1536, 'x'));
    CHECK(self.session.deadline(start + 60s) == start + 180s);
    self.feed(std::string(511, 'x'));
    CHECK(self.session.deadline(start + 70s) == start + 180s);
    self.feed("x");
    CHECK(self.session.deadline(start + 70s) == start + 190s);
    self.expire(start + 190s);
    CHECK(self.written == (version == ProtocolVersion::hixie_75 ? "" : closing));
    CHECK(self.log.take().back() ==
          "closed 1006 sent=1005 error=idle_timeout \"silent for 120000 "
          "ms, which is Limits::idle_time\"");
    CHECK(self.session.wants_shutdown());
  }
}

TEST_CASE("drafts 75 and 76: close_time bounds the wait for the peer's end") {
  for (const auto version : {ProtocolVersion::hixie_75, ProtocolVersion::hixie_76}) {
    Open self{version};
    CHECK(self.session.close(1006) == errc::invalid_close);
    CHECK(self.session.close(4000, "is not said") == errc::ok);
    CHECK(self.session.close() == errc::not_open);
    CHECK(self.session.send("late") == errc::not_open);
    self.drain();
    CHECK(self.session.wants_shutdown() == (version == ProtocolVersion::hixie_75));
    CHECK(self.session.deadline(start) == start + 5s);
    self.expire(start + 5s);
    CHECK(self.log.take() ==
          Lines{"closed 1006 sent=1005 error=close_timeout \"no close frame came "
                "for 5000 ms, which is Limits::close_time\""});
    CHECK(self.session.finished());
  }
}

TEST_CASE("drafts 75 and 76: paused, a session keeps what comes") {
  Open self{ProtocolVersion::hixie_76};
  self.session.pause(true);
  self.feed(text_frame("one") + text_frame("two") + closing);
  CHECK(self.log.take().empty());
  self.session.pause(false);
  self.drain();
  CHECK(self.log.take() ==
        Lines{"message text 3 \"one\"", "message text 3 \"two\"", "closed 1005 sent=1005"});
}

namespace {

// Takes all events; a request is accepted, at the second try if need be, and a message sent back.
// Returns how many of them are closed events.
int take_events(Session& session) {
  int closed = 0;
  while (const auto event = session.next()) {
    if (event->closed() != nullptr) ++closed;
    if (event->request() != nullptr && session.accept()) session.accept();
    if (const auto* message = event->message()) session.send(*message);
  }
  return closed;
}

}  // namespace

TEST_CASE("drafts 75 and 76: operator new failing at any call: no crash, one closed event") {
  const SessionOptions options{.drafts = true};
  const std::string conversation = text_frame(std::string(3000, 'x')) + closing;
  const std::string response =
      "HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
      "WebSocket-Origin: http://a\r\nWebSocket-Location: ws://a/\r\n\r\n";
  const ClientRequest request{
      .host = "a", .subprotocols = {}, .headers = {}, .version = ProtocolVersion::hixie_75};
  for (const std::string& opening : {request_75, head_76 + key3, response}) {
    std::size_t failures = 0;
    for (std::size_t n = 1;; ++n) {
      Pool pool{1'000'000, 0};
      Session session{opening == response ? Role::client : Role::server, pool, options};
      std::string bytes = opening + conversation;
      const MutableBytes all = std::as_writable_bytes(std::span{bytes});
      const std::size_t first = opening.size() + 1000;  // in the midst of the message
      int closed = 0;
      const bool reached = test::Allocation::fail_in(n, [&] {
        if (session.role() == Role::client && session.request(request))
          static_cast<void>(session.request(request));
        session.receive(all.first(first));
        closed += take_events(session);
        session.receive(all.subspan(first));
        closed += take_events(session);
        session.end_of_input();
        closed += take_events(session);
      });
      CHECK(closed == 1);
      if (!reached) break;
      ++failures;
    }
    CHECK(failures > 3);
  }
}

TEST_CASE("drafts 75 and 76: a message that finds no memory closes, and what was sent is whole") {
  const SessionOptions options{.drafts = true};
  Pool pool{12 * 1024, 0};
  Session session{Role::server, pool, options};
  std::string bytes = head_76 + key3;
  session.receive(std::as_writable_bytes(std::span{bytes}));
  CHECK(take_events(session) == 0);
  session.sent(session.output_size());
  std::string part(8000, 'x');
  part.front() = '\0';
  for (int i = 0; i < 2 && !session.is_ended(); ++i) {
    session.receive(std::as_writable_bytes(std::span{part}));
    if (const auto event = session.next()) {
      REQUIRE(event->closed() != nullptr);
      CHECK(event->closed()->error->code == errc::no_memory);
    }
    part.front() = 'x';
  }
  CHECK(session.is_ended());
  CHECK(as_text(session.output().front()) == closing);
}

TEST_CASE("draft 76: an answer to key3 that finds no memory ends the connection") {
  const SessionOptions options{.drafts = true};
  Pool pool{std::numeric_limits<std::size_t>::max(), 0};
  Session session{Role::server, pool, options};
  std::string head = head_76;
  session.receive(std::as_writable_bytes(std::span{head}));
  CHECK(take_events(session) == 0);
  session.sent(session.output_size());
  pool.limit(pool.in_use(), nullptr);
  std::string key = key3;
  session.receive(std::as_writable_bytes(std::span{key}));
  const auto event = session.next();
  REQUIRE(event);
  REQUIRE(event->closed() != nullptr);
  CHECK(event->closed()->error->code == errc::no_memory);
}

// -- On a loop ------------------------------------------------------------------------------------

namespace {

struct World : test::World {
  World& serve_drafts() {
    server.emplace(loop, handlers, ServerOptions{.limits = limits, .drafts = true});
    REQUIRE_FALSE(server->listen({.host = "127.0.0.1", .port = 9001, .path = {}}));
    return *this;
  }
  test::Peer& opens(const std::string& request) {
    test::Peer& peer = loop.connects();
    peer.sends(request);
    peer.written.clear();
    heard();
    return peer;
  }
};

}  // namespace

TEST_CASE("draft 76: the application hears of a connection when it can be sent to") {
  World world;
  world.handlers.on_open = [&](Connection& c) {
    world.say(c, "open, version " + std::to_string(static_cast<int>(c.version())));
    CHECK(c.send("welcome") == errc::ok);
  };
  world.handlers.on_request = [](Connection& c, const Request&) {
    CHECK_FALSE(c.accept());
    CHECK(c.send("too early") == errc::not_open);
  };
  world.serve_drafts();
  test::Peer& peer = world.loop.connects();
  peer.sends(head_76);
  CHECK(peer.written.starts_with("HTTP/1.1 101 WebSocket Protocol Handshake\r\n"));
  CHECK(peer.written.ends_with("\r\n\r\n"));
  peer.written.clear();
  CHECK(world.heard().empty());
  CHECK(world.server->size() == 1);
  world.server->for_each([](Connection&) { FAIL("it is not open"); });
  peer.sends(key3 + text_frame("hello"));
  CHECK(world.heard() == Lines{"1 open, version 76", "1 message text 5 \"hello\""});
  CHECK(peer.written == answer + text_frame("welcome"));
  peer.ends();
  CHECK(world.heard() == Lines{"1 closed 1006 error=connection_lost"});
}

TEST_CASE("draft 76: a handler that throws before key3 has come ends the connection") {
  World world;
  world.handlers.on_request = [](Connection& c, const Request&) {
    CHECK_FALSE(c.accept());
    throw std::runtime_error{"no"};
  };
  world.serve_drafts();
  test::Peer& peer = world.loop.connects();
  peer.sends(head_76 + key3);
  CHECK(world.heard() == Lines{"error handler_threw"});
  peer.ends();
  CHECK(peer.closed);
}

TEST_CASE("draft 76: a client that never sends key3 was never open") {
  World world;
  world.serve_drafts();
  test::Peer& peer = world.loop.connects();
  peer.sends(head_76);
  world.loop.passes(10s);
  CHECK(world.heard() == Lines{"error handshake_timeout"});
  CHECK(peer.shut_down);
  world.loop.passes(5s);
  CHECK(peer.closed);
  CHECK(world.server->size() == 0);
}

TEST_CASE("drafts: a broadcast reaches each in its own frames") {
  World world;
  world.serve_drafts();
  test::Peer& rfc = world.opens(std::string{test::upgrade_request});
  test::Peer& old = world.opens(head_76 + key3);
  test::Peer& oldest = world.opens(request_75);
  CHECK(world.server->broadcast({MessageType::text, as_bytes("news")}) == 3);
  CHECK(rfc.frames() == Lines{"> text \"news\""});
  CHECK(std::exchange(old.written, {}) == text_frame("news"));
  CHECK(std::exchange(oldest.written, {}) == text_frame("news"));
  CHECK(world.server->broadcast({MessageType::binary, as_bytes("news")}) == 1);
  CHECK(old.written.empty());

  bool done = false;
  world.server->shutdown(3s, [&] { done = true; });
  CHECK(old.written == closing);
  CHECK(oldest.written.empty());
  CHECK(oldest.shut_down);
  oldest.ends();
  old.sends(closing);
  CHECK(old.closed == How::graceful);
  CHECK(oldest.closed == How::graceful);
  rfc.closes(1001);
  world.loop.settle();
  CHECK(done);
}

TEST_CASE("drafts: a large echo goes back whole on a loop") {
  World world;
  world.handlers.on_message = [](Connection& c, const Message& m) { CHECK(c.send(m) == errc::ok); };
  world.serve_drafts();
  test::Peer& peer = world.opens(request_75);
  peer.room = 1000;
  const std::string large(300'000, 'x');
  peer.sends(text_frame(large));
  peer.takes_all();
  CHECK(peer.written == text_frame(large));
  peer.ends();
  CHECK(world.heard() == Lines{"1 closed 1005 sent=1005"});
  CHECK(peer.closed == How::graceful);
}

TEST_CASE("client: asks for the draft that its options name") {
  test::FakeLoop loop;
  Lines log;
  Handlers handlers;
  handlers.on_open = [&](Connection& c) {
    log.push_back("open " + std::to_string(static_cast<int>(c.version())));
    c.send("hello");
  };
  handlers.on_close = [&](Connection&, const Closed& closed) {
    log.push_back("closed " + std::to_string(closed.code));
  };
  {
    Client client{
        loop, {.url = "ws://example.org/chat", .version = ProtocolVersion::hixie_75}, handlers};
    REQUIRE_FALSE(client.connect());
    loop.settle();
    test::Peer& server = *loop.peers.back();
    CHECK(std::exchange(server.written, {}) ==
          "GET /chat HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: example.org\r\n"
          "Origin: http://example.org\r\n\r\n");
    server.sends(
        "HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\n"
        "Connection: Upgrade\r\nWebSocket-Origin: http://example.org\r\n"
        "WebSocket-Location: ws://example.org/chat\r\n\r\n");
    CHECK(server.written == text_frame("hello"));
    client.close();
    loop.settle();
    CHECK(server.shut_down);
    server.ends();
    CHECK(server.closed == How::graceful);
  }
  loop.settle();
  CHECK(log == Lines{"open 75", "closed 1005"});
}

TEST_CASE("client: a version that is no draft, and headers that a draft writes") {
  const auto asking = [](int version, std::vector<Header> headers) {
    return check_client_request({.host = "a",
                                 .subprotocols = {},
                                 .headers = std::move(headers),
                                 .version = static_cast<ProtocolVersion>(version)})
        .code;
  };
  for (const int version : {7, 8, 13, 75, 76})
    CHECK_FALSE(asking(version, {{"Origin", "http://a"}}));
  for (const int version : {0, 4, 6, 9, 14, 77, 255})
    CHECK(asking(version, {}) == errc::websocket_version);
  CHECK(asking(76, {{"Sec-WebSocket-Key1", "1 1"}}) == errc::invalid_header);
  CHECK(asking(8, {{"Sec-WebSocket-Origin", "http://a"}}) == errc::invalid_header);
}
