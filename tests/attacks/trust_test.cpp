// What is believed of whom: origins, subprotocols, a server's answer, and masks that say nothing.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

#include "bytes.hpp"
#include "support/harness.hpp"
#include "support/server_world.hpp"

namespace {

using namespace timtow;
using attack::request_with;
using namespace std::string_literals;
using test::Harness;
using test::World;

// The masking keys of what a client wrote.
std::vector<std::uint32_t> keys_of(std::string_view written) {
  std::vector<std::uint32_t> keys;
  while (const auto frame = test::decode(written)) {
    REQUIRE(frame->key.has_value());
    std::uint32_t key = 0;
    for (const unsigned char byte : *frame->key) key = key << 8 | byte;
    keys.push_back(key);
  }
  return keys;
}

std::size_t repeats_in(std::vector<std::uint32_t> keys) {
  std::sort(keys.begin(), keys.end());
  std::size_t repeats = 0;
  for (std::size_t i = 1; i < keys.size(); ++i)
    if (keys[i] == keys[i - 1]) ++repeats;
  return repeats;
}

}  // namespace

TEST_CASE("hijacking: a server lets in no page of another origin, unless it is told to") {
  for (const std::string& origin :
       {"http://evil.example"s, "http://server.example.com.evil.example"s,
        "http://evilserver.example.com"s, "http://sub.server.example.com"s, "http://example.com"s,
        "http://server.example.com@evil.example"s, "http://server.example.com:81"s,
        "http://server.example.com#"s, "http://server.example.com/"s, "null"s, "NULL"s, "file://"s,
        "server.example.com"s, "//server.example.com"s, "http://"s, "x"s,
        "http://server.example.com http://evil.example"s}) {
    CAPTURE(origin);
    World world;
    bool asked = false;
    world.handlers.on_request = [&](Connection&, const Request&) { asked = true; };
    world.serve();
    test::Peer& peer = world.loop.connects();
    peer.sends(request_with("Origin: " + origin + "\r\n") +
               test::client_frame(test::opcode::text, "hello"));
    CHECK(peer.status() == "HTTP/1.1 403 Forbidden");
    CHECK_FALSE(asked);
    CHECK(world.heard() == test::Lines{"error origin_refused"});
  }
}

TEST_CASE("hijacking: two origins are none") {
  Harness self{Role::server};
  self.feed(request_with("Origin: http://server.example.com\r\nOrigin: http://evil.example\r\n"));
  CHECK(self.written.starts_with("HTTP/1.1 400 "));
}

TEST_CASE("subprotocols: a server answers with what was offered, in its own case, or with none") {
  for (const std::string& offered :
       {"chat2"s, "cha"s, "CHAT"s, "chat/1"s, "x-chat"s, "\"chat\""s, "chat;q=1"s, "ch at"s}) {
    CAPTURE(offered);
    Harness self{Role::server};
    std::string chosen;
    self.on_event = [&](Harness& its, const Event& event) {
      if (const auto* request = event.request()) {
        chosen = choose_subprotocol(*request, {"chat"});
        CHECK(its.session.accept({.subprotocol = "chat", .headers = {}}).code ==
              errc::invalid_header);
      }
    };
    self.feed(request_with("Sec-WebSocket-Protocol: " + offered + "\r\n"));
    CHECK(chosen.empty());
  }
}

TEST_CASE("client: everything of a response is checked, before a byte is sent or believed") {
  const std::string accept_line = "Sec-WebSocket-Accept: {accept}\r\n";
  const std::string right =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\n" +
      accept_line;
  const auto without = [&](const std::string& line, const std::string& in_place = {}) {
    std::string head = right;
    return head.replace(head.find(line), line.size(), in_place);
  };
  const std::pair<std::string, std::string> cases[] = {
      {"200", without("101 Switching Protocols", "200 OK")},
      {"100 for ever is no answer", without("101 Switching Protocols", "204 No Content")},
      {"302", without("101 Switching Protocols", "302 Found") + "Location: ws://evil.example/\r\n"},
      {"HTTP/1.0", without("HTTP/1.1", "HTTP/1.0")},
      {"HTTP/2", without("HTTP/1.1", "HTTP/2")},
      {"no Upgrade", without("Upgrade: websocket\r\n")},
      {"another Upgrade", without("Upgrade: websocket", "Upgrade: h2c")},
      {"more than an Upgrade", without("Upgrade: websocket", "Upgrade: websocket, h2c")},
      {"two Upgrades", right + "Upgrade: websocket\r\n"},
      {"no Connection", without("Connection: Upgrade\r\n")},
      {"another Connection", without("Connection: Upgrade", "Connection: close")},
      {"no Accept", without(accept_line)},
      {"another Accept", without("{accept}", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")},
      {"an Accept in another case", without("{accept}", "{ACCEPT}")},
      {"an Accept with more", without("{accept}", "{accept}=")},
      {"an Accept with less", without("{accept}", "")},
      {"two Accepts", right + accept_line},
      {"two Accepts, the wrong one first",
       without(accept_line,
               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" + accept_line)},
      {"a subprotocol that was not offered", right + "Sec-WebSocket-Protocol: other\r\n"},
      {"a subprotocol in another case", right + "Sec-WebSocket-Protocol: CHAT\r\n"},
      {"two subprotocols", right + "Sec-WebSocket-Protocol: chat, superchat\r\n"},
      {"two headers of subprotocols",
       right + "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n"},
      {"an empty subprotocol", right + "Sec-WebSocket-Protocol:\r\n"},
      {"an extension", right + "Sec-WebSocket-Extensions: permessage-deflate\r\n"},
      {"an unknown extension", right + "Sec-WebSocket-Extensions: x-evil\r\n"},
      {"a folded line", right + "X: a\r\n b\r\n"},
      {"a bare LF", right + "X: a\nY: b\r\n"},
      {"NUL", right + "X: \0\r\n"s},
      {"a name with a space", right + "X : a\r\n"},
      {"over 100 headers",
       [&] {
         std::string head = right;
         for (int i = 0; i < 100; ++i) head += "X: y\r\n";
         return head;
       }()},
      {"over 16 KiB", right + "X: " + std::string(16 * 1024, 'x') + "\r\n"},
  };
  const auto answered = [](std::string head) {
    Harness self{Role::client};
    REQUIRE_FALSE(
        self.session.request({.host = "a", .subprotocols = {"chat", "superchat"}, .headers = {}}));
    self.write();
    test::OutputLog request{Role::client};
    request.read(self.written);
    self.written.clear();
    const std::string accept = accept_for(request.key());
    std::string upper = accept;
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    for (const auto& [what, with] : {std::pair{"{accept}"s, accept}, {"{ACCEPT}"s, upper}})
      for (auto at = head.find(what); at != head.npos; at = head.find(what))
        head.replace(at, what.size(), with);
    self.feed(head + "\r\n" + test::server_frame(test::opcode::text, "hello") +
              test::server_frame(test::opcode::ping, ""));
    const bool opened = self.closed_events == 0;
    CHECK(self.session.is_open() == opened);
    CHECK(self.session.finished() != opened);
    CHECK(self.written.empty() != opened);  // a pong, or not a byte
    return opened;
  };
  CHECK(answered(right));
  CHECK(answered(right + "Sec-WebSocket-Protocol: superchat\r\n"));
  for (const auto& [name, head] : cases) {
    const std::string_view what = name;
    CAPTURE(what);
    CHECK_FALSE(answered(head));
  }
}

TEST_CASE("masks: keys are new for each frame, and nothing tells the next") {
  constexpr std::size_t count = 100'000;
  Harness self{Role::client};
  self.open();
  while (self.written.size() < count * 7) {
    REQUIRE(self.session.send(std::string_view{"x"}) == errc::ok);
    self.write();
  }
  const std::vector<std::uint32_t> keys = keys_of(self.written);
  REQUIRE(keys.size() == count);
  // Of as many out of 2^32, one or two are expected to repeat.
  CHECK(repeats_in(keys) <= 20);
  // Each bit is set in half of them, within eight standard deviations, and so is it changed from
  // one key to the next, and in their differences: neither constants nor counters do that.
  const auto is_even = [&](const std::function<std::uint32_t(std::size_t)>& word) {
    std::array<std::size_t, 32> ones{};
    for (std::size_t i = 1; i < count; ++i)
      for (std::size_t bit = 0; bit < 32; ++bit) ones[bit] += word(i) >> bit & 1U;
    return std::all_of(ones.begin(), ones.end(), [&](std::size_t each) {
      return each > count / 2 - 1300 && each < count / 2 + 1300;
    });
  };
  CHECK(is_even([&](std::size_t i) { return keys[i]; }));
  CHECK(is_even([&](std::size_t i) { return keys[i] ^ keys[i - 1]; }));
  CHECK(is_even([&](std::size_t i) { return keys[i] - keys[i - 1]; }));
  // No generator of 32 bits that is fed with what it gave: the same key has different followers.
  CHECK(repeats_in(keys) < count / 1000);
}

TEST_CASE(
    "masks: two connections share no key, of one pool or of two, nor do two of the same name") {
  std::vector<std::uint32_t> keys;
  Pool shared;
  for (int i = 0; i < 20; ++i) {
    Pool own;
    Harness self{Role::client, {}, i % 2 == 0 ? shared : own};
    self.open();
    for (int j = 0; j < 100; ++j) {
      REQUIRE(self.session.send(std::string_view{"x"}) == errc::ok);
      REQUIRE(self.session.ping() == errc::ok);
      REQUIRE(self.session.send_piece({MessageType::text, as_bytes("x")}, j % 2 != 0) == errc::ok);
      if (j % 2 == 0)
        REQUIRE(self.session.send_piece({MessageType::text, as_bytes("x")}, true) == errc::ok);
      self.write();
      if (j % 2 == 0) continue;
      for (const std::uint32_t key : keys_of(std::exchange(self.written, {}))) keys.push_back(key);
    }
  }
  CHECK(keys.size() > 6'000);
  CHECK(repeats_in(keys) <= 1);
}
