// Masking: every byte of a client's payload is XORed with one of four key bytes in turn
// (RFC 6455 section 5.3). The same operation masks and unmasks.
//
// Long payloads go by 32 bytes, in whatever vectors the target has. All that is written is ORed as
// well, because the next question about a text is nearly always "is it ASCII?", and here the answer
// costs nothing.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "timtow/frame.hpp"
#include "timtow/words.hpp"

namespace timtow {

// The key for the bytes that follow the first `offset` masked ones.
inline MaskingKey rotated(const MaskingKey& key, std::size_t offset) noexcept {
  return {key[offset % 4], key[(offset + 1) % 4], key[(offset + 2) % 4], key[(offset + 3) % 4]};
}

namespace detail {

// The four key bytes, over and over.
template <typename Word>
Word repeated(std::uint32_t key) noexcept {
  if constexpr (std::is_same_v<Word, std::uint64_t>)
    return std::uint64_t{key} << 32U | key;
  else
    return Word{} + key;
}

// The OR of the parts of a word, as far as ASCII is concerned.
template <typename Word>
std::uint64_t fold(Word word) noexcept {
  if constexpr (sizeof(Word) <= 8) {
    return word;
  } else {
    using Halves [[gnu::vector_size(16)]] = std::uint64_t;
    const auto halves = std::bit_cast<Halves>(word);
    return halves[0] | halves[1];
  }
}

// Each of these masks, and returns the OR of what it wrote. Here `size` is that of one to two
// words; the last may overlap the first, so both are read before anything is written.
template <typename Word>
std::uint64_t mask_ends(std::byte* to, const std::byte* from, std::size_t size,
                        std::uint32_t key) noexcept {
  const int turn = static_cast<int>(8 * (size % 4));
  const std::uint32_t last_key =
      std::endian::native == std::endian::little ? std::rotr(key, turn) : std::rotl(key, turn);
  const std::size_t at_last = size - sizeof(Word);
  const Word first = load<Word>(from) ^ repeated<Word>(key);
  const Word last = load<Word>(from + at_last) ^ repeated<Word>(last_key);
  store(to, first);
  store(to + at_last, last);
  return fold<Word>(first | last);
}

// Here `size` is a multiple of 32.
inline std::uint64_t mask_blocks(std::byte* to, const std::byte* from, std::size_t size,
                                 std::uint32_t key) noexcept {
  using Vector [[gnu::vector_size(32)]] = std::uint64_t;  // on any target, in registers of any size
  const Vector keys = Vector{} + repeated<std::uint64_t>(key);
  Vector all{};
  const auto mask_vectors = [&](int count) noexcept {
    for (; count > 0; --count, to += sizeof(Vector), from += sizeof(Vector)) {
      Vector vector;
      std::memcpy(&vector, from, sizeof vector);
      vector ^= keys;
      all |= vector;
      std::memcpy(to, &vector, sizeof vector);
    }
  };
  for (; size >= 256; size -= 256) mask_vectors(8);
  for (; size > 0; size -= 32) mask_vectors(1);
  return all[0] | all[1] | all[2] | all[3];
}

}  // namespace detail

// Writes size bytes of `from` XOR key to `to`: the same place, one in front of it, or one that does
// not overlap.
// Returns whether all that was written is ASCII. Never inlined: it needs registers that its callers
// need as well.
[[gnu::noinline]] inline bool mask(std::byte* to, const std::byte* from, std::size_t size,
                                   MaskingKey key) noexcept {
  const auto key4 = std::bit_cast<std::uint32_t>(key);
  std::uint64_t all = 0;
  if (size >= 32) {
    const std::size_t in_blocks = size - size % 32;
    all = detail::mask_blocks(to, from, in_blocks, key4);
    to += in_blocks;
    from += in_blocks;
    size -= in_blocks;
  }
  if (size >= 16) {
    all |= detail::mask_ends<detail::Word16>(to, from, size, key4);
  } else if (size >= 8) {
    all |= detail::mask_ends<std::uint64_t>(to, from, size, key4);
  } else if (size >= 4) {
    all |= detail::mask_ends<std::uint32_t>(to, from, size, key4);
  } else {
    for (std::size_t i = 0; i < size; ++i) {
      to[i] = from[i] ^ key[i];
      all |= std::to_integer<std::uint64_t>(to[i]);
    }
  }
  return (all & 0x8080808080808080U) == 0;
}

}  // namespace timtow
