// The sockets of the floors that are written by hand: plain system calls, and nothing of timtow.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "../program.hpp"

namespace bench {

// For all: what is read is sent, or copied, before the next read.
inline std::array<char, 256 * 1024> buffer;

// Of a system call, which has set errno.
[[noreturn]] inline void fail_call(const std::string& what) {
  const char* advice = "";
  if (errno == EMFILE) advice = "; raise ulimit -n";
  if (errno == EADDRINUSE) advice = "; choose another port";
  fail(what + ": " + std::strerror(errno) + advice);
}

// Listens on a loopback port and announces it. What is accepted inherits TCP_NODELAY.
inline int listen_on(std::uint16_t port) {
  constexpr int on = 1;
  sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (bind(listener, any, size) != 0 || listen(listener, SOMAXCONN) != 0 ||
      getsockname(listener, any, &size) != 0)
    fail_call("cannot listen on port " + std::to_string(port));
  announce(ntohs(address.sin_port));
  return listener;
}

// One connection a wake-up: asking for another only to find that there is none is a call too many.
// -1 when whoever wanted to connect is gone again.
inline int accept_from(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
    fail_call("cannot accept");
  return fd;
}

struct Peer {
  int fd = -1;
  std::vector<char> waiting{};  // what it has not taken at once, ...
  std::size_t sent = 0;         // ... and how much of that it has taken since
};

// The three return false when the connection is over.

// What one read finds, in the shared buffer; nothing if there was nothing after all.
inline bool read_some(const Peer& peer, std::string_view& bytes) {
  const ssize_t count = recv(peer.fd, buffer.data(), buffer.size(), 0);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  bytes = {buffer.data(), static_cast<std::size_t>(count)};
  return count > 0;
}

// Sends what the peer takes, and keeps the rest.
inline bool send_some(Peer& peer, std::string_view bytes) {
  if (bytes.empty()) return true;
  if (peer.waiting.empty()) {
    const ssize_t count = send(peer.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return false;
    bytes.remove_prefix(static_cast<std::size_t>(std::max(count, ssize_t{0})));
  }
  peer.waiting.insert(peer.waiting.end(), bytes.begin(), bytes.end());
  return true;
}

// Sends of what waits what the peer takes now, and gives the memory back when that was all.
inline bool send_waiting(Peer& peer) {
  const std::string_view rest =
      std::string_view{peer.waiting.data(), peer.waiting.size()}.substr(peer.sent);
  const ssize_t count = send(peer.fd, rest.data(), rest.size(), MSG_NOSIGNAL);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  peer.sent += static_cast<std::size_t>(count);
  if (peer.sent == peer.waiting.size()) {
    peer.waiting = std::vector<char>{};
    peer.sent = 0;
  }
  return true;
}

}  // namespace bench
