// The system calls of a process, counted on their way to the system's library, its loop's library's
// among them; and one of them that fails.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <string_view>

namespace faults {

// Reading and writing are told apart: on sockets, and on what wakes a loop up.
enum class Call {
  accept,
  bind,
  close,
  connect,
  epoll_create,
  epoll_ctl,
  epoll_wait,
  eventfd,
  fcntl,
  getaddrinfo,
  getpeername,
  getsockname,
  getsockopt,
  ioctl,
  listen,
  pipe,
  poll,
  pthread_create,
  read,
  read_wake_up,
  recv,
  send,
  sendmsg,
  setsockopt,
  shutdown,
  socket,
  timerfd_create,
  timerfd_settime,
  write,
  write_wake_up,
  writev,
};
// As they are named in tests: accept4() is accept, epoll_pwait() is epoll_wait, and so on.
inline constexpr std::array<std::string_view, 31> names = {
    "accept",      "bind",           "close",           "connect",    "epoll_create",
    "epoll_ctl",   "epoll_wait",     "eventfd",         "fcntl",      "getaddrinfo",
    "getpeername", "getsockname",    "getsockopt",      "ioctl",      "listen",
    "pipe",        "poll",           "pthread_create",  "read",       "read_wake_up",
    "recv",        "send",           "sendmsg",         "setsockopt", "shutdown",
    "socket",      "timerfd_create", "timerfd_settime", "write",      "write_wake_up",
    "writev",
};

// What happens to one call.
struct Fault {
  Call call{};
  unsigned nth = 0;      // 1 is the first; 0 is none
  int error = 0;         // an errno (of getaddrinfo() what it returns); 0: it does less instead,
  std::size_t most = 0;  // so many bytes
};

// What is known of the calls, in memory that a process shares with its children.
struct Record {
  std::array<std::atomic<unsigned>, names.size()> made = {};
  Fault fault;
  std::atomic<bool> struck = false;  // the call that is to fail was made
};

// From now on the calls of this process are recorded, unless it is null, as it is at first.
void record(Record* where) noexcept;

// What the test's own code does meanwhile is none of it.
class Unseen {
 public:
  Unseen() noexcept;
  ~Unseen();
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;

 private:
  Record* usual_;
};

}  // namespace faults
