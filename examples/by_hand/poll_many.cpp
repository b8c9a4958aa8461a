// A WebSocket echo server by hand: poll(), and a bare Session for each connection. poll() is told
// of all of them each time, so each time all their deadlines are looked at as well.
#include <poll.h>
#include <unistd.h>

#include <map>
#include <vector>

#include "echo.hpp"

namespace {

using namespace example;
using std::chrono::milliseconds;

struct Peer {
  int fd = -1;
  timtow::Session ws{timtow::Role::server, pool};
};
std::map<int, Peer> peers;
timtow::TimePoint accept_at;

// Whatever happened to a peer ends here.
void serve(Peer& peer) {
  peer.ws.expire(timtow::Clock::now());
  echo(peer.ws);
  flush(peer.fd, peer.ws);
  if (!peer.ws.finished()) return;
  close(peer.fd);
  peers.erase(peer.fd);
}

void on_connection(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {  // no descriptors left, perhaps: the listener stays readable, so it has to rest
    accept_at = timtow::Clock::now() + milliseconds{100};
    return;
  }
  send_at_once(fd);
  peers[fd].fd = fd;
}

}  // namespace

int main(int argc, char** argv) {
  const int listener = make_listener(argc, argv);
  std::vector<pollfd> polled;
  while (true) {
    const bool resting = timtow::Clock::now() < accept_at;
    auto left = milliseconds{resting ? 100 : 60'000};
    polled.assign(1, {.fd = resting ? -1 : listener, .events = POLLIN, .revents = 0});
    for (auto& [fd, peer] : peers) {
      const int read = peer.ws.wants_read() ? POLLIN : 0;
      const int write = peer.ws.output_size() > 0 ? POLLOUT : 0;
      polled.push_back({.fd = fd, .events = static_cast<short>(read | write), .revents = 0});
      left = std::min(left, time_left<milliseconds>(peer.ws));
    }
    poll(polled.data(), polled.size(), static_cast<int>(left.count()));
    for (const pollfd& found : polled) {
      if (found.fd < 0 || found.fd == listener) continue;
      Peer& peer = peers.at(found.fd);
      if ((found.revents & (POLLIN | POLLHUP | POLLERR)) != 0) read(peer.fd, peer.ws);
      serve(peer);
    }
    if (polled[0].revents != 0) on_connection(listener);
  }
}
