// What operator new is asked for, and how it may fail. The operators are in allocation.cpp: apart,
// or compilers look into them and see a free() that matches no new.
#pragma once

#include <cstddef>
#include <new>
#include <string_view>

namespace test {

struct Allocation {
  // Each thread has its own: calls so far; the call from now on that fails, 1 being the next, or 0;
  // whether all that follow it fail too; whether one has failed.
  static inline thread_local std::size_t count = 0;
  static inline thread_local std::size_t fail_at = 0;
  static inline thread_local bool lasting = false;
  static inline thread_local bool failed = false;

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

  // The same while this peer sends; it ends when the call that failed was its own.
  template <typename Peer>
  static bool fail_in_sending(std::size_t n, Peer& peer, std::string_view bytes) {
    return fail_in(n, [&] {
      try {
        peer.sends(bytes);
      } catch (const std::bad_alloc&) {
        peer.ends();
      }
    });
  }

  // The same as fail_in(), and all calls behind it fail too.
  template <typename Work>
  static bool fail_from(std::size_t n, Work&& work) {
    lasting = true;
    fail_in(n, work);
    lasting = false;
    return failed;
  }
};

}  // namespace test
