#include "timtow/posix/waiting.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>

namespace timtow::posix {

// Rounded up, so that no alarm comes early; -1 when there is none. While the alarm is far away the
// waits of a while have one timeout, which ends that much before it: a division less for each.
int WaitingLoop::timeout() noexcept {
  using std::chrono::milliseconds;
  constexpr milliseconds a_while{1000};
  if (now() < recompute_at_) return timeout_;
  recompute_at_ = TimePoint::min();
  timeout_ = -1;
  if (alarm_ == never) return timeout_;
  keep_time(Clock::now());  // the events of this wake-up may have taken long
  auto left = std::clamp(std::chrono::ceil<milliseconds>(alarm_ - now()), milliseconds{0},
                         milliseconds{60'000});
  if (left > 2 * a_while) {
    left -= a_while;
    recompute_at_ = now() + a_while;
  }
  return timeout_ = static_cast<int>(left.count());
}

void WaitingLoop::run() {
  stopped_ = false;
  keep_time(Clock::now());
  while (!stopped_) {
    const int found = wait(timeout());
    // What the system lacks at the moment, it may have the next time.
    if (found < 0 && errno != EINTR && errno != ENOMEM)
      throw std::system_error(last_error(), "waiting for events");
    keep_time(Clock::now());
    if (found > 0) dispatch(found);
    if (alarm_ <= now()) {
      alarm_ = never;
      alarm();
    }
  }
  keep_no_time();
}

void WaitingLoop::woken() noexcept {
  wake_up_.clear();
  run_posted();
}

}  // namespace timtow::posix
