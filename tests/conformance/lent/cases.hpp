// What only a lent loop can get wrong. Each header of this folder includes it behind its
// this_loop::Loop, whose goes_on() runs the native loop without waiting, and without anything of
// the application's, and says whether it would run on.
#pragma once

#include <array>

#include "support/client.hpp"

TEST_CASE("a lent loop runs on for timers, listeners and connections, and no more") {
  using namespace timtow;
  struct Host final : AcceptEvents, TransportEvents {
    TransportEvents* accepted(Bytes) noexcept override { return nullptr; }
    void accept_failed(const Error&) noexcept override {}
    void opened(Transport&) noexcept override {}
    MutableBytes read_space() noexcept override { return space; }
    void received(MutableBytes) noexcept override {}
    void ended() noexcept override {}
    void written(std::size_t) noexcept override {}
    void failed(std::error_code) noexcept override {}
    std::array<std::byte, 1> space{};
  } host;
  Error error;
  this_loop::Loop loop;
  CHECK_FALSE(loop.goes_on());
  bool posted = false;
  loop.post([&] { posted = true; });
  loop.goes_on();
  CHECK_FALSE(loop.goes_on());

  Timer timer{loop, [] {}};
  timer.start(std::chrono::hours{1});
  CHECK(loop.goes_on());
  timer.stop();
  CHECK_FALSE(loop.goes_on());

  Listener* const listener = loop.listen({.host = "127.0.0.1", .port = 0, .path = {}}, host, error);
  REQUIRE(listener != nullptr);
  CHECK(loop.goes_on());
  listener->close();
  CHECK_FALSE(loop.goes_on());

  std::array<int, 2> ends{};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const test::Client client{ends[1]};
  Transport* const transport = loop.adopt(ends[0], host, error);
  REQUIRE(transport != nullptr);
  CHECK(loop.goes_on());
  transport->close(How::graceful);
  CHECK_FALSE(loop.goes_on());

  test::run_for(loop, std::chrono::milliseconds{1});
  CHECK(posted);
}
