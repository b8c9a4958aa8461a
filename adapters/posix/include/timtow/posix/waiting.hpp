// A loop that is nothing but a system call that waits: poll(), epoll_wait(), select(). Its adapter
// says how to wait, and whom to tell of what was found.
#pragma once

#include "timtow/posix/readiness.hpp"
#include "timtow/posix/wake_up.hpp"

namespace timtow::posix {

class WaitingLoop : public ReadinessLoop {
 public:
  void run() final;
  void stop() noexcept final { stopped_ = true; }

 protected:
  // To be watched for reading; when it is ready, woken() is to be called.
  int wake_up_fd() const noexcept { return wake_up_.fd(); }
  [[gnu::noinline]] void woken() noexcept;
  // After which nobody is to be told any more before the next wait.
  bool is_stopped() const noexcept { return stopped_; }

 private:
  // Waits so many milliseconds for a descriptor to be ready, or without end (-1). Returns what the
  // system call did: how many are, or -1 and errno.
  virtual int wait(int timeout) noexcept = 0;
  // Tells the watches what was found.
  virtual void dispatch(int found) noexcept = 0;

  void arm(TimePoint at) noexcept override {
    alarm_ = at;
    recompute_at_ = TimePoint::min();
  }
  int timeout() noexcept;
  void wake() noexcept override { wake_up_.signal(); }

  WakeUp wake_up_;
  TimePoint alarm_ = never;
  int timeout_ = -1;  // milliseconds, of the waits until ...
  TimePoint recompute_at_ = TimePoint::min();
  bool stopped_ = false;
};

}  // namespace timtow::posix
