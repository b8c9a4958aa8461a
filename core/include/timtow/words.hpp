// Words of several sizes, and how a few bytes are covered with two of them: the first and the last,
// which overlap where they have to. So no loop counts the bytes of a short payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace timtow::detail {

using Word16 [[gnu::vector_size(16)]] = std::uint32_t;  // on any target

template <typename Word>
Word load(const std::byte* from) noexcept {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

template <typename Word>
void store(std::byte* to, Word word) noexcept {
  std::memcpy(to, &word, sizeof word);
}

// `size` is that of one to two words.
template <typename Word>
void copy_ends(std::byte* to, const std::byte* from, std::size_t size) noexcept {
  const std::size_t last = size - sizeof(Word);
  const Word words[2] = {load<Word>(from), load<Word>(from + last)};
  store(to, words[0]);
  store(to + last, words[1]);
}

// memcpy() for what is mostly short: only a long copy is worth a call.
inline void copy_short(std::byte* to, const std::byte* from, std::size_t size) noexcept {
  if (size > 32) {
    std::memcpy(to, from, size);
  } else if (size >= 16) {
    copy_ends<Word16>(to, from, size);
  } else if (size >= 8) {
    copy_ends<std::uint64_t>(to, from, size);
  } else if (size >= 4) {
    copy_ends<std::uint32_t>(to, from, size);
  } else {
    for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
  }
}

}  // namespace timtow::detail
