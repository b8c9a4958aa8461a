// UTF-8 in vectors: what utf8.cpp asks of them, and what tests and benchmarks need to try each
// implementation on its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "timtow/bytes.hpp"

namespace timtow::detail {

// Goes over whole vectors from `at` on, the last of which may overlap the one before it, and
// returns where it stops: at `end`, in front of the first that something is wrong in, or at once
// when there is less than a vector. It looks back at three bytes in front of `at`. What it went
// over is good, but that its last character may be unfinished, or its last byte one that begins no
// character.
using SkipUtf8 = const std::byte* (*)(const std::byte* at, const std::byte* end) noexcept;

// Shorter texts are not worth it: three bytes to look back at, and a vector.
inline constexpr std::size_t utf8_worth_vectors = 3 + 16;

// By the best instructions that this processor has; without any it stops at once.
const std::byte* skip_good_utf8(const std::byte* at, const std::byte* end) noexcept;

struct Utf8Implementation {
  const char* name;
  SkipUtf8 skip;
};

// Those that this processor can run, the best first.
std::span<const Utf8Implementation> utf8_implementations() noexcept;

// Utf8Checker::check() on its state, by the implementation given.
std::size_t check_utf8(Bytes bytes, std::uint8_t& state, SkipUtf8 skip) noexcept;

}  // namespace timtow::detail
