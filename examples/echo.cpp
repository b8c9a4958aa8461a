// The echo server: one source for every loop. Open its address in a browser to talk to it.
#include <cstdio>

#include "command_line.hpp"
#include "echo_page.hpp"
#include "report.hpp"
#include "stop_signals.hpp"
#include "this_loop.hpp"
#include "timtow/timtow.hpp"

namespace {

// Any path is a WebSocket, in the first subprotocol offered; / is also the page.
void answer(timtow::Connection& peer, const timtow::Request& request) {
  const auto offered = request.subprotocols();
  if (request.is_upgrade())
    peer.accept({.subprotocol = offered.empty() ? "" : offered.front(), .headers = {}});
  else if (request.path() == "/")
    peer.respond({.body = echo_page, .headers = {{"Content-Type", "text/html; charset=utf-8"}}});
  else
    peer.reject(404, "There is only / here.\n");
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = example::read_options(argc, argv, this_loop::name);

  this_loop::Loop loop;
  timtow::Handlers handlers;
  handlers.on_request = answer;
  handlers.on_message = [](timtow::Connection& peer, const timtow::Message& message) {
    peer.send(message);
  };
  if (!options.quiet) example::report(handlers);
  timtow::Server server{loop, handlers, options.limits};
  if (const auto error = server.listen({.host = options.host, .port = options.port, .path = {}}))
    example::refuse(this_loop::name, error.text);

  const example::StopSignals stop{
      loop, [&] { server.shutdown(std::chrono::seconds{3}, [&] { loop.stop(); }); }};
  example::announce(this_loop::name, server);
  loop.run();
}
