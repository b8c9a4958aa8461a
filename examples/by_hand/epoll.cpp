// A WebSocket echo server by hand: epoll, and a bare Session for each connection. Only those that
// are ready cost anything, so deadlines are looked at once a second and not at each wait.
#include <sys/epoll.h>
#include <unistd.h>

#include <map>

#include "echo.hpp"

namespace {

using namespace example;

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

// Whatever happened to a peer ends here.
void serve(Peer& peer) {
  peer.ws.expire(timtow::Clock::now());
  echo(peer.ws);
  flush(peer.fd, peer.ws);
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
  send_at_once(fd);
  watch(EPOLL_CTL_ADD, fd, EPOLLIN);
  peers[fd].fd = fd;
}

void on_tick(int listener) {
  for (auto next = peers.begin(); next != peers.end();) serve((next++)->second);  // may erase it
  watch(EPOLL_CTL_MOD, listener, EPOLLIN);
}

}  // namespace

int main(int argc, char** argv) {
  const int listener = make_listener(argc, argv);
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
        if ((ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read(peer.fd, peer.ws);
        serve(peer);
      }
    }
    if (timtow::Clock::now() >= tick) {
      tick = timtow::Clock::now() + std::chrono::seconds{1};
      on_tick(listener);
    }
  }
}
