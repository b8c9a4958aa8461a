// The floor of a fan-out: what comes on one TCP connection is sent to all of them, the one that it
// came on as well. On epoll(7), by hand: one read, and one send a connection.
//
// There is no WebSocket and no message: what a read finds is sent. With one sender that is each
// receiver's whole stream in order, and what the sender sent as one is read as one. The bytes are
// the client's frames; a server's are 4 bytes shorter, for they have no masking key.
//
// Memory is bounded: who has sent is not read while bytes wait for anybody.
#include <sys/epoll.h>

#include <utility>

#include "raw.hpp"

namespace {

struct Client : bench::Peer {
  bool paused = false;
};

const int epoll = epoll_create1(EPOLL_CLOEXEC);
std::vector<Client*> clients;
std::size_t behind = 0;  // clients for whom bytes wait

void watch(int operation, int fd, Client* client, unsigned events) {
  epoll_event event{.events = events, .data = {.ptr = client}};
  if (epoll_ctl(epoll, operation, fd, &event) != 0) bench::fail_call("cannot watch a descriptor");
}

void update(Client& client) {
  const unsigned read = client.paused ? 0U : EPOLLIN;
  const unsigned write = client.waiting.empty() ? 0U : EPOLLOUT;
  watch(EPOLL_CTL_MOD, client.fd, &client, read | write);
}

void accept_one(int listener) {
  const int fd = bench::accept_from(listener);
  if (fd < 0) return;
  clients.push_back(new Client{{.fd = fd}});
  watch(EPOLL_CTL_ADD, fd, clients.back(), EPOLLIN);
}

void send_to_all(std::string_view bytes) {
  for (Client* client : clients) {
    const bool waited = !client->waiting.empty();
    bench::send_some(*client, bytes);  // of one that is broken epoll tells, and it is closed then
    if (waited || client->waiting.empty()) continue;
    ++behind;
    update(*client);
  }
}

// One client less for whom bytes wait.
void caught_up() {
  if (--behind > 0) return;
  for (Client* client : clients)
    if (std::exchange(client->paused, false)) update(*client);
}

bool serve(Client& client, unsigned found) {
  if ((found & (EPOLLERR | EPOLLHUP)) != 0) return false;
  if ((found & EPOLLOUT) != 0 && !client.waiting.empty()) {
    if (!bench::send_waiting(client)) return false;
    if (client.waiting.empty()) {
      update(client);
      caught_up();
    }
  }
  if ((found & EPOLLIN) != 0 && !client.paused) {
    std::string_view bytes;
    if (!bench::read_some(client, bytes)) return false;
    send_to_all(bytes);
    client.paused = behind > 0;
    if (client.paused) update(client);
  }
  return true;
}

void remove(Client* client) {
  close(client->fd);
  std::erase(clients, client);
  if (!client->waiting.empty()) caught_up();
  delete client;
}

}  // namespace

int main(int argc, char** argv) {
  const int listener = bench::listen_on(bench::read_options(argc, argv).port);
  watch(EPOLL_CTL_ADD, listener, nullptr, EPOLLIN);
  std::array<epoll_event, 256> found;
  while (true) {
    const int count = epoll_wait(epoll, found.data(), static_cast<int>(found.size()), -1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = found[static_cast<std::size_t>(i)];
      auto* const client = static_cast<Client*>(event.data.ptr);
      if (client == nullptr)
        accept_one(listener);
      else if (!serve(*client, event.events))
        remove(client);
    }
  }
}
