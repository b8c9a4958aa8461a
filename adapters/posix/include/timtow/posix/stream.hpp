// A connection on a loop that tells when its descriptor is ready.
#pragma once

#include <sys/socket.h>

#include "timtow/posix/readiness.hpp"

namespace timtow::posix {

// `Watch` is an adapter's, and part of it: there is one piece of memory for both.
template <typename Watch>
class Stream final : public Transport, private Watch {
 public:
  // Takes the descriptor over unless it throws. The other arguments are the watch's.
  template <typename... Arguments>
  Stream(Descriptor& fd, TransportEvents& events, Arguments&... arguments)
      : Watch(arguments..., fd.get(), Interest::read), events_(events) {
    fd.release();
  }

  std::size_t write(const Gather& bytes, std::error_code& error) noexcept override {
    return write_some(this->fd(), bytes, error);
  }

  void write_later(const Gather&) noexcept override {
    this->want(this->wanted() | Interest::write);
  }

  void want_read(bool wanted) noexcept override {
    const Interest others = this->wanted() - Interest::read;
    this->want(wanted && !ended_ ? others | Interest::read : others);
  }

  void shutdown_write() noexcept override { shutdown(this->fd(), SHUT_WR); }

  Endpoint peer() const override { return peer_endpoint(this->fd()); }

  void close(How how) noexcept override {
    const Descriptor closed_last{this->fd()};
    if (how == How::abortive) reset_on_close(this->fd());
    delete this;
  }

 private:
  ~Stream() override = default;

  // What this calls may destroy it.
  void ready(Interest now) noexcept override {
    if (now == Interest::read) [[likely]]
      return read();
    this->want(this->wanted() - Interest::write);
    events_.written(0);
  }

  // One read a wake-up, then the next connection.
  void read() noexcept {
    // Most are closed at their end. For one that is not it is told again, and then no more.
    if (ended_) [[unlikely]]
      return want_read(false);
    const MutableBytes space = events_.read_space();
    const ssize_t count = recv(this->fd(), space.data(), space.size(), 0);
    if (count > 0) [[likely]]
      return events_.received(space.first(static_cast<std::size_t>(count)));
    const std::error_code error = count < 0 ? last_error() : std::error_code{};
    if (would_block(error)) return;
    ended_ = true;
    error ? events_.failed(error) : events_.ended();
  }

  bool ended_ = false;  // nothing more is to be read
  TransportEvents& events_;
};

}  // namespace timtow::posix
