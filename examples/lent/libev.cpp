// An application that runs libev already, with a timer and a signal of its own, and a WebSocket
// server beside them.
#include <ev.h>

#include <csignal>
#include <cstdio>
#include <optional>

#include "timtow/libev.hpp"
#include "timtow/timtow.hpp"

namespace {

struct Application {
  std::optional<timtow::libev::Loop> loop;
  std::optional<timtow::Server> server;
  ev_timer ticker;
  ev_signal signal;
  int ticks = 0;
};

void tick(struct ev_loop*, ev_timer* timer, int) {
  auto& app = *static_cast<Application*>(timer->data);
  app.server->for_each([&](timtow::Connection& peer) { peer.send(std::to_string(app.ticks)); });
  ++app.ticks;
}

void end(struct ev_loop* loop, ev_signal* signal, int) {
  auto& app = *static_cast<Application*>(signal->data);
  app.server->shutdown(std::chrono::seconds{1}, [&app, loop] {
    ev_timer_stop(loop, &app.ticker);
    ev_signal_stop(loop, &app.signal);
  });
}

}  // namespace

int main() {
  struct ev_loop* const loop = EV_DEFAULT;
  Application app;
  ev_timer_init(&app.ticker, tick, 0.02, 0.02);
  app.ticker.data = &app;
  ev_timer_start(loop, &app.ticker);
  ev_signal_init(&app.signal, end, SIGTERM);
  app.signal.data = &app;
  ev_signal_start(loop, &app.signal);

  app.loop.emplace(*loop);
  timtow::Handlers handlers;
  handlers.on_message = [](timtow::Connection& peer, const timtow::Message& m) { peer.send(m); };
  app.server.emplace(*app.loop, handlers);
  if (const auto error = app.server->listen({.host = "127.0.0.1", .port = 0, .path = {}}))
    return std::fprintf(stderr, "%s\n", error.text.c_str()), 1;
  std::printf("listening on %s\n", to_string(app.server->endpoints().front()).c_str());
  std::fflush(stdout);
  ev_run(loop, 0);  // until nothing is left: the server has shut down, and ours is stopped

  app.server.reset();
  app.loop.reset();
  ev_loop_destroy(loop);
}
