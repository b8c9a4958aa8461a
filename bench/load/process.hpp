// What the server's process has used, as the system counts it.
#pragma once

#include <cstdint>
#include <optional>

#include <sys/types.h>

#include "clock.hpp"

namespace load {

// Sums since the process began; two of them are subtracted.
struct Usage {
  Time at = 0;
  Time own_cpu = 0;  // this program's
  Time cpu = 0;      // the server's: all threads, exact
  // The split of it is only counted in ticks of 10 ms.
  std::int64_t user_ticks = 0;
  std::int64_t system_ticks = 0;
  std::int64_t voluntary_switches = 0;
  std::int64_t involuntary_switches = 0;
};

struct Memory {
  std::int64_t rss = 0;             // bytes
  std::int64_t private_memory = 0;  // bytes that no other process shares
};

// Process 0 is none: its usage is zero, and it has no memory to tell of.
class Process {
 public:
  explicit Process(pid_t pid);

  bool known() const { return pid_ != 0; }
  Usage usage() const;
  std::optional<Memory> memory() const;

  // Waits until it uses no CPU time any more, for a second at most.
  void rest() const;

 private:
  Time cpu() const { return known() ? read_clock(clock_) : 0; }

  pid_t pid_;
  clockid_t clock_{};
};

}  // namespace load
