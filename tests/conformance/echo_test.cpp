// Echoes of every size, whole and in pieces.
#include "support/client.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Client;
using test::EchoServer;
using test::run_until;
namespace opcode = test::opcode;

// Bytes of which none could be lost, doubled or moved unseen; text is UTF-8 of one to three bytes a
// character.
std::string payload_of(std::size_t size, bool is_text) {
  std::string payload;
  payload.reserve(size + 8);
  std::uint32_t value = 1;
  while (payload.size() < size) {
    value = value * 1664525U + 1013904223U;
    if (!is_text)
      payload += test::big_endian(value, 4);
    else
      payload += (value >> 28) == 0   ? "\xE2\x82\xAC"
                 : (value >> 28) == 1 ? "\xC3\xA4"
                                      : std::string(1, static_cast<char>('a' + (value >> 24) % 26));
  }
  payload.resize(size);
  if (is_text)  // the last character may have been cut
    for (std::size_t i = size; i-- > 0 && size - i <= 3 && (payload[i] & 0x80) != 0;)
      payload[i] = '?';
  return payload;
}

// What came back: one message, unmasked and whole. It is taken off.
std::string echo_of(EchoServer& echo, Client& client, unsigned type) {
  std::string payload;
  run_until(*echo.loop, [&] {
    client.pump();
    std::string_view rest = client.got;
    const auto frame = test::decode(rest);
    if (!frame) return false;
    CHECK(frame->fin);
    CHECK(frame->opcode == type);
    CHECK_FALSE(frame->key);
    payload = frame->payload;
    client.got.erase(0, client.got.size() - rest.size());
    return true;
  });
  return payload;
}

constexpr std::size_t sizes[] = {0,     1,     2,     125,   126,         127,
                                 65534, 65535, 65536, 65537, 1024 * 1024, 16 * 1024 * 1024};

}  // namespace

TEST_CASE("an echo of every size, whole and fragmented, text and binary") {
  EchoServer echo;
  echo.start();
  Client client{echo.where()};
  client.open(*echo.loop);
  for (const std::size_t size : sizes) {
    for (const bool is_text : {false, true}) {
      if (size == 16 * 1024 * 1024 && is_text) continue;  // one is enough
      CAPTURE(size);
      CAPTURE(is_text);
      const unsigned type = is_text ? opcode::text : opcode::binary;
      const std::string payload = payload_of(size, is_text);
      client.send(type, payload);
      CHECK((echo_of(echo, client, type) == payload));
      // Three fragments, cut inside characters, and a ping between them.
      const std::size_t a = size / 3;
      const std::size_t b = size - size / 5;
      client.send(test::client_frame(type, payload.substr(0, a), false))
          .send(opcode::ping, "between")
          .send(test::client_frame(opcode::continuation, payload.substr(a, b - a), false))
          .send(test::client_frame(opcode::continuation, payload.substr(b)));
      CHECK(echo_of(echo, client, opcode::pong) == "between");
      CHECK((echo_of(echo, client, type) == payload));
    }
  }
  CHECK(client.got == "");
}

TEST_CASE("a message over the limit is refused, and one of the limit is not") {
  EchoServer echo;
  echo.limits.message_bytes = 1000;
  echo.start();
  Client client{echo.where()};
  client.open(*echo.loop).send(opcode::binary, std::string(1000, 'x'));
  CHECK(echo_of(echo, client, opcode::binary).size() == 1000);
  client.send(opcode::binary, std::string(1001, 'x'));
  CHECK(echo_of(echo, client, opcode::close).substr(0, 2) == test::close_payload(1009));
}

TEST_CASE("one byte at a time, each way") {
  EchoServer echo;
  echo.start();
  Client client{echo.where()};
  client.reads = false;
  const std::string input = std::string{test::upgrade_request} +
                            test::client_frame(opcode::text, "four") +
                            test::client_frame(opcode::binary, std::string(130, 'b')) +
                            test::client_frame(opcode::close, test::close_payload(1000));
  for (const char each : input) {
    client.send(std::string_view{&each, 1});
    test::run_for(*echo.loop, 0ms);
  }
  run_until(*echo.loop, [&] { return !echo.closed.empty(); });
  CHECK(echo.closed == std::vector<std::string>{"1000"});
  client.reads = true;
  client.read_size = 1;
  run_until(*echo.loop, [&] { return client.pump(), client.ended; });
  REQUIRE(client.upgraded());
  CHECK(test::frames(client.got) ==
        test::Lines{"> text \"four\"", "> binary \"b\"*130", "> close 1000"});
}

TEST_CASE("a hundred messages that come together are answered in order") {
  EchoServer echo;
  echo.start();
  Client client{echo.where()};
  client.open(*echo.loop);
  std::string input;
  for (int i = 0; i < 100; ++i) input += test::client_frame(opcode::text, std::to_string(i));
  client.send(input);
  for (int i = 0; i < 100; ++i) CHECK(echo_of(echo, client, opcode::text) == std::to_string(i));
}
