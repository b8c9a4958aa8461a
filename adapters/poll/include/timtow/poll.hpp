// timtow on poll(2): the loop that every system has, and the adapter to read first.
#pragma once

#include <memory>

#include "timtow/posix/waiting.hpp"

namespace timtow::poll {

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

}  // namespace timtow::poll
