// The clock that deadlines are told on. The protocol never reads it: time is passed in.
#pragma once

#include <chrono>

namespace timtow {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;  // made of std::chrono::milliseconds, seconds ... as they are

inline constexpr TimePoint never = TimePoint::max();

// So much later; `never` beyond where the clock ends, so that Duration::max() is for ever. (To make
// a Duration of std::chrono::hours::max() would overflow before it gets here.)
constexpr TimePoint later(TimePoint time, Duration by) noexcept {
  return by < never - time ? time + by : never;
}

}  // namespace timtow
