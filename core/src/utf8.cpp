#include "timtow/utf8.hpp"

#include <algorithm>
#include <cstring>

#include "utf8_simd.hpp"

namespace timtow {
namespace {

// The classes a byte can be of, by what may follow it and what it may follow.
enum Class : std::uint8_t {
  ascii,     // 00..7F
  tail_8,    // 80..8F
  tail_9,    // 90..9F
  tail_a,    // A0..BF
  lead_2,    // C2..DF
  lead_e0,   // E0: then A0..BF, or the form is overlong
  lead_3,    // E1..EC, EE, EF
  lead_ed,   // ED: then 80..9F, or it is a surrogate
  lead_f0,   // F0: then 90..BF, or the form is overlong
  lead_4,    // F1..F3
  lead_f4,   // F4: then 80..8F, or it is above U+10FFFF
  bad_byte,  // C0, C1, F5..FF
  class_count
};

// What may come next.
enum State : std::uint8_t {
  start,
  tail_1,    // one more tail
  tail_2,    // two more
  tail_3,    // three more
  after_e0,  // a tail of A0..BF, then one more
  after_ed,  // a tail of 80..9F, then one more
  after_f0,  // a tail of 90..BF, then two more
  after_f4,  // a tail of 80..8F, then two more
  bad,
  state_count
};

consteval Class class_of(unsigned byte) {
  if (byte < 0x80) return ascii;
  if (byte < 0x90) return tail_8;
  if (byte < 0xA0) return tail_9;
  if (byte < 0xC0) return tail_a;
  if (byte < 0xC2) return bad_byte;
  if (byte < 0xE0) return lead_2;
  if (byte == 0xE0) return lead_e0;
  if (byte == 0xED) return lead_ed;
  if (byte < 0xF0) return lead_3;
  if (byte == 0xF0) return lead_f0;
  if (byte < 0xF4) return lead_4;
  return byte == 0xF4 ? lead_f4 : bad_byte;
}

struct Tables {
  std::uint8_t class_of_byte[256];
  std::uint8_t next[state_count][class_count];
};

consteval Tables make_tables() {
  Tables tables{};
  for (unsigned byte = 0; byte < 256; ++byte) tables.class_of_byte[byte] = class_of(byte);
  for (auto& row : tables.next)
    for (auto& cell : row) cell = bad;
  auto& next = tables.next;
  next[start][ascii] = start;
  next[start][lead_2] = tail_1;
  next[start][lead_3] = tail_2;
  next[start][lead_4] = tail_3;
  next[start][lead_e0] = after_e0;
  next[start][lead_ed] = after_ed;
  next[start][lead_f0] = after_f0;
  next[start][lead_f4] = after_f4;
  for (const auto tail : {tail_8, tail_9, tail_a}) {
    next[tail_1][tail] = start;
    next[tail_2][tail] = tail_1;
    next[tail_3][tail] = tail_2;
  }
  next[after_e0][tail_a] = tail_1;
  next[after_ed][tail_8] = next[after_ed][tail_9] = tail_1;
  next[after_f0][tail_9] = next[after_f0][tail_a] = tail_2;
  next[after_f4][tail_8] = tail_2;
  return tables;
}

constexpr Tables tables = make_tables();

bool is_ascii_8(const std::byte* at) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, at, 8);
  return (word & 0x8080808080808080U) == 0;
}

// Each of these goes on behind the first `good` bytes, and returns how many are good in all.

// By the automaton alone.
[[gnu::noinline]] std::size_t run(Bytes bytes, std::size_t good, std::uint8_t& state) noexcept {
  const std::byte* at = bytes.data() + good;
  const std::byte* const end = bytes.data() + bytes.size();
  std::uint8_t now = state;
  while (at != end) {
    if (now == start) {
      while (end - at >= 8 && is_ascii_8(at)) at += 8;
      while (at != end && *at < std::byte{0x80}) ++at;
      if (at == end) break;
    }
    now = tables.next[now][tables.class_of_byte[std::to_integer<std::size_t>(*at)]];
    if (now == bad) break;
    ++at;
  }
  state = now;
  return static_cast<std::size_t>(at - bytes.data());
}

// In vectors. These look back three bytes, so the next three go through the automaton, which also
// knows what is unfinished. Behind the vectors, it finds what state the text ends in or its first
// bad byte, from the last character on that may be unfinished.
[[gnu::noinline]] std::size_t run_vectors(Bytes bytes, std::size_t good, std::uint8_t& state,
                                          detail::SkipUtf8 skip) noexcept {
  good = run(bytes.first(good + 3), good, state);
  if (state == bad) return good;
  const std::byte* const at = skip(bytes.data() + good, bytes.data() + bytes.size());
  good = static_cast<std::size_t>(at - bytes.data());
  for (std::size_t i = 1; i <= 3; ++i) {
    if (bytes[good - i] >= std::byte{0xC0}) {
      good -= i;
      break;
    }
  }
  state = start;
  return run(bytes, good, state);
}

}  // namespace

std::size_t detail::check_utf8(Bytes bytes, std::uint8_t& state, SkipUtf8 skip) noexcept {
  std::size_t good = 0;
  if (state == start) {
    // A short text is nearly always ASCII.
    const std::size_t size = std::min<std::size_t>(bytes.size(), 128);
    while (size - good >= 8 && is_ascii_8(bytes.data() + good)) good += 8;
  }
  if (bytes.size() - good < utf8_worth_vectors) return run(bytes, good, state);
  return run_vectors(bytes, good, state, skip);
}

std::size_t Utf8Checker::check(Bytes bytes) noexcept {
  return detail::check_utf8(bytes, state_, detail::skip_good_utf8);
}

}  // namespace timtow
