// timtow on libuv: on a loop of its own, or on one that the application runs.
#pragma once

#include <memory>

#include "timtow/posix/readiness.hpp"

struct uv_loop_s;  // uv_loop_t

namespace timtow::libuv {

class Loop : public posix::ReadinessLoop {
 public:
  Loop();  // throws std::system_error
  // On a loop that lives longer. Listeners and connections, also paused ones, and timers keep its
  // uv_run() going; post() alone does not. When this is destroyed it is left as it was, once it has
  // run again to tell that the handles are closed.
  explicit Loop(uv_loop_s& loop);  // throws std::system_error
  ~Loop() override;

  void run() override;
  void stop() noexcept override;

 private:
  class Hold;
  class Watch;
  struct State;

  std::unique_ptr<posix::Watcher> watch(int fd, posix::Interest interest,
                                        posix::Ready& ready) override;
  void arm(TimePoint at) noexcept override;
  void wake() noexcept override;

  std::unique_ptr<State> state_;
};

}  // namespace timtow::libuv
