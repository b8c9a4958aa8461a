// An application that runs libuv already, with a timer and a signal of its own, and a WebSocket
// server beside them.
#include <uv.h>

#include <cstdio>
#include <optional>

#include "timtow/libuv.hpp"
#include "timtow/timtow.hpp"

namespace {

struct Application {
  std::optional<timtow::libuv::Loop> loop;
  std::optional<timtow::Server> server;
  uv_timer_t ticker;
  uv_signal_t signal;
  int ticks = 0;
};

void tick(uv_timer_t* timer) {
  auto& app = *static_cast<Application*>(timer->data);
  app.server->for_each([&](timtow::Connection& peer) { peer.send(std::to_string(app.ticks)); });
  ++app.ticks;
}

void end(uv_signal_t* signal, int) {
  auto& app = *static_cast<Application*>(signal->data);
  app.server->shutdown(std::chrono::seconds{1}, [&app] {
    uv_close(reinterpret_cast<uv_handle_t*>(&app.ticker), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&app.signal), nullptr);
  });
}

}  // namespace

int main() {
  uv_loop_t loop;
  uv_loop_init(&loop);
  Application app;
  uv_timer_init(&loop, &app.ticker);
  app.ticker.data = &app;
  uv_timer_start(&app.ticker, tick, 20, 20);
  uv_signal_init(&loop, &app.signal);
  app.signal.data = &app;
  uv_signal_start(&app.signal, end, SIGTERM);

  app.loop.emplace(loop);
  timtow::Handlers handlers;
  handlers.on_message = [](timtow::Connection& peer, const timtow::Message& m) { peer.send(m); };
  app.server.emplace(*app.loop, handlers);
  if (const auto error = app.server->listen({.host = "127.0.0.1", .port = 0, .path = {}}))
    return std::fprintf(stderr, "%s\n", error.text.c_str()), 1;
  std::printf("listening on %s\n", to_string(app.server->endpoints().front()).c_str());
  std::fflush(stdout);
  uv_run(&loop,
         UV_RUN_DEFAULT);  // until nothing is left: the server has shut down, and ours is closed

  app.server.reset();
  app.loop.reset();
  uv_run(&loop, UV_RUN_DEFAULT);  // what was closed just now
  return uv_loop_close(&loop);
}
