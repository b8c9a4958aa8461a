// timtow on poll(2): the loop that every system has, and the adapter to read first.
#pragma once

#include <memory>

#include "timtow/posix/readiness.hpp"

namespace timtow::poll {

class Loop final : public posix::ReadinessLoop {
 public:
  Loop();
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
  void dispatch(int found) noexcept;

  std::unique_ptr<State> state_;
};

}  // namespace timtow::poll
