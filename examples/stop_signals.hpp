// Calls a function on a loop when SIGINT or SIGTERM comes, the same way for every loop: the signal
// handler writes to one end of a pair of sockets, and the loop reads the other.
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

class StopSignals final : private timtow::TransportEvents {
 public:
  StopSignals(timtow::Loop& loop, std::function<void()> stop) : stop_(std::move(stop)) {
    std::array<int, 2> pair{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
      throw std::system_error(errno, std::system_category(), "socketpair");
    timtow::Error error;
    transport_ = loop.adopt(pair[0], *this, error);
    if (error) throw std::system_error(error.code, error.text);
    signalled = pair[1];
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals() {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    ::close(signalled);
    transport_->close(timtow::How::graceful);
  }

 private:
  // All that a signal handler may do here: a write.
  static void on_signal(int) {
    const int saved = errno;
    [[maybe_unused]] const auto written = write(signalled, "", 1);
    errno = saved;
  }

  void opened(timtow::Transport&) noexcept override {}
  timtow::MutableBytes read_space() noexcept override { return space_; }
  void received(timtow::MutableBytes) noexcept override { stop_(); }
  void ended() noexcept override {}
  void written(std::size_t) noexcept override {}
  void failed(std::error_code) noexcept override {}

  static inline volatile std::sig_atomic_t signalled = -1;  // a handler knows nothing else

  std::function<void()> stop_;
  std::array<std::byte, 16> space_{};
  timtow::Transport* transport_ = nullptr;
};

}  // namespace example
