// Messages that are compressed, where timtow::deflate is built.
#include "timtow/deflate.hpp"
#include "benchmarks.hpp"

namespace bench {
namespace {

// Text with some likeness in it, as of records.
std::string records(std::size_t size) {
  std::string text;
  std::uint32_t random = 1;
  while (text.size() < size) {
    random = random * 1664525 + 1013904223;
    text += "{\"id\": " + std::to_string(random >> 16) + ", \"name\": \"name " +
            std::to_string(random >> 24) + "\"}, ";
  }
  text.resize(size);
  return text;
}

// A client sends a message, and its server receives it.
void talk(benchmark::State& state, bool takes_over, std::size_t size) {
  const timtow::Deflate deflate{
      {.server_no_context_takeover = !takes_over, .client_no_context_takeover = !takes_over}};
  const timtow::SessionOptions options{.limits = {}, .compression = &deflate};
  timtow::Pool pool;
  timtow::Session server{timtow::Role::server, pool, options};
  timtow::Session client{timtow::Role::client, pool, options};
  client.request({.host = "bench", .target = "/", .subprotocols = {}, .headers = {}});
  carry(client, server);
  carry(server, client);
  const std::string text = records(size);
  std::size_t received = 0;
  std::size_t on_the_wire = 0;
  measure(state, size, [&] {
    client.send(text);
    std::string bytes{timtow::as_text(client.output().front())};
    client.sent(bytes.size());
    on_the_wire = bytes.size();
    server.receive(std::as_writable_bytes(std::span{bytes}));
    while (const auto event = server.next()) received = event->message()->payload.size();
  });
  state.counters["wire"] = static_cast<double>(on_the_wire);
  if (received != size) state.SkipWithError("a message did not arrive");
}

// By itself, for it may be left out.
const bool added = [] {
  for (const bool takes_over : {false, true}) {
    for (const std::size_t size : {100U, 1024U, 16384U, 262144U}) {
      const std::string name = std::string{"deflate/"} + (takes_over ? "takeover/" : "alone/");
      benchmark::RegisterBenchmark((name + std::to_string(size)).c_str(),
                                   [=](benchmark::State& state) { talk(state, takes_over, size); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace bench
