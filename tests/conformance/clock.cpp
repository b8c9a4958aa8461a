// The calls that tell the time, on their way to the system's library.
#include "support/clock.hpp"

#include <dlfcn.h>
#include <sys/time.h>

#include <atomic>
#include <ctime>

namespace {

std::atomic<long> ahead = 0;  // nanoseconds
std::atomic<bool> is_mad = false;
std::atomic<unsigned long> reads = 0;

constexpr long second = 1'000'000'000;

// Forth by ten years, and back by as much.
time_t jump() noexcept {
  constexpr time_t ten_years = 10 * 365 * 86'400L;
  const unsigned long count = ++reads;
  if (!is_mad) return 0;
  return count % 2 == 0 ? ten_years : -ten_years;
}

}  // namespace

void test::time_passes(std::chrono::nanoseconds time) noexcept { ahead += time.count(); }

test::MadWallClock::MadWallClock() noexcept { is_mad = true; }
test::MadWallClock::~MadWallClock() { is_mad = false; }

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  using Function = int (*)(clockid_t, timespec*);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "clock_gettime"));
  const int result = next(clock, time);
  if (result != 0) return result;
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) time->tv_sec += jump();
  if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE) return 0;
  const long nanoseconds = time->tv_nsec + ahead % second;
  time->tv_sec += ahead / second + nanoseconds / second;
  time->tv_nsec = nanoseconds % second;
  return 0;
}

extern "C" int gettimeofday(timeval* time, void* zone) noexcept {
  using Function = int (*)(timeval*, void*);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "gettimeofday"));
  const int result = next(time, zone);
  time->tv_sec += jump();
  return result;
}

extern "C" time_t time(time_t* where) noexcept {
  using Function = time_t (*)(time_t*);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "time"));
  const time_t now = next(nullptr) + jump();
  if (where != nullptr) *where = now;
  return now;
}
