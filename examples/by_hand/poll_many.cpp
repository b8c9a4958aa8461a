// A WebSocket echo server by hand: poll(), and a bare Session for each connection. poll() is told
// of all of them each time, so each time all their deadlines are looked at as well.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include "timtow/session.hpp"

namespace {

constexpr int on = 1;
timtow::Pool pool;
std::byte buffer[16 * 1024];  // for all of them: what is read is used up before the next read

struct Peer {
  int fd = -1;
  timtow::Session ws{timtow::Role::server, pool};
};
std::map<int, Peer> peers;
timtow::TimePoint accept_at;

void echo(timtow::Session& ws) {
  while (const auto event = ws.next()) {
    if (event->request() != nullptr) {
      if (ws.accept()) ws.reject(426, "Only WebSockets are spoken here.\n");
    } else if (const auto* message = event->message()) {
      ws.send(*message);
    }
  }
}

// What the socket does not take now waits until it is writable.
void flush(Peer& peer) {
  while (peer.ws.output_size() > 0) {
    const timtow::Bytes bytes = peer.ws.output().front();
    const ssize_t count = send(peer.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) peer.ws.lost({errno, std::system_category()});
    if (count < 0) return;
    peer.ws.sent(static_cast<std::size_t>(count));
  }
  if (peer.ws.wants_shutdown()) shutdown(peer.fd, SHUT_WR);
}

void on_readable(Peer& peer) {
  const ssize_t count = recv(peer.fd, buffer, sizeof buffer, 0);
  if (count > 0) peer.ws.receive({buffer, static_cast<std::size_t>(count)});
  if (count == 0) peer.ws.end_of_input();
  if (count < 0 && errno != EAGAIN) peer.ws.lost({errno, std::system_category()});
}

// Whatever happened to a peer ends here.
void serve(Peer& peer) {
  echo(peer.ws);
  flush(peer);
  if (!peer.ws.finished()) return;
  close(peer.fd);
  peers.erase(peer.fd);
}

void on_connection(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {  // no descriptors left, perhaps: the listener stays readable, so it has to rest
    accept_at = timtow::Clock::now() + std::chrono::milliseconds{100};
    return;
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  peers[fd].fd = fd;
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 9001);
  sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, any, size) != 0 || listen(listener, SOMAXCONN) != 0)
    return std::perror("listen"), 1;
  getsockname(listener, any, &size);
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);

  std::vector<pollfd> polled;
  while (true) {
    auto now = timtow::Clock::now();
    const bool resting = now < accept_at;
    auto deadline = resting ? accept_at : timtow::never;
    polled.assign(1, {.fd = resting ? -1 : listener, .events = POLLIN, .revents = 0});
    for (auto& [fd, peer] : peers) {
      const int read = peer.ws.wants_read() ? POLLIN : 0;
      const int write = peer.ws.output_size() > 0 ? POLLOUT : 0;
      polled.push_back({.fd = fd, .events = static_cast<short>(read | write), .revents = 0});
      deadline = std::min(deadline, peer.ws.deadline(now));
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
    poll(polled.data(), polled.size(), static_cast<int>(std::clamp<long long>(left, 0, 60'000)));
    now = timtow::Clock::now();
    for (const pollfd& found : polled) {
      if (found.fd < 0 || found.fd == listener) continue;
      Peer& peer = peers.at(found.fd);
      if ((found.revents & (POLLIN | POLLHUP | POLLERR)) != 0) on_readable(peer);
      peer.ws.expire(now);
      serve(peer);
    }
    if (polled[0].revents != 0) on_connection(listener);
  }
}
