// accept() that is counted, and fails as a test wants it to.
#pragma once

namespace test {

// The next `times` calls of accept4() and accept(), in the whole process, fail with this errno.
void fail_accepts(int error, int times) noexcept;
// How many of them are still to come.
int accepts_to_fail() noexcept;
// How often they were called.
unsigned long accepts() noexcept;

}  // namespace test
