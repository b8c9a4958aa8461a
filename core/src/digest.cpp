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

// The integer parts of 2^32 times |sin(i + 1)|.
constexpr std::array<std::uint32_t, 64> md5_sines{
    0xD76AA478U, 0xE8C7B756U, 0x242070DBU, 0xC1BDCEEEU, 0xF57C0FAFU, 0x4787C62AU, 0xA8304613U,
    0xFD469501U, 0x698098D8U, 0x8B44F7AFU, 0xFFFF5BB1U, 0x895CD7BEU, 0x6B901122U, 0xFD987193U,
    0xA679438EU, 0x49B40821U, 0xF61E2562U, 0xC040B340U, 0x265E5A51U, 0xE9B6C7AAU, 0xD62F105DU,
    0x02441453U, 0xD8A1E681U, 0xE7D3FBC8U, 0x21E1CDE6U, 0xC33707D6U, 0xF4D50D87U, 0x455A14EDU,
    0xA9E3E905U, 0xFCEFA3F8U, 0x676F02D9U, 0x8D2A4C8AU, 0xFFFA3942U, 0x8771F681U, 0x6D9D6122U,
    0xFDE5380CU, 0xA4BEEA44U, 0x4BDECFA9U, 0xF6BB4B60U, 0xBEBFBC70U, 0x289B7EC6U, 0xEAA127FAU,
    0xD4EF3085U, 0x04881D05U, 0xD9D4D039U, 0xE6DB99E5U, 0x1FA27CF8U, 0xC4AC5665U, 0xF4292244U,
    0x432AFF97U, 0xAB9423A7U, 0xFC93A039U, 0x655B59C3U, 0x8F0CCC92U, 0xFFEFF47DU, 0x85845DD1U,
    0x6FA87E4FU, 0xFE2CE6E0U, 0xA3014314U, 0x4E0811A1U, 0xF7537E82U, 0xBD3AF235U, 0x2AD7D2BBU,
    0xEB86D391U,
};

std::uint32_t load_little_endian(const std::byte* from) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8U | std::to_integer<std::uint32_t>(from[i]);
  return value;
}

template <typename Integer>
void store_little_endian(std::byte* to, Integer value) noexcept {
  for (std::size_t i = 0; i < sizeof value; ++i)
    to[i] = static_cast<std::byte>(value >> 8 * i & 0xFFU);
}

void md5_block(std::array<std::uint32_t, 4>& hash, const Block& block) noexcept {
  constexpr int rotations[4][4] = {
      {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
  auto [a, b, c, d] = hash;
  for (std::size_t i = 0; i < 64; ++i) {
    const std::size_t round = i / 16;
    std::uint32_t mixed = 0;
    std::size_t word = i;
    if (round == 0) {
      mixed = (b & c) | (~b & d);
    } else if (round == 1) {
      mixed = (d & b) | (~d & c);
      word = 5 * i + 1;
    } else if (round == 2) {
      mixed = b ^ c ^ d;
      word = 3 * i + 5;
    } else {
      mixed = c ^ (b | ~d);
      word = 7 * i;
    }
    mixed += a + md5_sines[i] + load_little_endian(block.data() + 4 * (word % 16));
    a = d;
    d = c;
    c = b;
    b += std::rotl(mixed, rotations[round][i % 4]);
  }
  hash = {hash[0] + a, hash[1] + b, hash[2] + c, hash[3] + d};
}

// Calls the function for each block of the message with its padding: one set bit, zeros, and the
// length in bits, in the last eight bytes.
template <typename StoreLength, typename Function>
void for_each_block(Bytes message, StoreLength store_length, Function function) noexcept {
  const std::uint64_t bits = std::uint64_t{message.size()} * 8;
  Block block{};
  for (; message.size() >= block.size(); message = message.subspan(block.size())) {
    std::copy_n(message.data(), block.size(), block.data());
    function(block);
  }
  block = {};
  std::copy(message.begin(), message.end(), block.begin());
  block[message.size()] = std::byte{0x80};
  if (message.size() >= block.size() - 8) {
    function(block);
    block = {};
  }
  store_length(block.data() + block.size() - 8, bits);
  function(block);
}

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::array<std::byte, 20> sha1(Bytes message) noexcept {
  std::array<std::uint32_t, 5> hash{0x67452301U, 0xEFCDAB89U, 0x98BADCFEU, 0x10325476U,
                                    0xC3D2E1F0U};
  for_each_block(message, detail::store_big_endian<std::uint64_t>,
                 [&](const Block& block) { sha1_block(hash, block); });
  std::array<std::byte, 20> digest{};
  for (std::size_t i = 0; i < hash.size(); ++i)
    detail::store_big_endian<std::uint32_t>(digest.data() + 4 * i, hash[i]);
  return digest;
}

std::array<std::byte, 16> md5(Bytes message) noexcept {
  std::array<std::uint32_t, 4> hash{0x67452301U, 0xEFCDAB89U, 0x98BADCFEU, 0x10325476U};
  for_each_block(message, store_little_endian<std::uint64_t>,
                 [&](const Block& block) { md5_block(hash, block); });
  std::array<std::byte, 16> digest{};
  for (std::size_t i = 0; i < hash.size(); ++i) store_little_endian(digest.data() + 4 * i, hash[i]);
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
