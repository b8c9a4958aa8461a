// A client's tunnel through a proxy. Above it the stream is open at once, and takes no output until
// the tunnel stands: so the deadline of the opening handshake holds for both.
#pragma once

#include <string>
#include <utility>

#include "connection_relay.hpp"
#include "timtow/proxy.hpp"

namespace timtow {

class Tunnel final : public Relay {
 public:
  // `request` is what format_connect() makes.
  Tunnel(TransportEvents& above, Loop& loop, std::string request) noexcept
      : Relay(above), loop_(loop), request_(std::move(request)) {}

  void opened(Transport& below) noexcept override;
  MutableBytes read_space() noexcept override {
    return stands_ ? above_.read_space() : loop_.scratch();
  }
  void received(MutableBytes bytes) noexcept override;
  void ended() noexcept override;
  void written(std::size_t taken) noexcept override;

  std::size_t write(const Gather& bytes, std::error_code& error) noexcept override {
    return stands_ ? below_->write(bytes, error) : 0;
  }
  void write_later(const Gather& rest) noexcept override;
  void shutdown_write() noexcept override {
    if (stands_) below_->shutdown_write();
  }

 private:
  void ask() noexcept;

  Loop& loop_;
  std::string request_;
  std::size_t sent_ = 0;  // bytes of it
  ConnectAnswer answer_;
  bool stands_ = false;
  bool output_waits_ = false;  // above
};

}  // namespace timtow
