// timtow on epoll(7), level-triggered: one read a wake-up is all that is wanted, and an edge would
// have to be drained.
#pragma once

#include <memory>

#include "timtow/posix/readiness.hpp"

namespace timtow::epoll {

class Loop final : public posix::ReadinessLoop {
 public:
  Loop();  // throws std::system_error
  ~Loop() override;

  void run() override;
  void stop() noexcept override;

 private:
  class Watch;
  struct State;

  std::unique_ptr<posix::Watcher> watch(int fd, posix::Interest interest,
                                        posix::Ready& ready) override;
  void arm(TimePoint at) noexcept override;
  void wake() noexcept override;

  std::unique_ptr<State> state_;
};

}  // namespace timtow::epoll
