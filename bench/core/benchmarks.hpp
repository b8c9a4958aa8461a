// What the benchmarks of the core share: payloads, frames, sessions, and counters.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/allocation.hpp"
#include "timtow/session.hpp"

namespace bench {

// Each registers its own.
void add_frames();
void add_handshake();
void add_mask();
void add_utf8();

// -- Payloads -------------------------------------------------------------------------------------

// What texts are of; mixed are characters of 1 to 4 bytes in turn by chance.
inline constexpr std::string_view scripts[] = {"ascii", "latin", "cjk", "emoji", "mixed"};

// `size` bytes of UTF-8, always the same.
inline std::string text_of(std::string_view script, std::size_t size) {
  std::string text;
  std::uint32_t random = 1;
  while (text.size() < size) {
    random = random * 1664525 + 1013904223;
    constexpr std::string_view characters[] = {"a", "\xC3\xA9", "\xE6\xBC\xA2", "\xF0\x9F\x98\x80"};
    std::string_view next = "a";
    if (script == "latin" && random >> 29 == 0) next = characters[1];  // one in eight
    if (script == "cjk") next = characters[2];
    if (script == "emoji") next = characters[3];
    if (script == "mixed") next = characters[random >> 30];
    text += text.size() + next.size() <= size ? next : "a";
  }
  return text;
}

// A client's frame, masked with zeros. That costs what any key costs, but leaves the bytes as they
// are: so the same frame can be received again, without being laid ready again.
inline std::vector<std::byte> frame_of(timtow::Opcode opcode, std::string_view payload) {
  timtow::FrameHeader header;
  header.opcode = opcode;
  header.masked = true;
  header.length = payload.size();
  std::vector<std::byte> frame(header.wire_size() + payload.size());
  std::byte* at = header.write(frame.data());
  for (const char c : payload) *at++ = static_cast<std::byte>(c);
  return frame;
}

// -- Sessions -------------------------------------------------------------------------------------

inline constexpr char request[] =
    "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

inline void drop_output(timtow::Session& session) {
  while (session.output_size() > 0) session.sent(session.output().size_bytes());
}

// What one has written, received by the other.
inline void carry(timtow::Session& from, timtow::Session& to) {
  std::string bytes{timtow::as_text(from.output().front())};
  from.sent(bytes.size());
  to.receive(std::as_writable_bytes(std::span{bytes}));
  while (const auto event = to.next())
    if (event->request() != nullptr) to.accept();
}

// A server and a client that have opened.
struct Pair {
  timtow::Pool pool;
  timtow::Session server{timtow::Role::server, pool};
  timtow::Session client{timtow::Role::client, pool};

  Pair() { open(); }

  void open() {
    client.request({.host = "bench", .target = "/", .subprotocols = {}, .headers = {}});
    carry(client, server);
    carry(server, client);
  }
};

// -- Counters -------------------------------------------------------------------------------------

// Runs `work` for as long as is asked. Reports how often it called operator new, on an average, not
// counting the first time, which may fill the pool; and bytes a second, of `bytes` each time.
template <typename Work>
void measure(benchmark::State& state, std::size_t bytes, Work&& work) {
  work();
  const std::size_t before = test::Allocation::count;
  for (auto _ : state) work();
  const auto allocations = static_cast<double>(test::Allocation::count - before);
  state.counters["allocations"] = {allocations, benchmark::Counter::kAvgIterations};
  if (bytes != 0) state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

}  // namespace bench
