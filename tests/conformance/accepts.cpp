#include "support/accepts.hpp"

#include <dlfcn.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>

namespace {

std::atomic<int> with = 0;
std::atomic<int> left = 0;
std::atomic<unsigned long> count = 0;

bool fails() noexcept {
  ++count;
  if (left <= 0) return false;
  --left;
  errno = with;
  return true;
}

}  // namespace

void test::fail_accepts(int error, int times) noexcept {
  with = error;
  left = times;
}

int test::accepts_to_fail() noexcept { return left; }

unsigned long test::accepts() noexcept { return count; }

extern "C" int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  using Function = int (*)(int, sockaddr*, socklen_t*, int);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "accept4"));
  return fails() ? -1 : next(fd, address, size, flags);
}

extern "C" int accept(int fd, sockaddr* address, socklen_t* size) {
  using Function = int (*)(int, sockaddr*, socklen_t*);
  static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "accept"));
  return fails() ? -1 : next(fd, address, size);
}
