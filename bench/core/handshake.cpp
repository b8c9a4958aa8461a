// The opening handshake.
#include <optional>

#include "benchmarks.hpp"

namespace bench {
namespace {

void server(benchmark::State& state) {
  timtow::Pool pool;
  std::string bytes = request;
  bool opened = true;
  measure(state, 0, [&] {
    timtow::Session session{timtow::Role::server, pool};
    session.receive(std::as_writable_bytes(std::span{bytes}));
    while (const auto event = session.next()) session.accept();
    drop_output(session);
    opened = opened && session.is_open();
  });
  if (!opened) state.SkipWithError("a handshake failed");
}

void both(benchmark::State& state) {
  std::optional<Pair> pair;
  bool opened = true;
  measure(state, 0, [&] {
    pair.emplace();
    opened = opened && pair->server.is_open() && pair->client.is_open();
  });
  if (!opened) state.SkipWithError("a handshake failed");
}

}  // namespace

void add_handshake() {
  benchmark::RegisterBenchmark("handshake/server", server);
  benchmark::RegisterBenchmark("handshake/both", both);
}

}  // namespace bench
