// timtow on epoll(7), level-triggered: one read a wake-up is all that is wanted, and an edge would
// have to be drained.
#pragma once

#include <memory>

#include "timtow/posix/waiting.hpp"

namespace timtow::epoll {

class Loop final : public posix::WaitingLoop {
 public:
  Loop();  // throws std::system_error
  ~Loop() override;

 private:
  class Watch;
  struct State;

  std::unique_ptr<posix::Watcher> watch(int fd, posix::Interest wanted,
                                        posix::Ready& whom) override;
  Transport* make_transport(posix::Descriptor& fd, TransportEvents& events) override;
  int wait(int timeout) noexcept override;
  void dispatch(int found) noexcept override;

  std::unique_ptr<State> state_;
};

}  // namespace timtow::epoll
