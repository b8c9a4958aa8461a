// The order of a run: begin, warm up, measure; or measure from the beginning, if there is no time
// to warm up or messages are counted.
#pragma once

#include <cstdint>
#include <limits>

#include "clock.hpp"
#include "measurement.hpp"
#include "options.hpp"

namespace load {

constexpr Time forever = std::numeric_limits<Time>::max();

// `start` sends the first messages; `step(until)` waits once, does what there is to do, and returns
// when the waiting was over. With --messages the window ends with the echo number `target`.
template <typename Start, typename Step>
void run_window(const Options& options, Measurement& measurement, std::uint64_t target, Start start,
                Step step) {
  const bool warms_up = options.messages == 0 && options.warmup > 0;
  if (!warms_up) measurement.begin();
  start();
  if (warms_up) {
    const Time begin = now() + from_seconds(options.warmup);
    while (step(begin) < begin) continue;
    measurement.begin();
  }
  if (options.messages > 0) {
    while (measurement.messages < target) step(forever);
  } else {
    const Time end = measurement.before.at + from_seconds(options.seconds);
    while (step(end) < end) continue;
  }
  measurement.end();
}

}  // namespace load
