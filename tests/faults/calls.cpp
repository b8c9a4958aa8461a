// These stand in front of the system's library, for the libraries of the loops as well: a symbol of
// the executable is found before one of theirs.
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>

#include "faults.hpp"

namespace faults {
namespace {

std::atomic<Record*> current = nullptr;

template <typename Function>
Function* next_of(const char* name, Function*) noexcept {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// The fault, if it is this call's turn to have it.
const Fault* due(Call call) noexcept {
  Record* const now = current;
  if (now == nullptr) return nullptr;
  const unsigned count = ++now->made[static_cast<std::size_t>(call)];
  if (now->fault.nth != count || now->fault.call != call) return nullptr;
  now->struck = true;
  errno = now->fault.error;
  return &now->fault;
}

bool fails(Call call) noexcept { return due(call) != nullptr; }

bool is_socket(int fd) noexcept {
  struct stat its {};
  return fstat(fd, &its) == 0 && S_ISSOCK(its.st_mode);
}

// A call that moves bytes: all, none or some of them.
template <typename Do>
ssize_t move(Call call, std::size_t size, Do with) noexcept {
  const Fault* const fault = due(call);
  if (fault == nullptr) return with(size);
  return fault->error != 0 ? -1 : with(std::min(size, fault->most));
}

// The same, of several pieces: of which only the first counts when there are to be less.
template <typename Do>
ssize_t move_pieces(Call call, const iovec* pieces, std::size_t count, Do with) noexcept {
  const Fault* const fault = due(call);
  if (fault == nullptr) return with(pieces, count);
  if (fault->error != 0) return -1;
  const iovec first{pieces->iov_base, std::min(pieces->iov_len, fault->most)};
  return with(&first, 1);
}

}  // namespace

void record(Record* where) noexcept { current = where; }

Unseen::Unseen() noexcept : usual_(current.exchange(nullptr)) {}
Unseen::~Unseen() { current = usual_; }

}  // namespace faults

using faults::Call;
using faults::fails;
using faults::next_of;

extern "C" {

int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  static const auto next = next_of("accept4", &accept4);
  return fails(Call::accept) ? -1 : next(fd, address, size, flags);
}

int bind(int fd, const sockaddr* address, socklen_t size) noexcept {
  static const auto next = next_of("bind", &bind);
  return fails(Call::bind) ? -1 : next(fd, address, size);
}

// It has closed the descriptor, whatever it says.
int close(int fd) {
  static const auto next = next_of("close", &close);
  const faults::Fault* const fault = faults::due(Call::close);
  const int result = next(fd);
  if (fault == nullptr) return result;
  errno = fault->error;
  return -1;
}

int connect(int fd, const sockaddr* address, socklen_t size) {
  static const auto next = next_of("connect", &connect);
  return fails(Call::connect) ? -1 : next(fd, address, size);
}

int epoll_create(int size) noexcept {
  static const auto next = next_of("epoll_create", &epoll_create);
  return fails(Call::epoll_create) ? -1 : next(size);
}

int epoll_create1(int flags) noexcept {
  static const auto next = next_of("epoll_create1", &epoll_create1);
  return fails(Call::epoll_create) ? -1 : next(flags);
}

// Only adding takes what the system may not have.
int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  static const auto next = next_of("epoll_ctl", &epoll_ctl);
  const bool fault = operation == EPOLL_CTL_ADD && fails(Call::epoll_ctl);
  return fault ? -1 : next(epoll, operation, fd, event);
}

int epoll_wait(int epoll, epoll_event* events, int size, int timeout) {
  static const auto next = next_of("epoll_wait", &epoll_wait);
  return fails(Call::epoll_wait) ? -1 : next(epoll, events, size, timeout);
}

int epoll_pwait(int epoll, epoll_event* events, int size, int timeout, const sigset_t* mask) {
  static const auto next = next_of("epoll_pwait", &epoll_pwait);
  return fails(Call::epoll_wait) ? -1 : next(epoll, events, size, timeout, mask);
}

int eventfd(unsigned count, int flags) noexcept {
  static const auto next = next_of("eventfd", &eventfd);
  return fails(Call::eventfd) ? -1 : next(count, flags);
}

int fcntl(int fd, int command, ...) {
  static const auto next = next_of("fcntl", &fcntl);
  va_list rest;
  va_start(rest, command);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  return fails(Call::fcntl) ? -1 : next(fd, command, argument);
}

int fcntl64(int fd, int command, ...) {
  static const auto next = next_of("fcntl64", &fcntl64);
  va_list rest;
  va_start(rest, command);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  return fails(Call::fcntl) ? -1 : next(fd, command, argument);
}

int getaddrinfo(const char* host, const char* port, const addrinfo* hints, addrinfo** found) {
  static const auto next = next_of("getaddrinfo", &getaddrinfo);
  const faults::Fault* const fault = faults::due(Call::getaddrinfo);
  if (fault == nullptr) return next(host, port, hints, found);
  errno = ENFILE;  // for EAI_SYSTEM
  return fault->error;
}

int getpeername(int fd, sockaddr* address, socklen_t* size) noexcept {
  static const auto next = next_of("getpeername", &getpeername);
  return fails(Call::getpeername) ? -1 : next(fd, address, size);
}

int getsockname(int fd, sockaddr* address, socklen_t* size) noexcept {
  static const auto next = next_of("getsockname", &getsockname);
  return fails(Call::getsockname) ? -1 : next(fd, address, size);
}

int getsockopt(int fd, int level, int name, void* value, socklen_t* size) noexcept {
  static const auto next = next_of("getsockopt", &getsockopt);
  return fails(Call::getsockopt) ? -1 : next(fd, level, name, value, size);
}

int ioctl(int fd, unsigned long request, ...) noexcept {
  static const auto next = next_of("ioctl", &ioctl);
  va_list rest;
  va_start(rest, request);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  return fails(Call::ioctl) ? -1 : next(fd, request, argument);
}

int listen(int fd, int backlog) noexcept {
  static const auto next = next_of("listen", &listen);
  return fails(Call::listen) ? -1 : next(fd, backlog);
}

int pipe2(int* ends, int flags) noexcept {
  static const auto next = next_of("pipe2", &pipe2);
  return fails(Call::pipe) ? -1 : next(ends, flags);
}

int poll(pollfd* polled, nfds_t size, int timeout) {
  static const auto next = next_of("poll", &poll);
  return fails(Call::poll) ? -1 : next(polled, size, timeout);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  static const auto next = next_of("pthread_create", &pthread_create);
  const bool fault = fails(Call::pthread_create);
  return fault ? errno : next(thread, attributes, start, argument);
}

ssize_t read(int fd, void* bytes, std::size_t size) {
  static const auto next = next_of("read", &read);
  const Call call = faults::is_socket(fd) ? Call::read : Call::read_wake_up;
  return faults::move(call, size, [=](std::size_t most) { return next(fd, bytes, most); });
}

ssize_t recv(int fd, void* bytes, std::size_t size, int flags) {
  static const auto next = next_of("recv", &recv);
  return faults::move(Call::recv, size,
                      [=](std::size_t most) { return next(fd, bytes, most, flags); });
}

ssize_t send(int fd, const void* bytes, std::size_t size, int flags) {
  static const auto next = next_of("send", &send);
  return faults::move(Call::send, size,
                      [=](std::size_t most) { return next(fd, bytes, most, flags); });
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static const auto next = next_of("sendmsg", &sendmsg);
  return faults::move_pieces(Call::sendmsg, message->msg_iov, message->msg_iovlen,
                             [=](const iovec* pieces, std::size_t count) {
                               msghdr less = *message;
                               less.msg_iov = const_cast<iovec*>(pieces);
                               less.msg_iovlen = count;
                               return next(fd, &less, flags);
                             });
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  static const auto next = next_of("setsockopt", &setsockopt);
  return fails(Call::setsockopt) ? -1 : next(fd, level, name, value, size);
}

int shutdown(int fd, int how) noexcept {
  static const auto next = next_of("shutdown", &shutdown);
  return fails(Call::shutdown) ? -1 : next(fd, how);
}

int socket(int family, int type, int protocol) noexcept {
  static const auto next = next_of("socket", &socket);
  return fails(Call::socket) ? -1 : next(family, type, protocol);
}

int timerfd_create(clockid_t clock, int flags) noexcept {
  static const auto next = next_of("timerfd_create", &timerfd_create);
  return fails(Call::timerfd_create) ? -1 : next(clock, flags);
}

int timerfd_settime(int fd, int flags, const itimerspec* time, itimerspec* before) noexcept {
  static const auto next = next_of("timerfd_settime", &timerfd_settime);
  return fails(Call::timerfd_settime) ? -1 : next(fd, flags, time, before);
}

ssize_t write(int fd, const void* bytes, std::size_t size) {
  static const auto next = next_of("write", &write);
  const Call call = faults::is_socket(fd) ? Call::write : Call::write_wake_up;
  return faults::move(call, size, [=](std::size_t most) { return next(fd, bytes, most); });
}

ssize_t writev(int fd, const iovec* pieces, int count) {
  static const auto next = next_of("writev", &writev);
  return faults::move_pieces(
      Call::writev, pieces, static_cast<std::size_t>(count),
      [=](const iovec* some, std::size_t size) { return next(fd, some, static_cast<int>(size)); });
}

}  // extern "C"
