// What operator new is asked for, and how it may fail. The operators are in
// session_memory_test.cpp.
#pragma once

#include <cstddef>

namespace test {

struct Allocation {
  static inline std::size_t count = 0;    // calls so far
  static inline std::size_t fail_at = 0;  // the call from now on that fails: 1 is the next; 0 none
  static inline bool lasting = false;     // and all that follow it
  static inline bool failed = false;

  // For the operators: whether this call fails.
  static bool fails() noexcept {
    ++count;
    if (fail_at == 0) return false;
    if (fail_at > 1) return --fail_at, false;
    if (!lasting) fail_at = 0;
    return failed = true;
  }

  // Calls that `work` makes.
  template <typename Work>
  static std::size_t count_in(Work&& work) {
    const std::size_t before = count;
    work();
    return count - before;
  }

  // Whether the n-th call in `work` was reached, and so failed.
  template <typename Work>
  static bool fail_in(std::size_t n, Work&& work) {
    failed = false;
    fail_at = n;
    work();
    fail_at = 0;
    return failed;
  }

  // The same, and all calls behind it fail too.
  template <typename Work>
  static bool fail_from(std::size_t n, Work&& work) {
    lasting = true;
    fail_in(n, work);
    lasting = false;
    return failed;
  }
};

}  // namespace test
