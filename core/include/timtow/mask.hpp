// Masking: every byte of a client's payload is XORed with one of four key bytes in turn
// (RFC 6455 section 5.3). The same operation masks and unmasks.
//
// The loop works on 64 bytes at a time, in whatever vectors the target has. It also ORs all the
// bytes it wrote, because the next question about a text is nearly always "is it ASCII?", and here
// the answer costs nothing.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "timtow/frame.hpp"

namespace timtow {

// The key for the bytes that follow the first `offset` masked ones.
inline MaskingKey rotated(const MaskingKey& key, std::size_t offset) noexcept {
  return {key[offset % 4], key[(offset + 1) % 4], key[(offset + 2) % 4], key[(offset + 3) % 4]};
}

namespace detail {

inline std::uint64_t load8(const std::byte* from) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, from, 8);
  return word;
}

// The blocks of 64 bytes that `size` holds; returns the OR of what was written. Apart, so that
// short payloads do not pay for its registers.
[[gnu::noinline]] inline std::uint64_t mask_blocks(std::byte* to, const std::byte* from,
                                                   std::size_t size, std::uint64_t key) noexcept {
  using Vector [[gnu::vector_size(32)]] = std::uint64_t;  // on any target, in registers of any size
  const Vector keys = Vector{} + key;
  Vector all{};
  for (std::size_t at = 0; at + 64 <= size; at += 64) {
    Vector first;
    Vector second;
    std::memcpy(&first, from + at, 32);
    std::memcpy(&second, from + at + 32, 32);
    first ^= keys;
    second ^= keys;
    all |= first | second;
    std::memcpy(to + at, &first, 32);
    std::memcpy(to + at + 32, &second, 32);
  }
  return all[0] | all[1] | all[2] | all[3];
}

}  // namespace detail

// Writes size bytes of `from` XOR key to `to`, which is either the same place or does not overlap.
// Returns whether all that was written is ASCII.
[[gnu::always_inline]] inline bool mask(std::byte* to, const std::byte* from, std::size_t size,
                                        const MaskingKey& key) noexcept {
  std::uint64_t all = 0;
  if (size >= 8) {
    std::uint32_t key4 = 0;
    std::memcpy(&key4, key.data(), 4);
    const std::uint64_t key8 = std::uint64_t{key4} << 32U | key4;
    // The last word may overlap the one before it, so it is read before anything is written.
    const int turn = static_cast<int>(8 * (size % 4));
    const std::uint64_t last_word =
        detail::load8(from + size - 8) ^
        (std::endian::native == std::endian::little ? std::rotr(key8, turn)
                                                    : std::rotl(key8, turn));
    std::size_t at = 0;
    if (size >= 64) {
      all = detail::mask_blocks(to, from, size, key8);
      at = size & ~std::size_t{63};
    }
    const auto mask_word = [&](std::size_t here) noexcept {
      const std::uint64_t word = detail::load8(from + here) ^ key8;
      all |= word;
      std::memcpy(to + here, &word, 8);
    };
    // At most seven words are left. Counted out like this no compiler makes vectors of them.
    if ((size & 32) != 0) {
      for (std::size_t word = 0; word < 32; word += 8) mask_word(at + word);
      at += 32;
    }
    if ((size & 16) != 0) {
      mask_word(at);
      mask_word(at + 8);
      at += 16;
    }
    if ((size & 8) != 0) mask_word(at);
    all |= last_word;
    std::memcpy(to + size - 8, &last_word, 8);
  } else {
    for (std::size_t i = 0; i < size; ++i) {
      to[i] = from[i] ^ key[i % 4];
      all |= std::to_integer<std::uint64_t>(to[i]);
    }
  }
  return (all & 0x8080808080808080U) == 0;
}

}  // namespace timtow
