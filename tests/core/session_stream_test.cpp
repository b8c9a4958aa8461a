// Flow: reading in place, held input, backpressure, and output that is borrowed or taken in parts.
// What pieces and fragments look like is in golden/streaming.log.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "support/harness.hpp"

namespace {

using namespace timtow;
using test::Harness;
using test::Lines;

// Bytes of which no two places look alike.
std::string pattern(std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>((i * 31 + i / 251) & 0xFF);
  return bytes;
}

// Feeds as a loop does that asks where to read. Returns how many bytes landed in place.
std::size_t feed_in_place(Harness& self, std::string_view bytes, std::size_t read_size) {
  std::size_t in_place = 0;
  while (!bytes.empty()) {
    const MutableBytes space = self.session.read_space();
    const std::size_t size =
        std::min({bytes.size(), read_size, space.empty() ? bytes.size() : space.size()});
    if (space.empty()) {
      self.feed(bytes.substr(0, size));
    } else {
      std::copy_n(as_bytes(bytes).data(), size, space.data());
      self.session.receive(space.first(size));
      self.drain();
      in_place += size;
    }
    bytes.remove_prefix(size);
  }
  return in_place;
}

// Once so much of a frame has come, there is more to it than what it announces.
constexpr std::size_t begun = 2100;

struct LastMessage {
  std::string payload;
  int count = 0;

  Harness::OnEvent keep() {
    return [this](Harness&, const Event& event) {
      if (const auto* message = event.message()) {
        payload = message->text();
        ++count;
      }
    };
  }
};

}  // namespace

// -- Reading in place -----------------------------------------------------------------------------

TEST_CASE("a large message lands where it stays, however it is read") {
  const std::string payload = pattern(300'000);
  for (const Role role : {Role::server, Role::client}) {
    for (const std::size_t read_size : {1000UL, 16'384UL, 65'536UL, 1'000'000UL}) {
      CAPTURE(static_cast<int>(role));
      CAPTURE(read_size);
      Harness self{role};
      self.open();
      LastMessage last;
      self.on_event = last.keep();
      const std::string frame = self.frame(test::opcode::binary, payload);
      const std::size_t in_place = feed_in_place(self, frame.substr(0, begun), begun) +
                                   feed_in_place(self, frame.substr(begun), read_size);
      CHECK(last.count == 1);
      CHECK((last.payload == payload));
      CHECK(in_place + begun + 16'384 + std::min<std::size_t>(read_size, 65'536) >= payload.size());
      CHECK(self.pool.in_use() == 0);
    }
  }
}

TEST_CASE("fragments of a large message land in place, pings and small ones between") {
  const std::string payload = pattern(200'000);
  Harness self{Role::server};
  self.open();
  std::vector<std::string> messages;
  self.on_event = [&](Harness&, const Event& event) {
    if (const auto* message = event.message()) messages.emplace_back(message->text());
  };
  const std::string wire =
      self.frame(test::opcode::binary, payload.substr(0, 90'000), false) +
      self.frame(test::opcode::ping, "p") +
      self.frame(test::opcode::continuation, payload.substr(90'000, 10), false) +
      self.frame(test::opcode::continuation, payload.substr(90'010)) +
      self.frame(test::opcode::text, "behind");
  CHECK(feed_in_place(self, wire, 5000) > 100'000);
  REQUIRE(messages.size() == 2);
  CHECK((messages[0] == payload));
  CHECK(messages[1] == "behind");
}

TEST_CASE("the offered space need not be used") {
  const std::string payload = pattern(100'000);
  Harness self{Role::server};
  self.open();
  LastMessage last;
  self.on_event = last.keep();
  const std::string frame = self.frame(test::opcode::binary, payload);
  self.feed(frame.substr(0, begun));
  // Read elsewhere, in place, partly in place, elsewhere.
  std::string_view rest = std::string_view{frame}.substr(begun);
  REQUIRE_FALSE(self.session.read_space().empty());
  self.feed(rest.substr(0, 1000));
  rest.remove_prefix(1000);
  feed_in_place(self, rest.substr(0, 30'000), 30'000);
  rest.remove_prefix(30'000);
  REQUIRE_FALSE(self.session.read_space().empty());
  feed_in_place(self, rest.substr(0, 7), 7);
  rest.remove_prefix(7);
  REQUIRE_FALSE(self.session.read_space().empty());
  REQUIRE_FALSE(self.session.read_space().empty());
  self.feed(rest);
  CHECK(last.count == 1);
  CHECK((last.payload == payload));
  CHECK(self.pool.in_use() == 0);
}

TEST_CASE("space is offered for large messages only, and never beyond their frame") {
  Harness self{Role::server};
  CHECK(self.session.read_space().empty());
  self.open();
  CHECK(self.session.read_space().empty());
  const std::string small = self.frame(test::opcode::binary, pattern(10'000));
  self.feed(small.substr(0, 100));
  CHECK(self.session.read_space().empty());
  self.feed(small.substr(100));
  const std::string large = self.frame(test::opcode::binary, pattern(20'000));
  self.feed(large.substr(0, large.size() - 16'384));
  CHECK(self.session.read_space().size() == 16'384);
  self.feed(large.substr(large.size() - 16'384, 1));
  CHECK(self.session.read_space().empty());
  self.feed(large.substr(large.size() - 16'383));
  CHECK(self.session.read_space().empty());
  CHECK(self.log.lines().size() == 2);
}

TEST_CASE("no space is offered before held bytes") {
  const std::string payload = pattern(50'000);
  Harness self{Role::server};
  self.open();
  LastMessage last;
  self.on_event = last.keep();
  const std::string frame = self.frame(test::opcode::binary, payload);
  self.feed(frame.substr(0, begun));
  REQUIRE_FALSE(self.session.read_space().empty());
  {
    std::string held = frame.substr(begun, 1000);
    self.session.receive(std::as_writable_bytes(std::span{held}));
    self.session.hold();
  }
  CHECK(self.session.read_space().empty());
  self.drain();
  CHECK_FALSE(self.session.read_space().empty());
  feed_in_place(self, frame.substr(begun + 1000), 10'000);
  CHECK((last.payload == payload));
}

TEST_CASE("text that lands in place is checked as it arrives") {
  Harness self{Role::server};
  self.open();
  const std::string frame = self.frame(
      test::opcode::text, std::string(50'000, 'a') + "\xC3\x28" + std::string(50'000, 'a'));
  feed_in_place(self, frame.substr(0, 20'000), 3000);
  CHECK(self.closed_events == 0);
  feed_in_place(self, frame.substr(20'000, 40'000), 3000);
  CHECK(self.log.lines() ==
        Lines{"closed 1006 sent=1007 error=invalid_utf8 \"a text message is not "
              "UTF-8 at its byte 50001\""});
}

// -- Holding input --------------------------------------------------------------------------------

TEST_CASE("hold() keeps what was not looked at, wherever the bytes are parted") {
  Harness model{Role::server};
  model.open();
  const std::string wire = model.frame(test::opcode::text, "one") +
                           model.frame(test::opcode::ping, "two") +
                           model.frame(test::opcode::text, "thr", false) +
                           model.frame(test::opcode::continuation, "ee") +
                           model.frame(test::opcode::binary, std::string(300, 'x')) +
                           model.frame(test::opcode::close, test::close_payload(1000, "bye"));
  model.feed(wire);
  const Lines expected = model.log.lines();
  CHECK(expected.size() == 5);

  for (std::size_t split = 0; split <= wire.size(); ++split) {
    for (const std::size_t takes : {0UL, 1UL, 2UL, 3UL}) {
      CAPTURE(split);
      CAPTURE(takes);
      Harness self{Role::server};
      self.open();
      std::size_t begin = 0;
      for (const std::size_t end : {split, wire.size()}) {
        {
          std::string read = wire.substr(begin, end - begin);
          self.session.receive(std::as_writable_bytes(std::span{read}));
          for (std::size_t i = 0; i < takes; ++i) {
            const auto event = self.session.next();
            if (!event) break;
            self.log.add(*event);
          }
          self.session.hold();
          self.session.hold();
        }
        begin = end;
      }
      self.drain();
      CHECK(self.log.lines() == expected);
      CHECK(self.pool.in_use() == 0);
    }
  }
}

TEST_CASE("bytes behind a request that waits are kept, and cost a bounded read") {
  Harness self{Role::server};
  CHECK(self.session.wants_read());
  self.feed(std::string{test::upgrade_request} + self.frame(test::opcode::text, "one"));
  CHECK_FALSE(self.session.wants_read());
  self.feed(self.frame(test::opcode::text, "two"));
  self.feed(self.frame(test::opcode::text, "three").substr(0, 4));
  CHECK(self.log.take() == Lines{"request GET /chat host=server.example.com"});
  REQUIRE_FALSE(self.session.accept());
  CHECK(self.session.wants_read());
  self.drain();
  CHECK(self.log.take() == Lines{"message text 3 \"one\"", "message text 3 \"two\""});
  self.feed(self.frame(test::opcode::text, "three").substr(4));
  CHECK(self.log.take() == Lines{"message text 5 \"three\""});
}

TEST_CASE("a request that another server has read, with bytes behind it") {
  const std::string head{test::upgrade_request};
  SUBCASE("accepted") {
    Harness self{Role::server};
    Request request;
    REQUIRE_FALSE(parse_request(head, 100, request));
    REQUIRE_FALSE(self.session.receive_request(request));
    CHECK_FALSE(self.session.wants_read());
    REQUIRE_FALSE(self.session.accept());
    self.feed(self.frame(test::opcode::text, "Hello"));
    CHECK(self.log.take() == Lines{"message text 5 \"Hello\""});
    CHECK(self.written.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    CHECK(self.written.find("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") !=
          std::string::npos);
  }
  SUBCASE("refused") {
    Harness self{Role::server};
    const Request request{"GET", "/", Headers{{{"Host", "a"}, {"Upgrade", "websocket"}}}};
    const Refusal refusal = self.session.receive_request(request);
    CHECK(refusal.status == 400);
    CHECK(refusal.error.text == "Upgrade: websocket came without Connection: Upgrade");
    self.feed("GET / HTTP/1.1\r\n");
    CHECK(self.log.take() ==
          Lines{"closed 1006 error=bad_request \"Upgrade: websocket came without "
                "Connection: Upgrade\""});
    CHECK(self.written.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(self.session.wants_shutdown());
  }
  SUBCASE("not to a client, and not twice") {
    const Request request{"GET", "/", Headers{{{"Host", "a"}}}};
    Harness client{Role::client};
    CHECK(client.session.receive_request(request).status == 500);
    Harness server{Role::server};
    CHECK_FALSE(server.session.receive_request(request));
    CHECK(server.session.receive_request(request).status == 500);
    CHECK(server.session.accept().code == errc::not_an_upgrade);
    CHECK_FALSE(server.session.reject(404, "no"));
  }
}

TEST_CASE("a paused session tells nothing, and loses nothing") {
  Harness self{Role::server};
  self.open();
  self.session.pause(true);
  CHECK_FALSE(self.session.wants_read());
  self.feed(self.frame(test::opcode::text, "one") + self.frame(test::opcode::text, "two"));
  self.feed(self.frame(test::opcode::text, "three"));
  self.end_of_input();
  CHECK(self.log.lines().empty());
  CHECK(self.session.send(std::string_view{"out"}) == errc::ok);
  self.write();
  CHECK(self.frames() == Lines{"> text \"out\""});
  self.session.pause(false);
  self.drain();
  CHECK(
      self.log.lines() ==
      Lines{
          "message text 3 \"one\"", "message text 3 \"two\"", "message text 5 \"three\"",
          "closed 1006 error=connection_lost \"the peer ended the stream without a close frame\""});
}

TEST_CASE("a pause in a message's handler keeps the next one back") {
  Harness self{Role::server};
  self.open();
  self.on_event = [](Harness& its, const Event&) { its.session.pause(true); };
  self.feed(self.frame(test::opcode::text, "one") + self.frame(test::opcode::text, "two"));
  CHECK(self.log.take() == Lines{"message text 3 \"one\""});
  self.session.pause(false);
  self.drain();
  CHECK(self.log.take() == Lines{"message text 3 \"two\""});
}

TEST_CASE("a session that is lost while paused says so") {
  Harness self{Role::server};
  self.open();
  self.session.pause(true);
  self.session.lost(std::make_error_code(std::errc::connection_reset));
  self.drain();
  CHECK(self.closed_events == 1);
  CHECK(self.session.finished());
}

// -- Streaming ------------------------------------------------------------------------------------

TEST_CASE("pieces come with each read, and their flags frame the message") {
  Harness self{Role::server};
  self.session.stream_messages(true);
  self.open();
  Lines pieces;
  self.on_event = [&](Harness&, const Event& event) {
    const auto* piece = event.piece();
    REQUIRE(piece != nullptr);
    pieces.push_back(test::describe(event));
  };
  const std::string frame = self.frame(test::opcode::text, "Hello!", false);
  self.feed(frame.substr(0, 8));
  self.feed(frame.substr(8, 3));
  self.feed(frame.substr(11));
  self.feed(self.frame(test::opcode::continuation, ""));
  CHECK(pieces == Lines{"piece first text 2 \"He\"", "piece text 3 \"llo\"", "piece text 1 \"!\"",
                        "piece last text 0 \"\""});
}

// -- Backpressure ---------------------------------------------------------------------------------

namespace {

Limits small_waters() {
  Limits limits;
  limits.output_high_water = 1000;
  limits.output_low_water = 200;
  limits.output_bytes = 3000;
  return limits;
}

}  // namespace

TEST_CASE("over the high water nothing is read, until the low water is reached") {
  Harness self{Role::server, small_waters()};
  self.open();
  self.writes = false;
  const auto send = [&](std::size_t size) {  // with its header
    return self.session.send(as_bytes(std::string(size - (size < 128 ? 2 : 4), 'x')));
  };
  CHECK(send(1000) == errc::ok);
  CHECK_FALSE(self.session.is_congested());
  CHECK(self.session.wants_read());
  CHECK(send(2) == errc::ok);
  CHECK(self.session.is_congested());
  CHECK_FALSE(self.session.wants_read());
  self.session.sent(801);
  CHECK(self.session.output_size() == 201);
  CHECK(self.session.is_congested());
  CHECK_FALSE(self.session.wants_read());
  self.session.sent(1);
  CHECK_FALSE(self.session.is_congested());
  CHECK(self.session.wants_read());
  CHECK(send(800) == errc::ok);
  CHECK_FALSE(self.session.is_congested());  // exactly at the high water
  CHECK(send(2) == errc::ok);
  CHECK(self.session.is_congested());
}

TEST_CASE("borrowed output counts") {
  Harness self{Role::server, small_waters()};
  self.open();
  self.writes = false;
  Limits limits;
  limits.output_high_water = 5000;
  Harness other{Role::server, limits};
  other.open();
  other.writes = false;
  const std::string payload(5000, 'x');
  CHECK(other.session.send_borrowed({MessageType::binary, as_bytes(payload)}) == errc::ok);
  CHECK(other.session.output_size() == 5004);
  CHECK(other.session.is_congested());
  CHECK(self.session.send_borrowed({MessageType::binary, as_bytes(payload)}) == errc::output_full);
}

TEST_CASE("pings that are not taken make the session stop reading") {
  Harness self{Role::server, small_waters()};
  self.open();
  self.writes = false;
  const std::string ping = self.frame(test::opcode::ping, std::string(125, 'p'));
  int pings = 0;
  while (self.session.wants_read()) {
    self.feed(ping);
    REQUIRE(++pings < 100);
  }
  CHECK(pings == 8);
  self.session.sent(self.session.output_size());
  CHECK(self.session.wants_read());
}

TEST_CASE("a session that is over reads on, congested or not, so that its last words arrive") {
  Harness self{Role::server, small_waters()};
  self.open();
  self.writes = false;
  CHECK(self.session.send(std::string(2000, 'x')) == errc::ok);
  CHECK_FALSE(self.session.wants_read());
  self.feed(self.frame(3, ""));
  CHECK(self.session.wants_read());
  self.end_of_input();
  CHECK_FALSE(self.session.wants_read());
}

TEST_CASE("a message that would pass output_bytes is refused whole") {
  for (const Role role : {Role::server, Role::client}) {
    CAPTURE(static_cast<int>(role));
    Harness self{role, small_waters()};
    self.open();
    self.writes = false;
    CHECK(self.session.send(std::string(3001, 'x')) == errc::output_full);
    CHECK(self.session.output_size() == 0);
    CHECK(self.session.send(std::string(3000, 'x')) == errc::ok);
    const std::size_t full = self.session.output_size();
    CHECK(self.session.send(std::string_view{"x"}) == errc::output_full);
    CHECK(self.session.send_piece({MessageType::text, as_bytes("x")}, false) == errc::output_full);
    CHECK(self.session.output_size() == full);
    CHECK(self.session.close(1000) == errc::ok);  // that always fits
    self.write();
    CHECK(self.frames().size() == 2);
  }
}

// -- Output ---------------------------------------------------------------------------------------

TEST_CASE("output that is taken in parts, split at every byte, is the same output") {
  for (const Role role : {Role::server, Role::client}) {
    CAPTURE(static_cast<int>(role));
    const Lines expected{"> text \"Hello\"",
                         "> ping \"p\"",
                         "> binary " + test::in_quotes(std::string(300, 'x')),
                         "> fin=0 text \"frag\"",
                         "> continuation \"ment\"",
                         "> close 1000 \"bye\""};
    for (std::size_t split = 1; split < 380; ++split) {
      Harness self{role};
      self.open();
      self.writes = false;
      CHECK(self.session.send(std::string_view{"Hello"}) == errc::ok);
      CHECK(self.session.ping(as_bytes("p")) == errc::ok);
      CHECK(self.session.send(as_bytes(std::string(300, 'x'))) == errc::ok);
      if (split < self.session.output_size()) {
        self.written += as_text(self.session.output().front()).substr(0, split);
        self.session.sent(split);
      }
      CHECK(self.session.send_piece({MessageType::text, as_bytes("frag")}, false) == errc::ok);
      CHECK(self.session.send_piece({MessageType::text, as_bytes("ment")}, true) == errc::ok);
      CHECK(self.session.close(1000, "bye") == errc::ok);
      self.write();
      CHECK(self.frames() == expected);
    }
  }
}

TEST_CASE("a borrowed payload goes out from where it is, and is kept where that is asked for") {
  const std::string body = pattern(5000);
  const std::string expected = test::server_frame(test::opcode::binary, body) +
                               test::server_frame(test::opcode::text, "behind");
  for (std::size_t sent = 0; sent <= expected.size(); ++sent) {
    Harness self{Role::server};
    self.open();
    self.writes = false;
    std::string payload = body;
    REQUIRE(self.session.send_borrowed({MessageType::binary, as_bytes(payload)}) == errc::ok);
    REQUIRE(self.session.output().size() == 2);
    REQUIRE(as_text(self.session.output()[1]).data() == payload.data());
    REQUIRE(self.session.send(std::string_view{"behind"}) == errc::ok);
    for (std::size_t left = sent; left != 0;) {
      const std::size_t part = std::min(left, self.session.output().front().size());
      self.written += as_text(self.session.output().front().first(part));
      self.session.sent(part);
      left -= part;
    }
    self.session.own_output();
    std::fill(payload.begin(), payload.end(), '?');
    self.write();
    const bool same = self.written == expected;
    REQUIRE_MESSAGE(same, "sent before own_output(): ", sent);
    REQUIRE(self.pool.in_use() == 0);
  }
}

TEST_CASE("a client masks, and so copies what it is lent") {
  Harness self{Role::client};
  self.open();
  self.writes = false;
  std::string payload(5000, 'x');
  REQUIRE(self.session.send_borrowed({MessageType::binary, as_bytes(payload)}) == errc::ok);
  std::fill(payload.begin(), payload.end(), '?');
  self.write();
  CHECK(self.frames() == Lines{"> binary " + test::in_quotes(std::string(5000, 'x'))});
}

TEST_CASE("each frame of a client is masked with a key of its own (section 5.3)") {
  Harness self{Role::client};
  self.open();
  std::vector<test::Key> keys;
  for (int i = 0; i < 1000; ++i) {
    CHECK(self.session.send(std::string_view{"the same"}) == errc::ok);
    self.write();
    std::string_view written = self.written;
    const auto frame = test::decode(written);
    REQUIRE(frame);
    REQUIRE(frame->key);
    CHECK(frame->payload == "the same");
    keys.push_back(*frame->key);
    self.written.clear();
  }
  std::sort(keys.begin(), keys.end());
  const auto distinct = std::unique(keys.begin(), keys.end()) - keys.begin();
  CHECK(distinct > 990);  // two of a thousand random keys are equal once in ten thousand runs
  // Each bit is set about half of the time: 500, give or take ten times the deviation of 16.
  for (std::size_t bit = 0; bit < 32; ++bit) {
    const auto set = std::count_if(keys.begin(), keys.end(), [&](const test::Key& key) {
      return (key[bit / 8] >> bit % 8 & 1) != 0;
    });
    CHECK(set > 340);
    CHECK(set < 660);
  }
}

TEST_CASE("control payloads of 125 bytes are sent, longer ones are refused") {
  Harness self{Role::server};
  self.open();
  const std::string longest(125, 'p');
  CHECK(self.session.ping(as_bytes(longest)) == errc::ok);
  CHECK(self.session.pong(as_bytes(longest)) == errc::ok);
  CHECK(self.session.ping(as_bytes(longest + 'p')) == errc::payload_too_long);
  CHECK(self.session.pong(as_bytes(longest + 'p')) == errc::payload_too_long);
  self.write();
  CHECK(self.frames().size() == 2);
}

// -- Large messages, read where they stay ---------------------------------------------------------

TEST_CASE("a large message is read to addresses that are fast to read to, whatever reads bring") {
  const std::pair<Role, unsigned> cases[] = {{Role::server, test::opcode::binary},
                                             {Role::client, test::opcode::binary},
                                             {Role::server, test::opcode::text},
                                             {Role::client, test::opcode::text}};
  for (const auto& each : cases) {
    const Role role = each.first;
    const unsigned type = each.second;
    CAPTURE(static_cast<int>(role));
    std::string payload;
    for (std::size_t i = 0; payload.size() < 300'000; ++i)
      payload += i % 5 == 0 ? "\xE2\x82\xAC" : std::string(1, static_cast<char>('a' + i % 23));
    for (const std::size_t step : {1000UL, 4096UL, 65'483UL, 131'072UL}) {
      CAPTURE(step);
      Harness self{role};
      self.open();
      std::string echoed;
      self.on_event = [&](Harness&, const Event& event) {
        if (const auto* message = event.message()) echoed = message->text();
      };
      const std::string wire = self.frame(type, payload);
      std::size_t at = 5000;
      self.feed(wire.substr(0, at));
      while (at < wire.size()) {
        const MutableBytes space = self.session.read_space();
        const std::size_t size = std::min({step, wire.size() - at, std::max(space.size(), 1UL)});
        if (space.empty()) {
          CHECK(wire.size() - at < 16'384);
          self.feed(wire.substr(at, size));
        } else {
          CHECK(reinterpret_cast<std::uintptr_t>(space.data()) % 64 == 0);
          std::copy_n(as_bytes(wire).data() + at, size, space.data());
          self.session.receive(space.first(size));
          self.drain();
        }
        at += size;
      }
      CHECK(echoed == payload);
    }
  }
}

TEST_CASE("after a large message the next one's beginning is read with few bytes, and only that") {
  Harness self{Role::server};
  self.open();
  std::vector<std::byte> usual(200'000);
  CHECK(self.session.read_space(usual).size() == usual.size());
  const std::string large = self.frame(test::opcode::binary, std::string(100'000, 'x'));
  self.feed(large.substr(0, 50));
  self.feed(large.substr(50));
  const MutableBytes first = self.session.read_space(usual);
  CHECK(first.data() == usual.data());
  CHECK(first.size() == 4096);
  self.feed(self.frame(test::opcode::binary, "small"));
  CHECK(self.session.read_space(usual).size() == usual.size());
  // It was large again: more of it is read at once than of the first.
  self.feed(large.substr(0, 50));
  self.feed(large.substr(50));
  CHECK(self.session.read_space(usual).size() == 4096);
  const std::string larger = self.frame(test::opcode::binary, std::string(1'000'000, 'x'));
  self.feed(larger.substr(0, 4096));
  CHECK(self.session.read_space(usual).size() == 256 * 1024);
  self.feed(larger.substr(4096));
  // And then it was not.
  CHECK(self.session.read_space(usual).size() == 4096);
  const std::string middling = self.frame(test::opcode::binary, std::string(20'000, 'x'));
  self.feed(middling.substr(0, 50));
  self.feed(middling.substr(50));
  CHECK(self.session.read_space(usual).size() == usual.size());
  self.feed(larger.substr(0, 4096));
  CHECK(self.session.read_space(usual).size() == 64 * 1024);
}

// -- Output without a copy ------------------------------------------------------------------------

TEST_CASE("send_in_place() writes the header in front of the payload that came") {
  for (const std::size_t size : {0UL, 1UL, 125UL, 126UL, 65'535UL, 65'536UL, 100'000UL}) {
    for (const auto type : {MessageType::text, MessageType::binary}) {
      CAPTURE(size);
      Harness self{Role::server};
      self.open();
      std::string read = self.frame(static_cast<unsigned>(type), std::string(size, 'p')) +
                         self.frame(test::opcode::text, "next");
      self.session.receive(std::as_writable_bytes(std::span{read}));
      const auto event = self.session.next();
      REQUIRE(event);
      const Message message = *event->message();
      REQUIRE(message.payload.size() == size);
      REQUIRE(self.session.send_in_place(message) == errc::ok);
      const Gather output = self.session.output();
      REQUIRE(output.size() == 1);
      CHECK(output.front().data() + output.front().size() == message.payload.data() + size);
      const auto next = self.session.next();
      REQUIRE(next);
      CHECK(next->message()->text() == "next");
      self.session.own_output();
      std::fill(read.begin(), read.end(), '?');
      self.write();
      const std::string kind = type == MessageType::text ? "text" : "binary";
      const std::string shown =
          size < 2 ? " \"" + std::string(size, 'p') + '"' : " \"p\"*" + std::to_string(size);
      CHECK(self.frames() == Lines{"> " + kind + shown});
    }
  }
}

TEST_CASE("a client masks, so that it copies what it sends in place") {
  Harness self{Role::client};
  self.open();
  std::string read = self.frame(test::opcode::text, std::string(300, 'p'));
  self.session.receive(std::as_writable_bytes(std::span{read}));
  const auto event = self.session.next();
  REQUIRE(event);
  REQUIRE(self.session.send_in_place(*event->message()) == errc::ok);
  const std::string before = read;
  std::fill(read.begin(), read.end(), '?');
  self.write();
  CHECK(self.frames() == Lines{"> text \"p\"*300"});
}

TEST_CASE("a prepared message is sent as it would have been alone, by servers and clients") {
  for (const std::size_t size : {0UL, 5UL, 125UL, 126UL, 300UL, 70'000UL}) {
    CAPTURE(size);
    const std::string payload(size, 'p');
    const PreparedMessage message{{MessageType::text, as_bytes(payload)}};
    CHECK(message.message().text() == payload);
    for (const Role role : {Role::server, Role::client}) {
      Harness self{role};
      CHECK(self.session.send(message) == errc::not_open);
      self.open();
      CHECK(self.session.send(message) == errc::ok);
      CHECK(self.session.send("x") == errc::ok);
      CHECK(self.session.send(message) == errc::ok);
      self.write();
      Harness other{role};
      other.open();
      for (const std::string_view each :
           {std::string_view{payload}, std::string_view{"x"}, std::string_view{payload}})
        CHECK(other.session.send(each) == errc::ok);
      other.write();
      CHECK(self.frames() == other.frames());
      CHECK(self.session.send_piece({MessageType::text, {}}, false) == errc::ok);
      CHECK(self.session.send(message) == errc::message_unfinished);
    }
  }
  Limits limits;
  limits.output_bytes = 100;
  Harness self{Role::server, limits};
  self.open();
  CHECK(self.session.send(PreparedMessage{{MessageType::text, as_bytes(std::string(99, 'x'))}}) ==
        errc::output_full);
}
