// Memory that runs out while the adapter is at work.
#include "support/allocation.hpp"
#include "support/client.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Allocation;
using test::Client;
using test::EchoServer;

}  // namespace

TEST_CASE(
    "memory that runs out while a peer is accepted costs that peer, and the server lives on") {
  std::size_t n = 1;
  for (bool failed = true; failed; ++n) {
    CAPTURE(n);
    REQUIRE(n < 100);
    EchoServer echo;
    int errors = 0;
    bool waiting = true;
    const auto seen = [&] {
      if (waiting) echo.loop->stop();
      waiting = false;
    };
    echo.handlers.on_error = [&](const Error&) {
      if (waiting) ++errors;
      seen();
    };
    echo.handlers.on_open = [&](Connection&) { seen(); };
    echo.start();
    Client client{echo.where()};
    client.send(test::upgrade_request);
    Timer enough{*echo.loop, [&] { echo.loop->stop(); }};
    enough.start(10s);
    failed = Allocation::fail_in(n, [&] { echo.loop->run(); });
    CHECK_FALSE(waiting);  // it was opened or reported
    enough.stop();
    CHECK(errors == (failed ? 1 : 0));
    client.close();
    echo.run_until_empty();
    echo.still_echoes();
  }
  CHECK(n > 5);
}

TEST_CASE("memory that runs out while a socket is adopted leaves it with its owner") {
  std::size_t n = 1;
  for (bool failed = true; failed; ++n) {
    CAPTURE(n);
    REQUIRE(n < 100);
    EchoServer echo;
    echo.start();
    std::array<int, 2> ends{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    Error error;
    failed = Allocation::fail_in(n, [&] {
      try {
        error = test::adopt(*echo.server, ends[0]);
      } catch (const std::bad_alloc&) {
        error = make_error(errc::no_memory, "for the connection");
      }
    });
    if (error) CHECK(close(ends[0]) == 0);
    close(ends[1]);
    echo.run_until_empty();
  }
  CHECK(n > 2);
}

TEST_CASE("memory that runs out while the alarm is armed or the loop is woken costs neither") {
  for (std::size_t n = 1; n < 5; ++n) {
    CAPTURE(n);
    test::Loop loop;
    int calls = 0;
    const auto called = [&] {
      if (++calls == 2) loop->stop();
    };
    Timer timer{loop, called};
    // What is the core's own to fail is tried again.
    const auto insist = [](auto&& start) {
      try {
        start();
      } catch (const std::bad_alloc&) {
        start();
      }
    };
    Allocation::fail_in(n, [&] { insist([&] { timer.start(1ms); }); });
    Allocation::fail_in(n, [&] { insist([&] { loop->post(called); }); });
    loop->run();
    CHECK(calls == 2);
  }
}
