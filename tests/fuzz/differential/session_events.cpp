// What a session makes of bytes: for differential.py, which compares it with Python's wsproto.
//
// Standard input is cases: 's' for a server or 'c' for a client, 'd' if messages may be compressed
// or
// '-', the number of reads, and each of them as its size and its bytes; numbers are 4 bytes, big
// end first. Standard output is a line for each event, bytes in hex, and a line "end" behind each
// case.
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "../support.hpp"
#ifdef TIMTOW_HAS_DEFLATE
#include "timtow/deflate.hpp"
#endif

namespace {

std::optional<std::string> read_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  if (std::fread(bytes.data(), 1, size, stdin) != size) return std::nullopt;
  return bytes;
}

std::size_t read_number() {
  const auto bytes = read_bytes(4);
  fuzz::check(bytes.has_value(), "a case is whole");
  std::size_t number = 0;
  for (const char byte : *bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

void put(const char* what, timtow::Bytes bytes) {
  std::printf("%s ", what);
  for (const std::byte byte : bytes) std::printf("%02x", std::to_integer<unsigned>(byte));
  std::putchar('\n');
}

void put(const timtow::Event& event) {
  if (const auto* message = event.message())
    put(message->type == timtow::MessageType::text ? "text" : "binary", message->payload);
  else if (const auto* ping = event.ping())
    put("ping", ping->payload);
  else if (const auto* pong = event.pong())
    put("pong", pong->payload);
  else if (const auto* closed = event.closed(); closed != nullptr && closed->error == nullptr)
    put(("closed " + std::to_string(closed->code)).c_str(), timtow::as_bytes(closed->reason));
  else if (closed != nullptr)
    std::printf("failed %u\n", unsigned{closed->sent});
}

const timtow::Compression* deflate() {
#ifdef TIMTOW_HAS_DEFLATE
  static const timtow::Deflate compression{timtow::DeflateOptions{
      .server_no_context_takeover = false, .client_no_context_takeover = false}};
  return &compression;
#else
  return nullptr;
#endif
}

}  // namespace

int main() {
  // Limits are a matter of taste, which wsproto has none of.
  timtow::SessionOptions plain;
  plain.limits.message_bytes = std::numeric_limits<std::size_t>::max();
  plain.limits.message_fragments = std::numeric_limits<std::uint32_t>::max();
  plain.limits.inflate_ratio = 0;
  timtow::SessionOptions compressed = plain;
  compressed.compression = deflate();

  while (const auto kind = read_bytes(2)) {
    const bool compresses = (*kind)[1] == 'd' && compressed.compression != nullptr;
    timtow::Pool pool;
    timtow::Session session{(*kind)[0] == 'c' ? timtow::Role::client : timtow::Role::server, pool,
                            compresses ? compressed : plain};
    fuzz::open(session, compresses ? "permessage-deflate" : "");
    for (std::size_t reads = read_number(); reads > 0; --reads) {
      auto read = read_bytes(read_number());
      fuzz::check(read.has_value(), "a case is whole");
      session.receive(std::as_writable_bytes(std::span{*read}));
      while (const auto event = session.next()) put(*event);
      fuzz::take_output(session);
    }
    std::puts("end");
  }
}
