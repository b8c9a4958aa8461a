// An adapter that says of every write that it took all, and drops what the system did not take.
#pragma once

#include "select_loop.hpp"

namespace this_loop {

class Loop final : public port::SelectLoop {
 private:
  class Dropping final : public timtow::Transport {
   public:
    explicit Dropping(timtow::Transport& real) : real_(real) {}

    std::size_t write(const timtow::Gather& bytes, std::error_code& error) noexcept override {
      real_.write(bytes, error);
      return error ? 0 : bytes.size_bytes();
    }
    void write_later(const timtow::Gather& rest) noexcept override { real_.write_later(rest); }
    void want_read(bool wanted) noexcept override { real_.want_read(wanted); }
    void shutdown_write() noexcept override { real_.shutdown_write(); }
    timtow::Endpoint peer() const override { return real_.peer(); }
    void close(timtow::How how) noexcept override {
      real_.close(how);
      delete this;
    }

   private:
    timtow::Transport& real_;
  };

  timtow::Transport* make_transport(timtow::posix::Descriptor& fd,
                                    timtow::TransportEvents& events) override {
    return new Dropping{*SelectLoop::make_transport(fd, events)};
  }
};

}  // namespace this_loop
