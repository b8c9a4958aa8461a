#include "timtow/digest.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "timtow/frame.hpp"

namespace timtow {
namespace {

using Block = std::array<std::byte, 64>;

void sha1_block(std::array<std::uint32_t, 5>& hash, const Block& block) noexcept {
  std::array<std::uint32_t, 80> word{};
  for (std::size_t i = 0; i < 16; ++i)
    word[i] =
        static_cast<std::uint32_t>(detail::load_big_endian<std::uint32_t>(block.data() + 4 * i));
  for (std::size_t i = 16; i < 80; ++i)
    word[i] = std::rotl(word[i - 3] ^ word[i - 8] ^ word[i - 14] ^ word[i - 16], 1);

  auto [a, b, c, d, e] = hash;
  for (std::size_t i = 0; i < 80; ++i) {
    std::uint32_t mixed = 0;
    if (i < 20)
      mixed = ((b & c) | (~b & d)) + 0x5A827999U;
    else if (i < 40)
      mixed = (b ^ c ^ d) + 0x6ED9EBA1U;
    else if (i < 60)
      mixed = ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDCU;
    else
      mixed = (b ^ c ^ d) + 0xCA62C1D6U;
    const std::uint32_t next = std::rotl(a, 5) + mixed + e + word[i];
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  hash = {hash[0] + a, hash[1] + b, hash[2] + c, hash[3] + d, hash[4] + e};
}

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::array<std::byte, 20> sha1(Bytes message) noexcept {
  std::array<std::uint32_t, 5> hash{0x67452301U, 0xEFCDAB89U, 0x98BADCFEU, 0x10325476U,
                                    0xC3D2E1F0U};
  const std::uint64_t bits = std::uint64_t{message.size()} * 8;
  Block block{};
  for (; message.size() >= block.size(); message = message.subspan(block.size())) {
    std::copy_n(message.data(), block.size(), block.data());
    sha1_block(hash, block);
  }
  // The padding: one set bit, zeros, and the length in the last eight bytes.
  block = {};
  std::copy(message.begin(), message.end(), block.begin());
  block[message.size()] = std::byte{0x80};
  if (message.size() >= block.size() - 8) {
    sha1_block(hash, block);
    block = {};
  }
  detail::store_big_endian<std::uint64_t>(block.data() + block.size() - 8, bits);
  sha1_block(hash, block);

  std::array<std::byte, 20> digest{};
  for (std::size_t i = 0; i < hash.size(); ++i)
    detail::store_big_endian<std::uint32_t>(digest.data() + 4 * i, hash[i]);
  return digest;
}

std::string base64(Bytes bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t in_group = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8U | (j < in_group ? std::to_integer<std::uint32_t>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j)
      text += j <= in_group ? alphabet[group >> (18 - 6 * j) & 0x3FU] : '=';
  }
  return text;
}

bool is_base64_of_16_bytes(std::string_view text) noexcept {
  if (text.size() != 24 || text.substr(22) != "==") return false;
  const std::string_view digits = text.substr(0, 22);
  if (digits.find_first_not_of(alphabet) != std::string_view::npos) return false;
  // The last digit holds two bits of the 16th byte and four that have to be zero.
  return alphabet.find(digits.back()) % 16 == 0;
}

std::string accept_for(std::string_view key) {
  std::string text{key};
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 section 1.3
  return base64(sha1(as_bytes(text)));
}

}  // namespace timtow
