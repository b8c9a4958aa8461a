// A WebSocket echo server by hand: libevent, and a bare Session for each connection. A bufferevent
// reads and writes on its own; it is given no more than one write at a time, so that what waits,
// waits in the session, which knows when that is too much.
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "timtow/session.hpp"

namespace {

constexpr int on = 1;
// A write is told of when all of it is done, and to a session that is progress: so a part at a
// time.
constexpr std::size_t largest_write = 64 * 1024;
timtow::Pool pool;

struct Peer {
  bufferevent* stream = nullptr;
  event* timer = nullptr;
  std::size_t writing = 0;
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

void serve(Peer& peer);

// What the socket does not take now waits in the bufferevent, and the rest behind it.
void flush(Peer& peer) {
  if (peer.writing > 0) return;
  if (peer.ws.output_size() > 0) {
    const timtow::Bytes bytes = peer.ws.output().front();
    peer.writing = std::min(bytes.size(), largest_write);
    bufferevent_write(peer.stream, bytes.data(), peer.writing);
  } else if (peer.ws.wants_shutdown()) {
    shutdown(bufferevent_getfd(peer.stream), SHUT_WR);
  }
}

void on_readable(bufferevent* stream, void* data) {
  Peer& peer = *static_cast<Peer*>(data);
  evbuffer* const input = bufferevent_get_input(stream);
  const std::size_t size = evbuffer_get_length(input);
  peer.ws.receive({reinterpret_cast<std::byte*>(evbuffer_pullup(input, -1)), size});
  echo(peer.ws);
  evbuffer_drain(input, size);
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

void on_deadline(int, short, void* data) {
  Peer& peer = *static_cast<Peer*>(data);
  peer.ws.expire(timtow::Clock::now());
  serve(peer);
}

// Whatever happened to a peer ends here.
void serve(Peer& peer) {
  echo(peer.ws);
  flush(peer);
  if (!peer.ws.finished()) {
    (peer.ws.wants_read() ? bufferevent_enable : bufferevent_disable)(peer.stream, EV_READ);
    const auto now = timtow::Clock::now();
    const auto left = std::chrono::ceil<std::chrono::microseconds>(peer.ws.deadline(now) - now);
    const long long microseconds = std::max<long long>(left.count(), 0);
    const timeval time{.tv_sec = microseconds / 1'000'000, .tv_usec = microseconds % 1'000'000};
    evtimer_add(peer.timer, &time);
    return;
  }
  event_free(peer.timer);
  bufferevent_free(peer.stream);
  delete &peer;
}

void on_connection(evconnlistener* listener, int fd, sockaddr*, int, void*) {
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  event_base* const base = evconnlistener_get_base(listener);
  auto* const peer = new Peer;
  peer->stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
  peer->timer = evtimer_new(base, on_deadline, peer);
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
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 9001);
  sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  event_base* const base = event_base_new();
  constexpr unsigned options = LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC;
  evconnlistener* const listener = evconnlistener_new_bind(base, on_connection, nullptr, options,
                                                           SOMAXCONN, any, sizeof address);
  if (listener == nullptr) return std::perror("listen"), 1;
  evconnlistener_set_error_cb(listener, on_accept_error);
  getsockname(evconnlistener_get_fd(listener), any, &size);
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);

  event_base_dispatch(base);
}
