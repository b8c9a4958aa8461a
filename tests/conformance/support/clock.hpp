// The clocks of this process, as a test wants them.
#pragma once

#include <chrono>

namespace test {

// From now on the steady clock of the whole process is so much ahead: as if all of it had been held
// up for that long. What the system waits for, it waits for by its own clock.
void time_passes(std::chrono::nanoseconds time) noexcept;

// While it lives the clock on the wall, which somebody may set, tells another year each time.
struct MadWallClock {
  MadWallClock() noexcept;
  MadWallClock(const MadWallClock&) = delete;
  MadWallClock& operator=(const MadWallClock&) = delete;
  ~MadWallClock();
};

}  // namespace test
