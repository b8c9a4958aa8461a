// permessage-deflate (RFC 7692): messages compressed by zlib.
//
//   timtow::ServerOptions options{.compression = std::make_shared<timtow::Deflate>()};
//   timtow::Server server{loop, handlers, options};
//
// A client gets it the same way. Link timtow::deflate.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "timtow/compression.hpp"

namespace timtow {

// What a side asks for, offers and grants. Numbers that are out of range are brought into it.
//
// What it costs in memory, in KiB: an inflater 40; a deflater 2^(bits - 8) + 2^(memory_level - 1) +
// 6, which is 262 where nothing else is said. Those of a side without context takeover are the
// pool's, and are borrowed while a message is under way: a connection at rest has none. With
// context takeover each connection keeps its own until it ends; the pool's budget counts them.
struct DeflateOptions {
  // Each message is compressed for itself. What is similar to messages before it gets larger then,
  // but memory is shared, and Server::broadcast() compresses a message once for all.
  // A server's wish for either is the client's duty; a client's wish for the server's is too, or
  // else the opening handshake fails.
  bool server_no_context_takeover = true;
  bool client_no_context_takeover = true;
  // How far back a compressed message may refer, as a power of two: 8 (256 bytes) to 15 (32 KiB).
  // Of the peer's, a wish that it may not grant; of ours, the most that we use. At 8 bits only runs
  // of one byte are found, for zlib does not promise more.
  int server_max_window_bits = 15;
  int client_max_window_bits = 15;
  int level = 6;         // zlib's: 1 is fast, 9 is small
  int memory_level = 8;  // zlib's: 1 to 9, of what is compressed
  // Smaller messages are sent as they are.
  std::size_t min_size = 64;
};

class Deflate final : public Compression {
 public:
  explicit Deflate(const DeflateOptions& options = {}) noexcept;

  std::unique_ptr<Codec> accept(const std::vector<std::string_view>& offers, Pool& pool,
                                std::string& answer) const override;
  std::string offer() const override;
  Error confirm(const std::vector<std::string_view>& chosen, Pool& pool,
                std::unique_ptr<Codec>& codec) const override;

 private:
  DeflateOptions options_;
};

}  // namespace timtow
