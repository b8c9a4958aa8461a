// The floor of all: a TCP echo on epoll(7), by hand. One read and one send a wake-up; a connection
// is read only while nothing waits to be sent.
#include <sys/epoll.h>

#include "raw.hpp"

namespace {

const int epoll = epoll_create1(EPOLL_CLOEXEC);

void watch(int operation, int fd, bench::Peer* peer, unsigned events) {
  epoll_event event{.events = events, .data = {.ptr = peer}};
  if (epoll_ctl(epoll, operation, fd, &event) != 0) bench::fail_call("cannot watch a descriptor");
}

void accept_one(int listener) {
  const int fd = bench::accept_from(listener);
  if (fd >= 0) watch(EPOLL_CTL_ADD, fd, new bench::Peer{.fd = fd}, EPOLLIN);
}

bool serve(bench::Peer& peer) {
  const bool waited = !peer.waiting.empty();
  std::string_view bytes;
  if (waited ? !bench::send_waiting(peer)
             : !bench::read_some(peer, bytes) || !bench::send_some(peer, bytes))
    return false;
  const bool waits = !peer.waiting.empty();
  if (waits != waited) watch(EPOLL_CTL_MOD, peer.fd, &peer, waits ? EPOLLOUT : EPOLLIN);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const int listener = bench::listen_on(bench::read_options(argc, argv).port);
  watch(EPOLL_CTL_ADD, listener, nullptr, EPOLLIN);
  std::array<epoll_event, 256> found;
  while (true) {
    const int count = epoll_wait(epoll, found.data(), static_cast<int>(found.size()), -1);
    for (int i = 0; i < count; ++i) {
      auto* const peer = static_cast<bench::Peer*>(found[static_cast<std::size_t>(i)].data.ptr);
      if (peer == nullptr) {
        accept_one(listener);
      } else if (!serve(*peer)) {
        close(peer->fd);
        delete peer;
      }
    }
  }
}
