// Messages that are compressed: what comes, what is sent, what it may cost.
#include <doctest/doctest.h>

#include <random>
#include <thread>
#include <tuple>

#include "deflate/zlib.hpp"
#include "support/allocation.hpp"
#include "support/harness.hpp"
#include "timtow/deflate.hpp"

namespace {

using namespace timtow;
using test::deflated;
using test::Harness;
using test::Lines;
using test::opcode::binary;
using test::opcode::continuation;
using test::opcode::ping;
using test::opcode::text;

const Deflate deflating{DeflateOptions{.min_size = 0}};
const Deflate taking_over{DeflateOptions{
    .server_no_context_takeover = false, .client_no_context_takeover = false, .min_size = 0}};

// A server whose client has offered compression; both with context takeover or both without.
struct Server : Harness {
  explicit Server(const Deflate& deflate = taking_over, const Limits& limits = {})
      : Harness(Role::server, limits, &deflate) {
    open("permessage-deflate; client_max_window_bits");
  }
};

std::string compressed_frame(unsigned opcode, std::string_view payload, bool fin = true) {
  test::Frame frame;
  frame.fin = fin;
  frame.rsv = opcode == continuation ? 0 : 4;
  frame.opcode = opcode;
  frame.key = test::rfc_key;
  frame.payload = payload;
  return test::encode(frame);
}

// What a server makes of it, whole and however it is split.
Lines heard(std::string_view wire, const Deflate& deflate = taking_over, const Limits& limits = {},
            bool streaming = false) {
  const auto run = [&](std::size_t size) {
    Harness server{Role::server, limits, &deflate};
    server.session.stream_messages(streaming);
    server.open("permessage-deflate; client_max_window_bits");
    server.feed_by(size, wire);
    return server.log.take();
  };
  const Lines whole = run(wire.size());
  for (const std::size_t size : {1U, 2U, 3U, 7U, 100U, 1000U, 1024U, 5000U})
    if (size < wire.size() && wire.size() / size < 100'000)
      CHECK(test::joined(run(size)) == test::joined(whole));
  return whole;
}

std::string bytes(std::initializer_list<unsigned> all) {
  std::string made;
  for (const unsigned each : all) made += static_cast<char>(each);
  return made;
}

std::string noise(std::size_t size) {
  std::mt19937 random{7};
  std::string made;
  for (std::size_t i = 0; i < size; ++i) made += static_cast<char>(random());
  return made;
}

// Text with some likeness in it.
std::string words(std::size_t size) {
  std::mt19937 random{5};
  std::string made;
  while (made.size() < size) made += "word " + std::to_string(random() % 1000) + ", ";
  made.resize(size);
  return made;
}

struct Sent {
  bool compressed;
  std::string payload;
};

// The messages that were written, each in however many frames.
std::vector<Sent> sent(Harness& self) {
  std::vector<Sent> all;
  std::string_view wire = self.written;
  bool begins = true;
  while (const auto frame = test::decode(wire)) {
    if (frame->opcode >= test::opcode::close) continue;
    CHECK((frame->opcode == continuation) == !begins);
    CHECK((frame->rsv & ~4U) == 0);
    if (begins)
      all.push_back({frame->rsv == 4, {}});
    else
      CHECK(frame->rsv == 0);
    all.back().payload += frame->payload;
    begins = frame->fin;
  }
  CHECK(wire.empty());
  self.written.clear();
  return all;
}

}  // namespace

// -- What comes -----------------------------------------------------------------------------------

TEST_CASE("compressed messages: the examples of RFC 7692 section 7.2.3") {
  const std::string hello = bytes({0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00});
  const Lines once{"message text 5 \"Hello\""};
  const Lines twice{once[0], once[0]};
  CHECK(heard(compressed_frame(text, hello)) == once);
  // A fragmented message, 7.2.3.1.
  CHECK(heard(compressed_frame(text, hello.substr(0, 3), false) +
              compressed_frame(continuation, hello.substr(3))) == once);
  // The window slides over both, 7.2.3.2.
  CHECK(heard(compressed_frame(text, hello) +
              compressed_frame(text, bytes({0xF2, 0x00, 0x11, 0x00, 0x00}))) == twice);
  // A block that is not compressed, 7.2.3.3.
  CHECK(heard(compressed_frame(
            text, bytes({0x00, 0x05, 0x00, 0xFA, 0xFF, 'H', 'e', 'l', 'l', 'o', 0x00}))) == once);
  // A final block, 7.2.3.4; and behind it another message.
  const std::string last = bytes({0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00});
  CHECK(heard(compressed_frame(text, last)) == once);
  CHECK(heard(compressed_frame(text, last) + compressed_frame(text, hello)) == twice);
  // Two blocks, 7.2.3.5.
  CHECK(heard(compressed_frame(text, bytes({0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA,
                                            0xC9, 0xC9, 0x07, 0x00}))) == once);
  // An empty message, 7.2.3.6.
  CHECK(heard(compressed_frame(text, bytes({0x00}))) == Lines{"message text 0 \"\""});
}

TEST_CASE("compressed messages: those that end between two blocks") {
  // What is left away may as well be more, or nothing.
  const std::string hello = bytes({0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00});
  const Lines twice{"message text 5 \"Hello\"", "message text 5 \"Hello\""};
  CHECK(heard(compressed_frame(text, hello) + compressed_frame(text, hello)) == twice);
  CHECK(heard(compressed_frame(text, "") + compressed_frame(text, "")) ==
        Lines{"message text 0 \"\"", "message text 0 \"\""});
  test::Deflating peer;
  const std::string first = peer.part("Hello");  // with the whole of the empty block
  CHECK(heard(compressed_frame(text, first) + compressed_frame(text, peer.message("Hello"))) ==
        twice);
  // Several final blocks in a message, of which a later one refers to an earlier.
  CHECK(heard(compressed_frame(text, hello + hello + bytes({0xF2, 0x00, 0x11, 0x00, 0x00}))) ==
        Lines{"message text 15 \"HelloHelloHello\""});
}

TEST_CASE("compressed and plain messages alternate, fragmented, with control frames between") {
  test::Deflating peer;
  const std::string first = peer.message("one, one, one");
  const std::string third = peer.message("one, one, three");
  CHECK(heard(compressed_frame(text, first) + test::client_frame(text, "two") +
              compressed_frame(text, third.substr(0, 1), false) + test::client_frame(ping, "now") +
              compressed_frame(continuation, "", false) +
              compressed_frame(continuation, third.substr(1))) ==
        Lines{"message text 13 \"one, one, one\"", "message text 3 \"two\"", "ping \"now\"",
              "message text 15 \"one, one, three\""});
}

TEST_CASE("compressed messages of all sizes, with context takeover and without") {
  for (const Deflate* const deflate : {&taking_over, &deflating}) {
    test::Deflating peer;
    std::string wire;
    Lines expected;
    for (const std::size_t size :
         {0U, 1U, 125U, 126U, 1023U, 1024U, 1025U, 4096U, 20'000U, 100'000U}) {
      for (const std::string& payload : {words(size), noise(size)}) {
        wire += compressed_frame(
            binary, deflate == &taking_over ? peer.message(payload) : deflated(payload));
        expected.push_back(test::describe(Event{Message{MessageType::binary, as_bytes(payload)}}));
      }
    }
    CHECK(heard(wire, *deflate) == expected);
  }
}

TEST_CASE("a compressed message in pieces is the same as whole") {
  const std::string payload = words(200'000);
  const std::string wire = compressed_frame(text, deflated(payload)) +
                           compressed_frame(text, bytes({0x00})) +
                           test::client_frame(text, "plain");
  CHECK(heard(wire, deflating, {}, true) ==
        Lines{test::describe(Event{Piece{MessageType::text, as_bytes(payload), true, true}}),
              "piece first last text 0 \"\"", "piece first last text 5 \"plain\""});
}

TEST_CASE("RSV1 has its place (RFC 7692 section 6.1)") {
  const auto refused = [](const std::string& wire) {
    Server self;
    self.feed(wire);
    const Lines lines = self.log.take();
    REQUIRE_FALSE(lines.empty());
    CHECK(self.frames().back().starts_with("> close 1002"));
    return lines.back();
  };
  const std::string misplaced =
      "closed 1006 sent=1002 error=protocol_error \"RSV1 is set in a frame that begins no "
      "message\"";
  test::Frame frame;
  frame.key = test::rfc_key;
  frame.rsv = 4;
  frame.opcode = ping;
  CHECK(refused(test::encode(frame)) == misplaced);
  frame.opcode = test::opcode::close;
  CHECK(refused(test::encode(frame)) == misplaced);
  frame.opcode = continuation;
  CHECK(refused(test::client_frame(text, "a", false) + test::encode(frame)) == misplaced);
  CHECK(refused(compressed_frame(text, bytes({0x00}), false) + test::encode(frame)) == misplaced);

  const std::string meaningless =
      "closed 1006 sent=1002 error=protocol_error \"a reserved bit is set, and no extension was "
      "negotiated that gives it a meaning\"";
  frame.opcode = text;
  for (const unsigned rsv : {1U, 2U, 3U, 5U, 6U, 7U}) {
    frame.rsv = rsv;
    CHECK(refused(test::encode(frame)) == meaningless);
  }
  Harness plain{Role::server, {}, &taking_over};
  plain.open();
  plain.feed(compressed_frame(text, bytes({0x00})));
  CHECK(plain.log.take() == Lines{meaningless});
}

TEST_CASE("text is UTF-8 when it is decompressed") {
  const std::string good(70, 'x');
  const Lines refused =
      heard(compressed_frame(text, deflated(good + "\xFF" + good)), deflating, {}, true);
  CHECK(refused ==
        Lines{"piece first text 70 " + test::in_quotes(good),
              "closed 1006 sent=1007 error=invalid_utf8 \"a text message is not UTF-8 at its byte "
              "70\""});
  CHECK(heard(compressed_frame(text, deflated("a\xE2\x82"))) ==
        Lines{"closed 1006 sent=1007 error=invalid_utf8 \"a text message is not UTF-8 at its byte "
              "3\""});
  CHECK(heard(compressed_frame(binary, deflated("\xFF"))) == Lines{"message binary 1 \"\\xFF\""});
}

TEST_CASE("what is no DEFLATE data is closed with 1007") {
  const auto refused = [](const std::string& payload) {
    const Lines lines = heard(compressed_frame(binary, payload), deflating);
    REQUIRE(lines.size() == 1);
    return lines[0];
  };
  // A reserved kind of block; a length that its complement contradicts; too far back.
  for (const std::string& payload : {bytes({0x06}), bytes({0x00, 0x05, 0x00, 0x00, 0x00}),
                                     bytes({0xF2, 0x00, 0x11, 0x00, 0x00})}) {
    CHECK(
        refused(payload).starts_with("closed 1006 sent=1007 error=bad_compression \"a message "
                                     "cannot be decompressed at its byte "));
  }
  // It ends inside a block.
  for (const std::string& payload : {deflated(words(1000)).substr(0, 100), bytes({0xF2}),
                                     bytes({0x00, 0x05, 0x00, 0xFA, 0xFF, 'H'})})
    CHECK(refused(payload).starts_with("closed 1006 sent=1007 error=bad_compression"));
}

TEST_CASE("good bytes are streamed before those that are no DEFLATE data") {
  const std::string payload = test::Deflating{}.part("good so far") + bytes({0x06});
  CHECK(
      heard(compressed_frame(text, payload), deflating, {}, true) ==
      Lines{"piece first text 11 \"good so far\"",
            "closed 1006 sent=1007 error=bad_compression \"a message cannot be decompressed at its "
            "byte 18 on the wire\""});
}

// -- What it may cost -----------------------------------------------------------------------------

TEST_CASE(
    "Limits::message_bytes is for what a message becomes: the limit passes, one more does not") {
  Limits limits;
  limits.message_bytes = 10'000;
  for (const bool streaming : {false, true}) {
    for (const std::string& payload : {words(10'000), noise(10'000), std::string(10'000, 'x')}) {
      const std::string wire = compressed_frame(binary, deflated(payload));
      const Lines passed = heard(wire + wire, deflating, limits, streaming);
      REQUIRE(passed.size() == 2);
      CHECK(passed[0].find("binary 10000 ") != std::string::npos);

      const Lines refused =
          heard(compressed_frame(binary, deflated(payload + 'x')), deflating, limits, streaming);
      CHECK(refused.back() ==
            "closed 1006 sent=1009 error=message_too_big \"a message of 10001 bytes or more; "
            "Limits::message_bytes is 10000\"");
      CHECK(refused.size() == (streaming ? 2 : 1));
      if (streaming) CHECK(refused[0].find("binary 10000 ") != std::string::npos);
    }
  }
  // Over its fragments together; and none at all.
  const std::string payload = deflated(words(10'001));
  const Lines refused = heard(compressed_frame(binary, payload.substr(0, 1000), false) +
                                  compressed_frame(continuation, payload.substr(1000)),
                              deflating, limits);
  CHECK(refused.back().starts_with("closed 1006 sent=1009 error=message_too_big"));
  limits.message_bytes = 0;
  CHECK(heard(compressed_frame(text, bytes({0x00})), deflating, limits) ==
        Lines{"message text 0 \"\""});
  CHECK(heard(compressed_frame(text, deflated("x")), deflating, limits)[0].starts_with(
      "closed 1006 sent=1009"));
}

TEST_CASE("a bomb of 1 GiB of zeros in one frame of 1 MiB costs little") {
  test::Deflating peer;
  const std::string mebibyte = peer.part(std::string(1024 * 1024, '\0'), Z_FULL_FLUSH);
  std::string payload;
  for (int i = 0; i < 1024; ++i) payload += mebibyte;
  REQUIRE(payload.size() < 1200 * 1024);
  const std::string wire = compressed_frame(binary, payload);

  Limits limits;
  limits.message_bytes = std::size_t{4} << 30U;  // even where the application wants that
  Harness self{Role::server, limits, &deflating};
  self.open("permessage-deflate");
  self.feed(wire);
  const Lines lines = self.log.take();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with("closed 1006 sent=1009 error=inflate_ratio \"a message of "));
  CHECK(lines[0].ends_with("; Limits::inflate_ratio is 200\""));
  const std::string_view size = std::string_view{lines[0]}.substr(lines[0].find("of ") + 3);
  CHECK(std::stoul(std::string{size}) < 3 * 1024 * 1024);

  Pool pool{8 * 1024 * 1024};  // it would not fit
  Harness poor{Role::server, limits, pool, &deflating};
  poor.open("permessage-deflate");
  poor.feed(wire);
  CHECK(poor.log.take() == lines);
}

TEST_CASE("Limits::inflate_ratio is judged at the same bytes however they are split") {
  Limits limits;
  limits.inflate_ratio = 20;
  limits.inflate_free = 10'000;
  const auto end = [&](std::size_t size) {
    return heard(compressed_frame(binary, deflated(std::string(size, 'x'))), deflating, limits)
        .back();
  };
  CHECK(end(10'000).starts_with("message binary"));
  CHECK(end(10'001).starts_with("closed 1006 sent=1009 error=inflate_ratio \"a message of 10001 "));
  CHECK(end(3'000'000).starts_with("closed 1006 sent=1009 error=inflate_ratio"));
  limits.inflate_ratio = 0;
  CHECK(end(3'000'000).starts_with("message binary"));
  limits.inflate_ratio = 20;
  const std::string well = words(100'000);  // beyond what is free, and not beyond measure
  CHECK(heard(compressed_frame(text, deflated(well)), deflating, limits)
            .back()
            .starts_with("message text"));
}

TEST_CASE("memory: without context takeover a session at rest has none of zlib's") {
  Server self{deflating};
  self.on_event = test::echo;
  for (int i = 0; i < 3; ++i) {
    self.feed(compressed_frame(text, deflated(words(100'000))));
    self.drain();
    CHECK(self.pool.in_use() == 0);
  }
  const std::string payload = deflated(words(10'000));
  self.feed(compressed_frame(text, payload.substr(0, 100), false));  // and while one comes, it has
  CHECK(self.pool.in_use() > 7'000);
  self.feed(compressed_frame(continuation, payload.substr(100)));
  CHECK(self.pool.in_use() == 0);
}

TEST_CASE("memory: with context takeover it is counted, and goes with the session") {
  Pool pool;
  {
    Harness self{Role::server, {}, pool, &taking_over};
    self.open("permessage-deflate");
    CHECK(pool.in_use() == 0);
    self.on_event = test::echo;
    self.feed(compressed_frame(text, deflated("Hello")));
    // What DeflateOptions tells.
    CHECK(pool.in_use() > 290 * 1024);
    CHECK(pool.in_use() < (262 + 40 + 2) * 1024);
    CHECK(self.session.memory() == pool.in_use());  // by which Limits::connection_bytes judges
  }
  CHECK(pool.in_use() == 0);
}

TEST_CASE("memory that runs out is an error, and the peer understands what follows") {
  const auto sends = [](const Deflate& deflate, std::size_t budget, const std::string& payload) {
    Pool pool{std::numeric_limits<std::size_t>::max(), 0};
    Harness self{Role::server, {}, pool, &deflate};
    self.open("permessage-deflate");
    REQUIRE(self.session.send(words(100)) == errc::ok);
    self.write();
    const std::size_t gone = std::numeric_limits<std::size_t>::max() - pool.in_use() - budget;
    REQUIRE(pool.charge(gone));
    const errc result = self.session.send(as_bytes(payload));
    CHECK((result == errc::ok || result == errc::no_memory));
    pool.refund(gone);
    REQUIRE(self.session.send(as_bytes(payload)) == errc::ok);
    self.write();
    test::Inflating peer;
    std::string last;
    for (const Sent& each : sent(self)) {
      if (!each.compressed)
        last = each.payload;
      else
        last = &deflate == &taking_over ? peer.message(each.payload)
                                        : test::Inflating{}.message(each.payload);
    }
    CHECK(last == payload);
    return result == errc::ok;
  };
  for (const Deflate* const deflate : {&taking_over, &deflating}) {
    for (const auto& [payload, most, step] :
         {std::tuple{noise(200'000), 1'100'000U, 60'007U}, std::tuple{words(900), 12'000U, 200U},
          std::tuple{words(9000), 40'000U, 200U}}) {
      int went = 0;
      int refused = 0;
      for (std::size_t budget = 0; budget < most; budget += step)
        ++(sends(*deflate, budget, payload) ? went : refused);
      CHECK(refused > 0);
      if (deflate == &taking_over || most > 1'000'000) CHECK(went > 0);
    }
  }
}

TEST_CASE("memory that runs out while a compressed message comes ends the connection") {
  const std::string wire = compressed_frame(text, deflated(words(20'000)));
  for (const bool streaming : {false, true}) {
    CAPTURE(streaming);
    int came = 0;
    int ended = 0;
    for (std::size_t budget = 0; budget < 200 * 1024; budget += 1000) {
      Pool pool{std::numeric_limits<std::size_t>::max(), 0};
      {
        Harness self{Role::server, {}, pool, &deflating};
        self.session.stream_messages(streaming);
        self.open("permessage-deflate");
        pool.limit(pool.in_use() + budget, nullptr);
        self.feed_by(1000, wire);
        if (self.closed_events != 0)
          CHECK(self.log.take().back().find("no_memory") != std::string::npos);
        ++(self.closed_events == 0 ? came : ended);
      }
      CHECK(pool.in_use() == 0);
    }
    CHECK(came > 0);
    CHECK(ended > 10);
  }
}

TEST_CASE("memory that a prepared message does not find is an error, and it goes the next time") {
  const std::string payload = words(10'000);
  bool failed = true;
  int refused = 0;
  for (std::size_t n = 1; failed; ++n) {
    CAPTURE(n);
    Harness self{Role::server, {}, &deflating};
    self.open("permessage-deflate");
    const PreparedMessage message{{MessageType::text, as_bytes(payload)}};
    errc result = errc::ok;
    failed = test::Allocation::fail_in(n, [&] { result = self.session.send(message); });
    if (result != errc::ok) {
      CHECK(failed);
      CHECK(result == errc::no_memory);
      CHECK(self.session.send(message) == errc::ok);
      ++refused;
    }
    self.write();
    const auto all = sent(self);
    REQUIRE(all.size() == 1);
    CHECK((all[0].compressed ? test::Inflating{}.message(all[0].payload) : all[0].payload) ==
          payload);
  }
  CHECK(refused > 0);
}

// -- What is sent ---------------------------------------------------------------------------------

TEST_CASE("what is sent is within the window that was agreed on, from 8 bits to 15") {
  for (int bits = 8; bits <= 15; ++bits) {
    CAPTURE(bits);
    for (const bool takes_over : {false, true}) {
      const Deflate deflate{
          DeflateOptions{.server_no_context_takeover = !takes_over, .min_size = 0}};
      Harness self{Role::server, {}, &deflate};
      self.open("permessage-deflate; server_max_window_bits=" + std::to_string(bits));
      std::vector<std::string> messages{words(100'000), std::string(5000, 'x'), words(100'000), ""};
      std::string far = noise(1 << bits);  // of which all lies one byte too far back
      messages.push_back(far + 'x' + far);
      messages.push_back(noise(260) + noise(260));
      for (int i = 0; i < 2; ++i) messages.push_back({far.rbegin(), far.rbegin() + 200});  // again
      for (const std::string& each : messages)
        REQUIRE(self.session.send(as_bytes(each)) == errc::ok);
      self.write();
      test::Inflating peer{bits};
      std::size_t i = 0;
      for (const Sent& each : sent(self)) {
        const std::string& message = messages[i++];
        if (!each.compressed)
          CHECK(each.payload == message);
        else
          CHECK(message == (takes_over ? peer.message(each.payload)
                                       : test::Inflating{bits}.message(each.payload)));
      }
      CHECK(i == messages.size());
    }
  }
}

TEST_CASE("context takeover makes likeness between messages small") {
  const std::string message = words(1000);
  for (const Deflate* const deflate : {&taking_over, &deflating}) {
    Server self{*deflate};
    for (int i = 0; i < 2; ++i) REQUIRE(self.session.send(message) == errc::ok);
    self.write();
    const auto all = sent(self);
    REQUIRE(all.size() == 2);
    CHECK(all[0].payload.size() < 600);
    if (deflate == &taking_over)
      CHECK(all[1].payload.size() < 20);
    else
      CHECK(all[1].payload == all[0].payload);
  }
}

TEST_CASE("what is not worth compressing goes as it is") {
  const Deflate from_100{DeflateOptions{.min_size = 100}};
  Server self{from_100};
  REQUIRE(self.session.send(std::string(99, 'x')) == errc::ok);
  REQUIRE(self.session.send(std::string(100, 'x')) == errc::ok);
  REQUIRE(self.session.send(noise(1000)) == errc::ok);  // it would be larger
  REQUIRE(self.session.send(PreparedMessage{{MessageType::text, as_bytes(std::string(99, 'x'))}}) ==
          errc::ok);
  REQUIRE(self.session.send(PreparedMessage{{MessageType::binary, as_bytes(noise(1000))}}) ==
          errc::ok);
  self.write();
  const auto all = sent(self);
  REQUIRE(all.size() == 5);
  CHECK_FALSE(all[0].compressed);
  CHECK(all[1].compressed);
  CHECK_FALSE(all[2].compressed);
  CHECK_FALSE(all[3].compressed);
  CHECK_FALSE(all[4].compressed);
  CHECK(all[4].payload == noise(1000));
}

TEST_CASE("a message that is sent in pieces is compressed in fragments") {
  for (const Deflate* const deflate : {&taking_over, &deflating}) {
    Server self{*deflate};
    Server other{*deflate};  // in between, on the same terms
    test::Inflating peer;
    const auto piece = [](std::string_view payload) {
      return Message{MessageType::text, as_bytes(payload)};
    };
    for (int i = 0; i < 2; ++i) {
      REQUIRE(self.session.send_piece(piece(""), false) == errc::ok);
      REQUIRE(self.session.send_piece(piece("one, two, "), false) == errc::ok);
      CHECK(self.session.send("between") == errc::message_unfinished);
      CHECK(self.session.send(PreparedMessage{piece("between")}) == errc::message_unfinished);
      REQUIRE(self.session.ping() == errc::ok);
      REQUIRE(other.session.send(words(500)) == errc::ok);
      REQUIRE(self.session.send_piece(piece(""), false) == errc::ok);
      REQUIRE(self.session.send_piece(piece("one, two, three"), i == 0) == errc::ok);
      if (i != 0) REQUIRE(self.session.send_piece(piece(""), true) == errc::ok);
    }
    self.write();
    int count = 0;
    for (const Sent& each : sent(self)) {
      ++count;
      CHECK(each.compressed);
      CHECK((deflate == &taking_over
                 ? peer.message(each.payload)
                 : test::Inflating{}.message(each.payload)) == "one, two, one, two, three");
    }
    CHECK(count == 2);
  }
  Session plain{Role::server, *std::make_unique<Pool>()};
  CHECK(plain.send_piece({}, false) == errc::not_open);
}

TEST_CASE("whichever way a message is sent, it is compressed") {
  const std::string payload = words(20'000);
  const Message message{MessageType::text, as_bytes(payload)};
  Server self;
  REQUIRE(self.session.send(message) == errc::ok);
  REQUIRE(self.session.send_borrowed(message) == errc::ok);
  REQUIRE(self.session.send(PreparedMessage{message}) == errc::ok);
  self.write();
  self.on_event = [](Harness& server, const Event& event) {
    CHECK(server.session.send_in_place(*event.message()) == errc::ok);
  };
  self.feed(test::client_frame(text, payload));
  const auto all = sent(self);
  CHECK(all.size() == 4);
  test::Inflating peer;
  for (const Sent& each : all) {
    CHECK(each.compressed);
    CHECK(peer.message(each.payload) == payload);
  }
}

TEST_CASE("client and server understand each other, compressed both ways") {
  for (const Deflate* const deflate : {&taking_over, &deflating}) {
    Harness client{Role::client, {}, deflate};
    Server server{*deflate};
    client.open(deflate == &taking_over ? "permessage-deflate"
                                        : "permessage-deflate; server_no_context_takeover");
    server.on_event = test::echo;
    for (const std::string& payload : {words(1000), std::string{}, words(70'000), noise(5000)}) {
      REQUIRE(client.session.send(as_bytes(payload)) == errc::ok);
      client.write();
      server.feed(std::exchange(client.written, {}));
      client.feed(std::exchange(server.written, {}));
      CHECK(client.log.take() ==
            Lines{test::describe(Event{Message{MessageType::binary, as_bytes(payload)}})});
    }
  }
}

TEST_CASE("a prepared message is compressed once for all who agreed on the same") {
  const std::string payload = words(10'000);
  const PreparedMessage message{{MessageType::text, as_bytes(payload)}};
  const auto shown = [&](const Deflate& deflate, const std::string& offer) {
    Harness self{Role::server, {}, &deflate};
    self.open(offer);
    REQUIRE(self.session.send(message) == errc::ok);
    const Gather output = self.session.output();
    const std::byte* const at = output.empty() ? nullptr : output.front().data();
    self.write();
    const auto all = sent(self);
    REQUIRE(all.size() == 1);
    CHECK(all[0].compressed == !offer.empty());
    CHECK((all[0].compressed ? test::Inflating{}.message(all[0].payload) : all[0].payload) ==
          payload);
    return at;
  };
  const std::byte* const once = shown(deflating, "permessage-deflate");
  CHECK(shown(deflating, "permessage-deflate") == once);
  CHECK(shown(Deflate{}, "permessage-deflate; client_max_window_bits") == once);  // another object
  const std::byte* const small = shown(deflating, "permessage-deflate; server_max_window_bits=9");
  CHECK(small != once);
  CHECK(shown(deflating, "permessage-deflate; server_max_window_bits=9") == small);
  CHECK(shown(deflating, "permessage-deflate") == once);
  CHECK(shown(deflating, "") == message.frame().data());
  CHECK(shown(taking_over, "permessage-deflate") != once);
}

TEST_CASE("a prepared message goes to the connections of many threads") {
  const std::string payload = words(50'000);
  const PreparedMessage message{{MessageType::text, as_bytes(payload)}};
  std::vector<std::string> written(4);
  std::vector<std::thread> threads;
  for (std::string& each : written) {
    threads.emplace_back([&each, copy = message] {
      for (const char* const offer :
           {"permessage-deflate", "permessage-deflate; server_max_window_bits=10"}) {
        Pool pool;
        std::string answer;
        const auto codec = deflating.accept({offer}, pool, answer);
        const auto [bytes, size] = copy.compressed(*codec, pool);
        each.append(reinterpret_cast<const char*>(bytes.get()), size);
      }
    });
  }
  for (std::thread& each : threads) each.join();
  for (const std::string& each : written) CHECK(each == written[0]);
}
