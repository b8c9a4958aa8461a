// The core alone, for counting its instructions: a Session echoes messages that lie in memory.
//
//   bench-session-echo MESSAGES PIPELINE SIZE [none]
//
// MESSAGES messages of SIZE bytes of text are received, PIPELINE at a time, and sent back. With
// `none` their bytes are laid ready all the same, but no session gets them: what that costs is to
// be subtracted. bench/instructions.py does so.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "timtow/session.hpp"

namespace {

constexpr char request[] =
    "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

std::vector<std::byte> masked_text(std::size_t size) {
  timtow::FrameHeader header;
  header.opcode = timtow::Opcode::text;
  header.masked = true;
  header.key = {std::byte{0x12}, std::byte{0x34}, std::byte{0x56}, std::byte{0x78}};
  header.length = size;
  std::vector<std::byte> frame(header.wire_size() + size);
  std::byte* const payload = header.write(frame.data());
  for (std::size_t i = 0; i < size; ++i)
    payload[i] = static_cast<std::byte>('a' + i % 26) ^ header.key[i % 4];
  return frame;
}

void drain(timtow::Session& ws) {
  while (ws.output_size() > 0) ws.sent(ws.output().size_bytes());
}

std::size_t echo(timtow::Session& ws, timtow::MutableBytes bytes) {
  std::size_t messages = 0;
  ws.receive(bytes);
  while (const auto event = ws.next()) {
    if (const auto* message = event->message()) {
      ws.send(*message);
      ++messages;
    }
  }
  drain(ws);
  return messages;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: bench-session-echo MESSAGES PIPELINE SIZE [none]\n");
    return 1;
  }
  const std::size_t count = std::strtoul(argv[1], nullptr, 10);
  const std::size_t pipeline = std::strtoul(argv[2], nullptr, 10);
  const bool none = argc > 4;

  std::vector<std::byte> sent;
  for (const auto frame = masked_text(std::strtoul(argv[3], nullptr, 10));
       sent.size() / frame.size() < pipeline;)
    sent.insert(sent.end(), frame.begin(), frame.end());

  timtow::Pool pool;
  timtow::Outbox::lay_tray(pool);  // as a loop does
  timtow::Session ws{timtow::Role::server, pool};
  std::vector<std::byte> buffer(sizeof request - 1);
  std::memcpy(buffer.data(), request, buffer.size());
  ws.receive(buffer);
  while (const auto event = ws.next()) ws.accept();
  drain(ws);

  buffer.resize(sent.size());
  std::size_t echoed = 0;
  for (std::size_t done = 0; done < count; done += pipeline) {
    std::memcpy(buffer.data(), sent.data(), sent.size());
    echoed += none ? pipeline : echo(ws, buffer);
  }
  if (echoed != count / pipeline * pipeline) return 1;
  std::printf("%zu messages\n", echoed);
}
