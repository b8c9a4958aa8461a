#include "tape.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include <sys/random.h>

#include "fail.hpp"

namespace load {
namespace {

using Key = std::array<char, 4>;

constexpr std::size_t tape_bytes = std::size_t{1} << 22;
constexpr std::size_t fewest_messages = 4;
constexpr std::size_t most_batches = 16;

constexpr char text = 1, binary = 2, close = 8;

void fill_with_entropy(void* to, std::size_t size) {
  if (getrandom(to, size, 0) != static_cast<ssize_t>(size))
    fail("no random bytes for masking keys: %s", std::strerror(errno));
}

std::vector<Key> fresh_keys(std::size_t count) {
  std::vector<Key> keys(count);
  fill_with_entropy(keys.data(), count * sizeof(Key));
  return keys;
}

std::string header(char opcode, std::size_t length, const Key* key) {
  std::string bytes{static_cast<char>(0x80 | opcode)};
  const int wide = length < 126 ? 0 : length < 65536 ? 2 : 8;
  bytes += static_cast<char>((key != nullptr ? 0x80 : 0) | (wide == 0   ? static_cast<int>(length)
                                                            : wide == 2 ? 126
                                                                        : 127));
  for (int byte = wide - 1; byte >= 0; --byte) bytes += static_cast<char>(length >> (8 * byte));
  if (key != nullptr) bytes.append(key->data(), key->size());
  return bytes;
}

void append_masked(std::string& to, std::string_view payload, const Key& key) {
  const std::size_t at = to.size();
  to += payload;
  for (std::size_t i = 0; i < payload.size(); ++i)
    to[at + i] = static_cast<char>(to[at + i] ^ key[i % key.size()]);
}

// Payloads of a kind, each other than the last.
class Payloads {
 public:
  Payloads(Payload kind, std::size_t size) : kind_(kind), size_(size) {
    std::uint64_t seed = 0;
    fill_with_entropy(&seed, sizeof seed);
    random_.seed(seed);
  }

  std::string next() {
    std::string bytes;
    bytes.reserve(size_ + 8);
    while (bytes.size() < size_) {
      if (kind_ == Payload::binary)
        append_binary(bytes);
      else if (kind_ == Payload::ascii)
        append_ascii(bytes);
      else
        append_character(bytes, std::min<std::size_t>(1 + random_() % 4, size_ - bytes.size()));
    }
    bytes.resize(size_);
    return bytes;
  }

 private:
  void append_binary(std::string& bytes) {
    const std::uint64_t word = random_();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }

  // Eight of 64 printable ones.
  void append_ascii(std::string& bytes) {
    std::uint64_t word = random_();
    for (int i = 0; i < 8; ++i, word >>= 6) bytes += static_cast<char>(0x30 + (word & 63));
  }

  void append_character(std::string& bytes, std::size_t length) {
    // For each length the lowest and how many: ASCII, Latin to Thaana, CJK, emoji.
    constexpr struct {
      std::uint32_t first, count;
    } ranges[] = {{0x61, 26}, {0xC0, 0x700}, {0x4E00, 0x5000}, {0x1F300, 0x200}};
    const auto& range = ranges[length - 1];
    const auto code = range.first + static_cast<std::uint32_t>(random_() % range.count);
    if (length == 1) {
      bytes += static_cast<char>(code);
      return;
    }
    const int below = 6 * (static_cast<int>(length) - 1);
    bytes += static_cast<char>((0xF00 >> length & 0xF0) | code >> below);
    for (int shift = below - 6; shift >= 0; shift -= 6)
      bytes += static_cast<char>(0x80 | (code >> shift & 0x3F));
  }

  Payload kind_;
  std::size_t size_;
  std::mt19937_64 random_;
};

}  // namespace

Tape::Tape(const Options& options) {
  const char opcode = options.payload == Payload::binary ? binary : text;
  const Key any{};
  sent_unit = header(opcode, options.size, &any).size() + options.size;
  framed = options.protocol == Protocol::websocket;
  echoed_header = header(opcode, options.size, framed ? nullptr : &any).size();
  echoed_unit = echoed_header + options.size;

  batch = options.pipeline;
  const std::size_t room = std::max(tape_bytes / sent_unit, fewest_messages);
  messages = batch * std::min(room / batch, most_batches);
  if (messages == 0) messages = room;  // a batch goes round it
  sent.reserve(messages * sent_unit);
  echoed.reserve(messages * echoed_unit);
  Payloads payloads{options.payload, options.size};
  for (const Key& key : fresh_keys(messages)) {
    const std::string payload = payloads.next();
    sent += header(opcode, options.size, &key);
    append_masked(sent, payload, key);
    if (framed) echoed += header(opcode, options.size, nullptr) + payload;
  }
  if (!framed) echoed = sent;
}

std::string close_frame() {
  const Key key = fresh_keys(1).front();
  std::string frame = header(close, 2, &key);
  append_masked(frame, "\x03\xE8", key);
  return frame;
}

}  // namespace load
