// The calls by which loops wait, counted on their way to the system's library. A loop that spins
// shows here however fast or slow the machine is.
#include "support/waits.hpp"

#include <dlfcn.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include <atomic>

namespace {

std::atomic<unsigned long> count = 0;
std::atomic<unsigned long> last_size = 0;

template <typename Function>
Function next_one(const char* name) noexcept {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

unsigned long test::waits() noexcept { return count; }

unsigned long test::poll_size() noexcept { return last_size; }

extern "C" int poll(pollfd* fds, nfds_t size, int timeout) {
  static const auto next = next_one<int (*)(pollfd*, nfds_t, int)>("poll");
  ++count;
  last_size = size;
  return next(fds, size, timeout);
}

extern "C" int epoll_wait(int fd, epoll_event* events, int size, int timeout) {
  static const auto next = next_one<int (*)(int, epoll_event*, int, int)>("epoll_wait");
  ++count;
  return next(fd, events, size, timeout);
}

extern "C" int epoll_pwait(int fd, epoll_event* events, int size, int timeout,
                           const sigset_t* mask) {
  static const auto next =
      next_one<int (*)(int, epoll_event*, int, int, const sigset_t*)>("epoll_pwait");
  ++count;
  return next(fd, events, size, timeout, mask);
}

extern "C" int select(int size, fd_set* read, fd_set* write, fd_set* except, timeval* timeout) {
  static const auto next = next_one<int (*)(int, fd_set*, fd_set*, fd_set*, timeval*)>("select");
  ++count;
  return next(size, read, write, except, timeout);
}
