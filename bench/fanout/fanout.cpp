// A fan-out: every message that comes is sent to all connections, the one that it came on as well.
// One source for every loop.
#include "../program.hpp"
#include "this_loop.hpp"
#include "timtow/timtow.hpp"

int main(int argc, char** argv) {
  const bench::Options options = bench::read_options(argc, argv);
  this_loop::Loop loop;
  timtow::Server* all = nullptr;
  timtow::Handlers handlers;
  handlers.on_message = [&all](timtow::Connection&, const timtow::Message& message) {
    all->broadcast(message);
  };
  timtow::Server server{loop, handlers};
  all = &server;
  if (const auto error = server.listen({.host = "127.0.0.1", .port = options.port, .path = {}}))
    bench::fail(error.text);
  bench::announce(server.endpoints().front().port);
  loop.run();
}
