// Frames: parsed, echoed, written.
#include "benchmarks.hpp"

namespace bench {
namespace {

// Around the borders of a frame's header, and of what is copied and borrowed.
constexpr std::size_t sizes[] = {16, 125, 126, 1024, 16 * 1024, 64 * 1024, 1024 * 1024};

std::string name(std::string_view what, std::string_view how, std::size_t size) {
  return std::string{what} + '/' + std::string{how} + '/' + std::to_string(size);
}

void parse(benchmark::State& state, std::vector<std::byte> frame, std::size_t size, bool echo) {
  Pair pair;
  bool parsed = true;
  measure(state, size, [&] {
    std::size_t messages = 0;
    pair.server.receive(frame);
    while (const auto event = pair.server.next()) {
      const auto* const message = event->message();
      if (message == nullptr) continue;
      ++messages;
      if (echo) pair.server.send_borrowed(*message);
    }
    drop_output(pair.server);
    parsed = parsed && messages == 1;
  });
  if (!parsed) state.SkipWithError("a frame was not a message");
}

void encode(benchmark::State& state, timtow::Role role, std::size_t size) {
  Pair pair;
  timtow::Session& session = role == timtow::Role::server ? pair.server : pair.client;
  const std::string payload(size, 'x');
  measure(state, size, [&] {
    session.send(timtow::as_bytes(payload));
    drop_output(session);
  });
}

}  // namespace

void add_frames() {
  for (const bool echo : {false, true}) {
    for (const std::string_view type : {"binary", "ascii", "mixed"}) {
      for (const std::size_t size : sizes) {
        const auto opcode = type == "binary" ? timtow::Opcode::binary : timtow::Opcode::text;
        const auto frame = frame_of(opcode, text_of(type, size));
        benchmark::RegisterBenchmark(
            name(echo ? "echo" : "parse", type, size).c_str(),
            [=](benchmark::State& state) { parse(state, frame, size, echo); });
      }
    }
  }
  for (const auto role : {timtow::Role::server, timtow::Role::client})
    for (const std::size_t size : sizes)
      benchmark::RegisterBenchmark(
          name("encode", role == timtow::Role::server ? "server" : "client", size).c_str(),
          [=](benchmark::State& state) { encode(state, role, size); });
}

}  // namespace bench
