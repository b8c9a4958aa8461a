// How often a loop has waited for something to happen.
#pragma once

namespace test {

// Calls of poll(), epoll_wait() and their like so far, in the whole process.
unsigned long waits() noexcept;

}  // namespace test
