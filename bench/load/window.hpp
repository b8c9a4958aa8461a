// The order of a run: begin, warm up, measure; or measure from the beginning, if messages are
// counted.
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
  if (options.messages > 0) {
    measurement.begin();
    start();
    while (measurement.messages < target) step(forever);
  } else {
    start();
    const Time begin = now() + from_seconds(options.warmup);
    while (step(begin) < begin) continue;
    measurement.begin();
    const Time end = measurement.before.at + from_seconds(options.seconds);
    while (step(end) < end) continue;
  }
  measurement.end();
}

}  // namespace load
