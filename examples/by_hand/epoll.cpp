// A WebSocket echo server by hand: epoll, and a bare Session for each connection. Only those that
// are ready cost anything, so deadlines are looked at once a second and not at each wait.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>

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
const int epoll = epoll_create1(EPOLL_CLOEXEC);

void watch(int operation, int fd, unsigned events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  epoll_ctl(epoll, operation, fd, &event);
}

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
  if (!peer.ws.finished()) {
    const unsigned read = peer.ws.wants_read() ? EPOLLIN : 0U;
    const unsigned write = peer.ws.output_size() > 0 ? EPOLLOUT : 0U;
    return watch(EPOLL_CTL_MOD, peer.fd, read | write);
  }
  close(peer.fd);
  peers.erase(peer.fd);
}

void on_connection(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0)  // no descriptors left, perhaps: the listener stays readable, so it has to rest
    return watch(EPOLL_CTL_MOD, listener, 0);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  watch(EPOLL_CTL_ADD, fd, EPOLLIN);
  peers[fd].fd = fd;
}

void on_tick(int listener) {
  const auto now = timtow::Clock::now();
  for (auto next = peers.begin(); next != peers.end();) {
    Peer& peer = (next++)->second;  // serve() may erase it
    peer.ws.expire(now);
    serve(peer);
  }
  watch(EPOLL_CTL_MOD, listener, EPOLLIN);
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

  watch(EPOLL_CTL_ADD, listener, EPOLLIN);
  timtow::TimePoint tick;
  while (true) {
    epoll_event ready[64];
    const int count = epoll_wait(epoll, ready, std::size(ready), 1000);
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.fd == listener) {
        on_connection(listener);
      } else {
        Peer& peer = peers.at(ready[i].data.fd);
        if ((ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) on_readable(peer);
        serve(peer);
      }
    }
    if (timtow::Clock::now() >= tick) {
      tick = timtow::Clock::now() + std::chrono::seconds{1};
      on_tick(listener);
    }
  }
}
