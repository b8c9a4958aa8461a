// timtow on libev: on a loop of its own, or on one that the application runs.
#pragma once

#include <memory>

#include "timtow/posix/readiness.hpp"

struct ev_loop;

namespace timtow::libev {

class Loop : public posix::ReadinessLoop {
 public:
  Loop();  // throws std::system_error
  // Runs on a loop of the application's, which outlives it. Whoever calls ev_run() then runs both.
  explicit Loop(struct ev_loop& native);  // throws std::system_error
  ~Loop() override;

  // As ev_run(), but it waits even when there is nothing to wait for.
  void run() override;
  // As ev_break(): ends the innermost ev_run().
  void stop() noexcept override;

 private:
  class Watch;
  struct State;

  explicit Loop(struct ev_loop* lent);

  std::unique_ptr<posix::Watcher> watch(int fd, posix::Interest wanted,
                                        posix::Ready& whom) override;
  Transport* make_transport(posix::Descriptor& fd, TransportEvents& events) override;
  void arm(TimePoint at) noexcept override;
  void wake() noexcept override;
  void woken() noexcept;

  std::unique_ptr<State> state_;
};

}  // namespace timtow::libev
