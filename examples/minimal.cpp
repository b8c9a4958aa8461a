#include <cstdio>

#include "timtow/poll.hpp"  // or any other loop
#include "timtow/timtow.hpp"

int main() {
  timtow::poll::Loop loop;
  timtow::Handlers handlers;
  handlers.on_message = [](timtow::Connection& peer, const timtow::Message& message) {
    peer.send(message);
  };
  timtow::Server server{loop, handlers};
  if (const timtow::Error error = server.listen({.host = "127.0.0.1", .port = 9001, .path = {}}))
    return std::fprintf(stderr, "%s\n", error.text.c_str()), 1;
  loop.run();
}
