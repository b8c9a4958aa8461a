// What one connection does wrong, or one handler, is nobody else's harm.
#include <stdexcept>

#include "support/client.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Client;
using test::EchoServer;
using test::Lines;
using test::run_until;
namespace opcode = test::opcode;

// Of a frame from a server: bytes on the wire.
constexpr std::size_t framed(std::size_t size) { return size + (size < 65536 ? 4 : 10); }

}  // namespace

TEST_CASE("a handler that throws fails its connection, and the loop goes on") {
  const Lines failed = {"> close 1011 \"the application failed\""};
  EchoServer echo;
  bool is_due = true;
  const auto throws = [&](auto&&...) {
    if (std::exchange(is_due, false)) throw std::runtime_error{"the disk is full"};
  };
  SUBCASE("on_open") { echo.handlers.on_open = throws; }
  SUBCASE("on_message") {
    echo.handlers.on_message = [&](Connection& c, const Message& m) { throws(), c.send(m); };
  }
  SUBCASE("on_ping") { echo.handlers.on_ping = throws; }
  SUBCASE("on_close") { echo.handlers.on_close = throws; }
  echo.start();
  Client client{echo.where()};
  client.open(*echo.loop);
  client.send(opcode::ping, "").send(opcode::text, "").send(opcode::close, "");
  run_until(*echo.loop, [&] { return client.pump(), client.ended || client.error != 0; });
  CHECK_FALSE(is_due);
  client.close();
  echo.run_until_empty();
  echo.still_echoes();
}

TEST_CASE("of a broadcast those who do not read miss some, and the others nothing") {
  constexpr std::size_t size = 40'000;
  constexpr std::size_t rounds = 60;
  EchoServer echo;
  echo.limits.output_high_water = 300'000;
  echo.limits.output_low_water = 100'000;
  echo.limits.slow_readers = SlowReaders::drop_oldest;
  echo.start_with_little();
  std::vector<Client> clients;
  clients.reserve(10);
  for (int i = 0; i < 10; ++i) {
    clients.emplace_back(echo.where());
    test::hold_little(clients.back().fd());
    clients.back().open(*echo.loop);
    clients.back().reads = i != 0;
  }
  Client& slow = clients.front();
  std::size_t most = 0;
  for (std::size_t round = 1; round <= rounds; ++round) {
    const std::string text = test::noise(size - 1, round) + static_cast<char>(round);
    CHECK(echo.server->broadcast({MessageType::binary, as_bytes(text)}) == clients.size());
    run_until(*echo.loop, [&] {
      bool all = true;
      for (Client& each : clients) {
        each.pump();
        all = all && (&each == &slow || each.got.size() >= round * framed(size));
      }
      return all;
    });
    most = std::max(most, echo.loop->pool().in_use());
  }
  // What is output, what waits beside it, and what lies on its way through TLS.
  CHECK(most < 1'000'000);
  const auto dropped = static_cast<std::size_t>(echo.server->metrics().dropped);
  CHECK(dropped > 10);
  slow.reads = true;
  run_until(*echo.loop, [&] {
    slow.pump();
    return slow.got.size() >= (rounds - dropped) * framed(size);
  });
  for (Client& each : clients) {
    CHECK(each.got.size() % framed(size) == 0);
    CHECK(each.got.back() == static_cast<char>(rounds));
  }
}

TEST_CASE("a loop that is short of memory ends those who hold most, and serves the others") {
  EchoServer echo;
  echo.start();
  echo.loop->limit_memory(8 * 1024 * 1024);
  std::vector<Client> clients;
  clients.reserve(8);
  std::size_t most = 0;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back(echo.where());
    Client& client = clients.back();
    client.open(*echo.loop);
    client.send_half(test::client_frame(opcode::binary, test::noise(3'000'000)));
    run_until(*echo.loop, [&] {
      most = std::max(most, echo.loop->pool().in_use());
      client.pump();
      return client.unsent() == 0 || client.ended || client.error != 0;
    });
  }
  run_until(*echo.loop, [&] { return echo.closed.size() >= 3; });
  for (const std::string& why : echo.closed) CHECK(why == "1006 memory_budget");
  CHECK(echo.closed.size() < clients.size());
  CHECK(most <= 8 * 1024 * 1024);
  echo.still_echoes();
}
