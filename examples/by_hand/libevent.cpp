// A WebSocket echo server by hand: libevent, and a bare Session for each connection. A bufferevent
// reads and writes on its own; it is given no more than one write at a time, so that what waits,
// waits in the session, which knows when that is too much.
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <csignal>
#include <utility>

#include "echo.hpp"

namespace {

using namespace example;

struct Peer {
  bufferevent* stream = nullptr;
  event* timer = nullptr;
  std::size_t writing = 0;
  timtow::Session ws{timtow::Role::server, pool};
};

// What the socket does not take now waits in the bufferevent, and the rest behind it.
void flush(Peer& peer) {
  if (peer.writing > 0) return;
  const timtow::Bytes bytes = next_write(peer.ws);
  peer.writing = bytes.size();
  if (!bytes.empty()) bufferevent_write(peer.stream, bytes.data(), bytes.size());
  if (bytes.empty() && peer.ws.wants_shutdown()) shutdown(bufferevent_getfd(peer.stream), SHUT_WR);
}

// Whatever happened to a peer ends here.
void serve(Peer& peer) {
  peer.ws.expire(timtow::Clock::now());
  echo(peer.ws);
  flush(peer);
  if (!peer.ws.finished()) {
    (peer.ws.wants_read() ? bufferevent_enable : bufferevent_disable)(peer.stream, EV_READ);
    const auto left = time_left<std::chrono::microseconds>(peer.ws).count();
    const timeval time{.tv_sec = left / 1'000'000, .tv_usec = left % 1'000'000};
    evtimer_add(peer.timer, &time);
    return;
  }
  event_free(peer.timer);
  bufferevent_free(peer.stream);
  delete &peer;
}

void on_readable(bufferevent* stream, void* data) {
  Peer& peer = *static_cast<Peer*>(data);
  peer.ws.receive({buffer, bufferevent_read(stream, buffer, sizeof buffer)});
  serve(peer);
}

void on_written(bufferevent*, void* data) {
  Peer& peer = *static_cast<Peer*>(data);
  peer.ws.sent(std::exchange(peer.writing, 0));
  serve(peer);
}

void on_event(bufferevent*, short what, void* data) {
  Peer& peer = *static_cast<Peer*>(data);
  if ((what & BEV_EVENT_EOF) != 0) peer.ws.end_of_input();
  if ((what & BEV_EVENT_ERROR) != 0) peer.ws.lost({errno, std::system_category()});
  serve(peer);
}

void on_deadline(int, short, void* data) { serve(*static_cast<Peer*>(data)); }

void on_connection(evconnlistener* listener, int fd, sockaddr*, int, void*) {
  send_at_once(fd);
  event_base* const base = evconnlistener_get_base(listener);
  auto* const peer = new Peer;
  peer->stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
  peer->timer = evtimer_new(base, on_deadline, peer);
  bufferevent_setwatermark(peer->stream, EV_READ, 0, sizeof buffer);  // no more than fits
  bufferevent_setcb(peer->stream, on_readable, on_written, on_event, peer);
  serve(*peer);
}

// No descriptors left, perhaps: the listener stays readable, so it has to rest.
void on_accept_error(evconnlistener* listener, void*) {
  evconnlistener_disable(listener);
  const auto rested = [](int, short, void* data) {
    evconnlistener_enable(static_cast<evconnlistener*>(data));
  };
  const timeval rest{.tv_sec = 0, .tv_usec = 100'000};
  event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, rested, listener, &rest);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  event_base* const base = event_base_new();
  evconnlistener* const listener = evconnlistener_new(
      base, on_connection, nullptr, LEV_OPT_CLOSE_ON_EXEC, SOMAXCONN, make_listener(argc, argv));
  evconnlistener_set_error_cb(listener, on_accept_error);
  event_base_dispatch(base);
}
