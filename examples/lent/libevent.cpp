// An application that runs libevent already, with a timer and a signal of its own, and a WebSocket
// server beside them.
#include <event2/event.h>

#include <csignal>
#include <cstdio>
#include <optional>

#include "timtow/libevent.hpp"
#include "timtow/timtow.hpp"

namespace {

struct Application {
  std::optional<timtow::libevent::Loop> loop;
  std::optional<timtow::Server> server;
  event* ticker = nullptr;
  event* signal = nullptr;
  int ticks = 0;
};

void tick(evutil_socket_t, short, void* data) {
  auto& app = *static_cast<Application*>(data);
  app.server->for_each([&](timtow::Connection& peer) { peer.send(std::to_string(app.ticks)); });
  ++app.ticks;
}

void end(evutil_socket_t, short, void* data) {
  auto& app = *static_cast<Application*>(data);
  app.server->shutdown(std::chrono::seconds{1}, [&app] {
    event_del(app.ticker);
    event_del(app.signal);
  });
}

}  // namespace

int main() {
  event_base* const loop = event_base_new();
  Application app;
  app.ticker = event_new(loop, -1, EV_PERSIST, tick, &app);
  const timeval interval{.tv_sec = 0, .tv_usec = 20'000};
  event_add(app.ticker, &interval);
  app.signal = evsignal_new(loop, SIGTERM, end, &app);
  event_add(app.signal, nullptr);

  app.loop.emplace(*loop);
  timtow::Handlers handlers;
  handlers.on_message = [](timtow::Connection& peer, const timtow::Message& m) { peer.send(m); };
  app.server.emplace(*app.loop, handlers);
  if (const auto error = app.server->listen({.host = "127.0.0.1", .port = 0, .path = {}}))
    return std::fprintf(stderr, "%s\n", error.text.c_str()), 1;
  std::printf("listening on %s\n", to_string(app.server->endpoints().front()).c_str());
  std::fflush(stdout);
  event_base_dispatch(
      loop);  // until nothing is left: the server has shut down, and ours is deleted

  app.server.reset();
  app.loop.reset();
  event_free(app.ticker);
  event_free(app.signal);
  event_base_free(loop);
}
