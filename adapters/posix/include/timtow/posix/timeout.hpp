// How long a system call that counts in milliseconds may wait for an alarm.
#pragma once

#include <algorithm>
#include <chrono>

#include "timtow/time.hpp"

namespace timtow::posix {

// Milliseconds, rounded up, so that no alarm comes early; -1 when there is none.
inline int timeout_until(TimePoint alarm, TimePoint now) noexcept {
  if (alarm == never) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(alarm - now);
  return static_cast<int>(std::clamp<long long>(left.count(), 0, 60'000));
}

}  // namespace timtow::posix
