// The loop under test runs on an io_context that the application runs, beside a timer of its own.
#pragma once

#include <timtow/asio.hpp>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace this_loop {

struct Native {
  Native() {
    application.async_wait([](const std::error_code&) {});
  }
  ~Native() {
    // What was cancelled is told so; then there is nothing left to run for.
    application.cancel();
    io.restart();
    io.run_for(std::chrono::seconds{10});
    if (io.stopped()) return;
    std::fputs("the io_context has work left when the loop that it was lent to is gone\n", stderr);
    std::abort();
  }

  asio::io_context io;
  // Later than any other: Asio looks at its timers when an earlier one is set, not at the clock.
  asio::steady_timer application{io, std::chrono::hours{10'000}};
};

class Loop : private Native, public timtow::asio::Loop {
 public:
  Loop() : timtow::asio::Loop(Native::io) {}

  void run() override {
    io.restart();
    io.run();
  }
  void stop() noexcept override { io.stop(); }
  bool goes_on() {
    application.cancel();
    io.restart();
    io.poll();
    return !io.stopped();
  }
};

}  // namespace this_loop

#include "cases.hpp"
