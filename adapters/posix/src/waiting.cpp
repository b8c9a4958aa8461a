#include "timtow/posix/waiting.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>

namespace timtow::posix {
namespace {

// Milliseconds, rounded up, so that no alarm comes early; -1 when there is none.
int timeout_until(TimePoint alarm, TimePoint now) noexcept {
  if (alarm == never) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(alarm - now);
  return static_cast<int>(std::clamp<long long>(left.count(), 0, 60'000));
}

}  // namespace

void WaitingLoop::run() {
  stopped_ = false;
  keep_time(Clock::now());
  while (!stopped_) {
    const int found = wait(timeout_until(alarm_, now()));
    if (found < 0 && errno != EINTR) throw std::system_error(last_error(), "waiting for events");
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
