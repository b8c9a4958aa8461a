// A WebSocket echo server by hand: libev, and a bare Session for each connection. A connection is
// two watchers, ev_io and ev_timer, which its session starts and stops.
#include <ev.h>
#include <unistd.h>

#include "echo.hpp"

namespace {

using namespace example;
using Seconds = std::chrono::duration<double>;

struct Peer {
  ev_io io;
  ev_timer timer;
  timtow::Session ws{timtow::Role::server, pool};
};

// Whatever happened to a peer ends here.
void serve(struct ev_loop* loop, Peer& peer) {
  peer.ws.expire(timtow::Clock::now());
  echo(peer.ws);
  flush(peer.io.fd, peer.ws);
  ev_io_stop(loop, &peer.io);
  if (!peer.ws.finished()) {
    const int read = peer.ws.wants_read() ? EV_READ : 0;
    const int write = peer.ws.output_size() > 0 ? EV_WRITE : 0;
    ev_io_modify(&peer.io, read | write);
    ev_io_start(loop, &peer.io);
    peer.timer.repeat = std::max(time_left<Seconds>(peer.ws).count(), 0.001);
    return ev_timer_again(loop, &peer.timer);
  }
  ev_timer_stop(loop, &peer.timer);
  close(peer.io.fd);
  delete &peer;
}

void on_ready(struct ev_loop* loop, ev_io* io, int events) {
  Peer& peer = *static_cast<Peer*>(io->data);
  if ((events & EV_READ) != 0) read(peer.io.fd, peer.ws);
  serve(loop, peer);
}

void on_deadline(struct ev_loop* loop, ev_timer* timer, int) {
  serve(loop, *static_cast<Peer*>(timer->data));
}

void on_connection(struct ev_loop* loop, ev_io* io, int) {
  const int fd = accept4(io->fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {  // no descriptors left, perhaps: the listener stays readable, so it has to rest
    ev_io_stop(loop, io);
    return ev_timer_again(loop, static_cast<ev_timer*>(io->data));
  }
  send_at_once(fd);
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
  const int listener = make_listener(argc, argv);
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
