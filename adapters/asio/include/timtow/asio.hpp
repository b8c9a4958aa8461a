// timtow on standalone Asio: on an io_context of its own, or beside whatever else runs on the
// application's. One thread runs it. After `using namespace timtow` Asio itself is `::asio`.
#pragma once

#include <memory>

#include "timtow/posix/readiness.hpp"

namespace asio {
class io_context;
}

namespace timtow::asio {

class Loop : public posix::ReadinessLoop {
 public:
  Loop();  // throws std::system_error
  // On an io_context that the application runs; it has to outlive this.
  explicit Loop(::asio::io_context& io);
  ~Loop() override;

  void run() override;
  void stop() noexcept override;

 private:
  class Watch;
  struct State;
  struct Waits;

  std::unique_ptr<posix::Watcher> watch(int fd, posix::Interest wanted,
                                        posix::Ready& whom) override;
  Transport* make_transport(posix::Descriptor& fd, TransportEvents& events) override;
  void arm(TimePoint at) noexcept override;
  void wake() noexcept override;

  std::unique_ptr<::asio::io_context> own_io_;
  std::shared_ptr<State> state_;
};

}  // namespace timtow::asio
