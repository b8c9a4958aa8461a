// Calls functions on a loop when signals come, the same way for every loop: the signal handler
// writes to one end of a pair of sockets, and the loop reads the other.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <functional>
#include <system_error>
#include <utility>

#include "timtow/loop.hpp"

namespace example {

class Signals final : private timtow::TransportEvents {
 public:
  // `stop` is for SIGINT and SIGTERM, and `report` for SIGUSR1.
  Signals(timtow::Loop& loop, std::function<void()> stop, std::function<void()> report)
      : stop_(std::move(stop)), report_(std::move(report)) {
    std::array<int, 2> pair{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
      throw std::system_error(errno, std::system_category(), "socketpair");
    timtow::Error error;
    transport_ = loop.adopt(pair[0], *this, error);
    if (error) throw std::system_error(error.code, error.text);
    signalled = pair[1];
    for (const int each : handled) std::signal(each, on_signal);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() {
    for (const int each : handled) std::signal(each, SIG_DFL);
    ::close(signalled);
    transport_->close(timtow::How::graceful);
  }

 private:
  static constexpr std::array handled{SIGINT, SIGTERM, SIGUSR1};

  // All that a signal handler may do here: a write.
  static void on_signal(int signal) {
    const int saved = errno;
    const auto number = static_cast<unsigned char>(signal);
    [[maybe_unused]] const auto written = write(signalled, &number, 1);
    errno = saved;
  }

  void opened(timtow::Transport&) noexcept override {}
  timtow::MutableBytes read_space() noexcept override { return space_; }
  void received(timtow::MutableBytes bytes) noexcept override {
    for (const std::byte each : bytes) std::to_integer<int>(each) == SIGUSR1 ? report_() : stop_();
  }
  void ended() noexcept override {}
  void written(std::size_t) noexcept override {}
  void failed(std::error_code) noexcept override {}

  static inline volatile std::sig_atomic_t signalled = -1;  // a handler knows nothing else

  std::function<void()> stop_;
  std::function<void()> report_;
  std::array<std::byte, 16> space_{};
  timtow::Transport* transport_ = nullptr;
};

}  // namespace example
