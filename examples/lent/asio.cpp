// An application that runs Asio already, with a timer and a signal of its own, and a WebSocket
// server beside them.
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <optional>

#include "timtow/asio.hpp"
#include "timtow/timtow.hpp"

namespace {

struct Application {
  asio::io_context io;
  std::optional<timtow::asio::Loop> loop;
  std::optional<timtow::Server> server;
  asio::steady_timer ticker{io};
  asio::signal_set signal{io, SIGTERM};
  int ticks = 0;
};

void tick(Application& app) {
  app.ticker.expires_after(std::chrono::milliseconds{20});
  app.ticker.async_wait([&app](const asio::error_code& cancelled) {
    if (cancelled) return;
    app.server->for_each([&](timtow::Connection& peer) { peer.send(std::to_string(app.ticks)); });
    ++app.ticks;
    tick(app);
  });
}

void end(Application& app) {
  app.server->shutdown(std::chrono::seconds{1}, [&app] { app.ticker.cancel(); });
}

}  // namespace

int main() {
  Application app;
  tick(app);
  app.signal.async_wait([&app](const asio::error_code&, int) { end(app); });

  app.loop.emplace(app.io);
  timtow::Handlers handlers;
  handlers.on_message = [](timtow::Connection& peer, const timtow::Message& m) { peer.send(m); };
  app.server.emplace(*app.loop, handlers);
  if (const auto error = app.server->listen({.host = "127.0.0.1", .port = 0, .path = {}}))
    return std::fprintf(stderr, "%s\n", error.text.c_str()), 1;
  std::printf("listening on %s\n", to_string(app.server->endpoints().front()).c_str());
  std::fflush(stdout);
  app.io.run();  // until nothing is left: the server has shut down, and ours is cancelled

  app.server.reset();
  app.loop.reset();
}
