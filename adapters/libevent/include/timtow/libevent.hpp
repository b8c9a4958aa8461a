// timtow on libevent 2.1: on a base of its own, or beside whatever else is on the application's.
//
// A base without locks (evthread) will do: post() wakes it through a descriptor. The event that
// watches this descriptor is one of libevent's internal ones: it keeps no base running, and
// EVLOOP_ONCE does not return for it.
#pragma once

#include <memory>

#include "timtow/posix/readiness.hpp"

struct event_base;

namespace timtow::libevent {

class Loop : public posix::ReadinessLoop {
 public:
  Loop();                           // throws std::system_error
  explicit Loop(event_base& base);  // the same; the base must outlive it
  ~Loop() override;

  void run() override;  // throws std::system_error
  void stop() noexcept override;

 private:
  class Watch;
  struct State;

  std::unique_ptr<posix::Watcher> watch(int fd, posix::Interest wanted,
                                        posix::Ready& whom) override;
  Transport* make_transport(posix::Descriptor& fd, TransportEvents& events) override;
  void arm(TimePoint at) noexcept override;
  void wake() noexcept override;

  std::unique_ptr<State> state_;
};

}  // namespace timtow::libevent
