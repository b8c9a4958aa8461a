// A WebSocket echo server by hand: libev, and a bare Session for each connection. A connection is
// two watchers, ev_io and ev_timer, which its session starts and stops.
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "timtow/session.hpp"

namespace {

constexpr int on = 1;
timtow::Pool pool;
std::byte buffer[16 * 1024];  // for all of them: what is read is used up before the next read

struct Peer {
  ev_io io;
  ev_timer timer;
  timtow::Session ws{timtow::Role::server, pool};
};

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
    const ssize_t count = send(peer.io.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) peer.ws.lost({errno, std::system_category()});
    if (count < 0) return;
    peer.ws.sent(static_cast<std::size_t>(count));
  }
  if (peer.ws.wants_shutdown()) shutdown(peer.io.fd, SHUT_WR);
}

void on_readable(Peer& peer) {
  const ssize_t count = recv(peer.io.fd, buffer, sizeof buffer, 0);
  if (count > 0) peer.ws.receive({buffer, static_cast<std::size_t>(count)});
  if (count == 0) peer.ws.end_of_input();
  if (count < 0 && errno != EAGAIN) peer.ws.lost({errno, std::system_category()});
}

// Whatever happened to a peer ends here.
void serve(struct ev_loop* loop, Peer& peer) {
  echo(peer.ws);
  flush(peer);
  ev_io_stop(loop, &peer.io);
  if (!peer.ws.finished()) {
    const int read = peer.ws.wants_read() ? EV_READ : 0;
    const int write = peer.ws.output_size() > 0 ? EV_WRITE : 0;
    ev_io_modify(&peer.io, read | write);
    ev_io_start(loop, &peer.io);
    const auto now = timtow::Clock::now();
    const std::chrono::duration<double> left = peer.ws.deadline(now) - now;
    peer.timer.repeat = std::max(left.count(), 0.001);
    return ev_timer_again(loop, &peer.timer);
  }
  ev_timer_stop(loop, &peer.timer);
  close(peer.io.fd);
  delete &peer;
}

void on_ready(struct ev_loop* loop, ev_io* io, int events) {
  Peer& peer = *static_cast<Peer*>(io->data);
  if ((events & EV_READ) != 0) on_readable(peer);
  serve(loop, peer);
}

void on_deadline(struct ev_loop* loop, ev_timer* timer, int) {
  Peer& peer = *static_cast<Peer*>(timer->data);
  peer.ws.expire(timtow::Clock::now());
  serve(loop, peer);
}

void on_connection(struct ev_loop* loop, ev_io* io, int) {
  const int fd = accept4(io->fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {  // no descriptors left, perhaps: the listener stays readable, so it has to rest
    ev_io_stop(loop, io);
    return ev_timer_again(loop, static_cast<ev_timer*>(io->data));
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto* const peer = new Peer;
  peer->io.data = peer->timer.data = peer;
  ev_io_init(&peer->io, on_ready, fd, EV_READ);
  ev_init(&peer->timer, on_deadline);
  serve(loop, *peer);
}

void on_rested(struct ev_loop* loop, ev_timer* timer, int) {
  ev_timer_stop(loop, timer);
  ev_io_start(loop, static_cast<ev_io*>(timer->data));
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

  struct ev_loop* const loop = ev_default_loop();
  ev_io acceptable;
  ev_timer rest;
  ev_io_init(&acceptable, on_connection, listener, EV_READ);
  ev_timer_init(&rest, on_rested, 0, 0.1);
  acceptable.data = &rest;
  rest.data = &acceptable;
  ev_io_start(loop, &acceptable);
  ev_run(loop);
}
