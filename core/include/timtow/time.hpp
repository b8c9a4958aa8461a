// The clock that deadlines are told on. The protocol never reads it: time is passed in.
#pragma once

#include <chrono>

namespace timtow {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;  // made of std::chrono::milliseconds, seconds ... as they are

inline constexpr TimePoint never = TimePoint::max();

}  // namespace timtow
