// How often a loop has waited for something to happen.
#pragma once

namespace test {

// Calls of poll(), epoll_wait() and their like so far, in the whole process.
unsigned long waits() noexcept;

// How many descriptors the last call of poll() was given; 0 for loops that do not call it.
unsigned long poll_size() noexcept;

}  // namespace test
