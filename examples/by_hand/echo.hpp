// What has nothing to do with the loop, and is the same in each of these servers but poll.cpp,
// which is whole by itself.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "timtow/session.hpp"

namespace example {

inline timtow::Pool pool;
inline std::byte buffer[64 * 1024];  // for all: what is read is used up before the next read

// Answers what came.
inline void echo(timtow::Session& ws) {
  while (const auto event = ws.next()) {
    if (event->request() != nullptr) {
      if (ws.accept()) ws.reject(426, "Only WebSockets are spoken here.\n");
    } else if (const auto* message = event->message()) {
      ws.send(*message);
    }
  }
}

// What to write next, or nothing, to a loop that tells of a write when all of it is done: a part of
// the output at a time, for to the session each is progress.
inline timtow::Bytes next_write(const timtow::Session& ws) {
  constexpr std::size_t most = 64 * 1024;
  if (ws.output_size() == 0) return {};
  const timtow::Bytes bytes = ws.output().front();
  return bytes.first(std::min(bytes.size(), most));
}

// Until the session's deadline; zero when it has passed.
template <typename Unit>
Unit time_left(timtow::Session& ws) {
  const auto now = timtow::Clock::now();
  return std::max(std::chrono::ceil<Unit>(ws.deadline(now) - now), Unit::zero());
}

// Listens on the loopback port of the command line, says on which, and returns the descriptor.
inline int make_listener(int argc, char** argv) {
  constexpr int on = 1;
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 9001);
  sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, any, size) != 0 || listen(listener, SOMAXCONN) != 0) {
    std::perror("listen");
    std::exit(1);
  }
  getsockname(listener, any, &size);
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return listener;
}

// Lets small writes leave without waiting for more.
inline void send_at_once(int fd) {
  constexpr int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Reading and writing, where the loop tells which descriptors are ready, and no more.

inline void read(int fd, timtow::Session& ws) {
  const ssize_t count = recv(fd, buffer, sizeof buffer, 0);
  if (count > 0) ws.receive({buffer, static_cast<std::size_t>(count)});
  if (count == 0) ws.end_of_input();
  if (count < 0 && errno != EAGAIN) ws.lost({errno, std::system_category()});
}

// What the socket does not take now waits in the session until it is writable.
inline void flush(int fd, timtow::Session& ws) {
  while (ws.output_size() > 0) {
    const timtow::Bytes bytes = ws.output().front();
    const ssize_t count = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) ws.lost({errno, std::system_category()});
    if (count < 0) return;
    ws.sent(static_cast<std::size_t>(count));
  }
  if (ws.wants_shutdown()) shutdown(fd, SHUT_WR);
}

}  // namespace example
