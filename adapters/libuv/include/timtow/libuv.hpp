// timtow on libuv: on a loop of its own, or on one that the application runs. Where SIGPIPE would
// end the process, it is ignored from the first Loop on, as libuv asks of all its programs.
#pragma once

#include <memory>

#include "timtow/posix/readiness.hpp"

struct uv_loop_s;  // uv_loop_t

namespace timtow::libuv {

class Loop : public posix::ReadinessLoop {
 public:
  Loop();  // throws std::system_error
  // On a loop that lives longer. Listeners, connections and timers keep its uv_run() going; what is
  // paused does not, nor does post(). When this is destroyed the loop is left as it was, once it
  // has run again to tell that the handles are closed.
  explicit Loop(uv_loop_s& loop);  // throws std::system_error
  ~Loop() override;

  void run() override;
  void stop() noexcept override;

 private:
  struct State;

  std::unique_ptr<posix::Watcher> watch(int fd, posix::Interest wanted,
                                        posix::Ready& whom) override;
  Transport* make_transport(posix::Descriptor& fd, TransportEvents& events) override;
  void arm(TimePoint at) noexcept override;
  void wake() noexcept override;

  std::unique_ptr<State> state_;
};

}  // namespace timtow::libuv
