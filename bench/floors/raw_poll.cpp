// The floor of poll(2): the same echo as raw_epoll.cpp, on what is older than epoll and everywhere.
#include <poll.h>

#include "raw.hpp"

namespace {

// Two arrays of one shape: what poll() is given, and whom it concerns. The first is the listener.
std::vector<pollfd> polled;
std::vector<bench::Peer> peers;

void add(int fd) {
  polled.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  peers.push_back({.fd = fd});
}

// The last takes its place.
void remove(std::size_t i) {
  close(peers[i].fd);
  std::swap(polled[i], polled.back());
  std::swap(peers[i], peers.back());
  polled.pop_back();
  peers.pop_back();
}

bool serve(bench::Peer& peer, pollfd& at) {
  std::string_view bytes;
  if (!peer.waiting.empty() ? !bench::send_waiting(peer)
                            : !bench::read_some(peer, bytes) || !bench::send_some(peer, bytes))
    return false;
  at.events = peer.waiting.empty() ? POLLIN : POLLOUT;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const int listener = bench::listen_on(bench::read_options(argc, argv).port);
  add(listener);
  while (true) {
    int found = poll(polled.data(), polled.size(), -1);
    // Backwards, so that the one that takes a removed one's place has had its turn.
    for (std::size_t i = polled.size() - 1; found > 0; --i) {
      if (polled[i].revents == 0) continue;
      --found;
      if (i > 0) {
        if (!serve(peers[i], polled[i])) remove(i);
      } else if (const int fd = bench::accept_from(listener); fd >= 0) {
        add(fd);
      }
    }
  }
}
