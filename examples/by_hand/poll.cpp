// A WebSocket echo server by hand: a bare Session on poll(), and nothing else of timtow. It serves
// one connection and exits when that is over.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "timtow/session.hpp"

int main(int argc, char** argv) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 9001));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, any, size) != 0 || listen(listener, 1) != 0) return std::perror("listen"), 1;
  getsockname(listener, any, &size);
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  const int peer = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
  if (peer < 0) return std::perror("accept"), 1;

  timtow::Pool pool;
  timtow::Session ws{timtow::Role::server, pool};
  while (!ws.finished()) {
    const auto now = timtow::Clock::now();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(ws.deadline(now) - now);
    const int events = (ws.wants_read() ? POLLIN : 0) | (ws.output_size() > 0 ? POLLOUT : 0);
    pollfd ready{.fd = peer, .events = static_cast<short>(events), .revents = 0};
    poll(&ready, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    ws.expire(timtow::Clock::now());

    std::byte buffer[16 * 1024];
    if ((ready.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      const ssize_t count = recv(peer, buffer, sizeof buffer, 0);
      if (count > 0) ws.receive({buffer, static_cast<std::size_t>(count)});
      if (count == 0) ws.end_of_input();
      if (count < 0 && errno != EAGAIN) ws.lost({errno, std::system_category()});
    }
    while (const auto event = ws.next()) {
      if (event->request() != nullptr) {
        if (ws.accept()) ws.reject(426, "Only WebSockets are spoken here.\n");
      } else if (const auto* message = event->message()) {
        ws.send(*message);
      }
    }
    while (ws.output_size() > 0) {
      const timtow::Bytes bytes = ws.output().front();
      const ssize_t count = send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN) ws.lost({errno, std::system_category()});
      if (count < 0) break;
      ws.sent(static_cast<std::size_t>(count));
    }
    if (ws.wants_shutdown() && ws.output_size() == 0) shutdown(peer, SHUT_WR);
  }
  close(peer);
}
