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

// `start` sends the first messages, `step(until)` waits once and does what there is to do. With
// --messages the window ends with the echo number `target`.
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
    const Time end = begin + from_seconds(options.seconds);
    while (now() < begin) step(begin);
    measurement.begin();
    while (now() < end) step(end);
  }
  measurement.end();
}

}  // namespace load
