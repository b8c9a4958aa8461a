// Time of the monotonic clock, in nanoseconds.
#pragma once

#include <cstdint>
#include <ctime>

namespace load {

using Time = std::int64_t;

constexpr Time second = 1'000'000'000;

inline Time read_clock(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return time.tv_sec * second + time.tv_nsec;
}

inline Time now() { return read_clock(CLOCK_MONOTONIC); }

inline double to_seconds(Time time) { return static_cast<double>(time) / second; }
inline Time from_seconds(double seconds) { return static_cast<Time>(seconds * second); }

}  // namespace load
