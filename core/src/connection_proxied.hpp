// A connection to a server that asks for the header of the PROXY protocol: it is taken off the
// stream, and its client is then the peer of what is above. Of peers that are not trusted none is
// taken, and what they say is passed on, unless it is such a header.
#pragma once

#include <optional>
#include <string>

#include "connection_relay.hpp"
#include "timtow/connection.hpp"
#include "timtow/ip_address.hpp"
#include "timtow/proxy_protocol.hpp"

namespace timtow {

class Proxied final : public Relay {
 public:
  // `above` is the connection's events, or what stands between.
  Proxied(TransportEvents& above, Connection& connection, Loop& loop,
          const Networks& trusted) noexcept
      : Relay(above), connection_(connection), loop_(loop), trusted_(trusted) {}

  void opened(Transport& below) noexcept override;
  MutableBytes read_space() noexcept override {
    return done_ ? above_.read_space() : loop_.scratch();
  }
  void received(MutableBytes bytes) noexcept override {
    done_ ? above_.received(bytes) : take(bytes);
  }
  Endpoint peer() const override { return client_ ? *client_ : below_->peer(); }

  // For a transport that adopt() made: opened(), and what was read from it before.
  void start(Transport& below, MutableBytes already_read) noexcept {
    if (survives([&] { opened(below); }) && !already_read.empty()) received(already_read);
  }

 private:
  void take(MutableBytes bytes) noexcept;

  Connection& connection_;  // which does not end before us
  Loop& loop_;
  const Networks& trusted_;  // until opened()
  bool is_trusted_ = false;
  bool done_ = false;
  std::string begun_;  // what came of a header that is not whole
  std::optional<Endpoint> client_;
};

}  // namespace timtow
