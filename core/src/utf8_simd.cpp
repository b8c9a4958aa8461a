// UTF-8 in vectors, by the lookup method of John Keiser and Daniel Lemire, "Validating UTF-8 in
// less than one instruction per byte" (2021).
//
// Whatever can be wrong shows in two bytes that follow each other, by three of their four halves
// (nibbles): both of the first, and the upper of the second. A table for each says which faults it
// allows, a bit a fault; a fault that all three allow is there. So three lookups judge a pair, and
// a vector of pairs at once. One bit is no fault by itself: that both bytes are tails. It has to be
// where a lead of three bytes is two places before, or one of four bytes three, and nowhere else.
#include "utf8_simd.hpp"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace timtow::detail {
namespace {

#if defined(__x86_64__) || defined(__aarch64__)

constexpr std::uint8_t two_tails = 0x80;

struct Tables {
  std::byte first_high[32], first_low[32], second_high[32];  // each twice, for vectors of 32
};

consteval Tables make_tables() {
  // Nibbles as sets: bit n is set when n is one of them.
  constexpr auto from = [](unsigned first, unsigned last) { return (2U << last) - (1U << first); };
  constexpr unsigned any = from(0x0, 0xF);
  constexpr unsigned ascii = from(0x0, 0x7);
  constexpr unsigned tail = from(0x8, 0xB);
  constexpr unsigned lead = from(0xC, 0xF);
  constexpr struct {
    unsigned fault, first_high, first_low, second_high;
  } pairs[] = {
      {0x01, lead, any, ascii | lead},                         // a lead without its tail
      {0x02, ascii, any, tail},                                // a tail without a lead
      {0x04, from(0xC, 0xC), from(0x0, 0x1), tail},            // C0, C1: overlong
      {0x08, from(0xE, 0xE), from(0x0, 0x0), from(0x8, 0x9)},  // E0 80..9F: overlong
      {0x10, from(0xE, 0xE), from(0xD, 0xD), from(0xA, 0xB)},  // ED A0..BF: a surrogate
      {0x20, from(0xF, 0xF), from(0x0, 0x0), from(0x8, 0x8)},  // F0 80..8F: overlong
      {0x20, from(0xF, 0xF), from(0x5, 0xF), from(0x8, 0x8)},  // F5..FF: above U+10FFFF
      {0x40, from(0xF, 0xF), from(0x4, 0xF), from(0x9, 0xB)},  // F4 90..BF as well
      {two_tails, tail, any, tail},
  };
  Tables tables{};
  for (const auto& pair : pairs) {
    for (unsigned i = 0; i < 32; ++i) {
      const auto fault = static_cast<std::byte>(pair.fault);
      if ((pair.first_high >> i % 16 & 1U) != 0) tables.first_high[i] |= fault;
      if ((pair.first_low >> i % 16 & 1U) != 0) tables.first_low[i] |= fault;
      if ((pair.second_high >> i % 16 & 1U) != 0) tables.second_high[i] |= fault;
    }
  }
  return tables;
}

constexpr Tables tables = make_tables();

#endif

// What utf8_vectors.hpp is written in, for each set of instructions: look_up() gives entries of a
// table of 16, subtract() stops at zero, and meet() says whether two vectors have a bit in common.
#if defined(__x86_64__)

namespace avx2 {
#define TIMTOW_TARGET [[gnu::target("avx2")]]
using Vector [[gnu::vector_size(32)]] = unsigned char;

TIMTOW_TARGET inline __m256i native(Vector vector) noexcept {
  return reinterpret_cast<__m256i>(vector);
}
TIMTOW_TARGET inline Vector look_up(Vector table, Vector index) noexcept {
  return reinterpret_cast<Vector>(_mm256_shuffle_epi8(native(table), native(index)));
}
TIMTOW_TARGET inline Vector subtract(Vector from, unsigned char number) noexcept {
  return reinterpret_cast<Vector>(_mm256_subs_epu8(native(from), native(Vector{} + number)));
}
TIMTOW_TARGET inline bool meet(Vector a, Vector b) noexcept {
  return _mm256_testz_si256(native(a), native(b)) == 0;
}
#include "utf8_vectors.hpp"
#undef TIMTOW_TARGET
}  // namespace avx2

namespace sse41 {
#define TIMTOW_TARGET [[gnu::target("sse4.1")]]
using Vector [[gnu::vector_size(16)]] = unsigned char;

TIMTOW_TARGET inline __m128i native(Vector vector) noexcept {
  return reinterpret_cast<__m128i>(vector);
}
TIMTOW_TARGET inline Vector look_up(Vector table, Vector index) noexcept {
  return reinterpret_cast<Vector>(_mm_shuffle_epi8(native(table), native(index)));
}
TIMTOW_TARGET inline Vector subtract(Vector from, unsigned char number) noexcept {
  return reinterpret_cast<Vector>(_mm_subs_epu8(native(from), native(Vector{} + number)));
}
TIMTOW_TARGET inline bool meet(Vector a, Vector b) noexcept {
  return _mm_testz_si128(native(a), native(b)) == 0;
}
#include "utf8_vectors.hpp"
#undef TIMTOW_TARGET
}  // namespace sse41

#elif defined(__aarch64__)

namespace neon {
#define TIMTOW_TARGET
using Vector = uint8x16_t;

inline Vector look_up(Vector table, Vector index) noexcept { return vqtbl1q_u8(table, index); }
inline Vector subtract(Vector from, unsigned char number) noexcept {
  return vqsubq_u8(from, vdupq_n_u8(number));
}
inline bool meet(Vector a, Vector b) noexcept { return vmaxvq_u8(vandq_u8(a, b)) != 0; }
#include "utf8_vectors.hpp"
#undef TIMTOW_TARGET
}  // namespace neon

#endif

const std::byte* skip_nothing(const std::byte* at, const std::byte* /*end*/) noexcept { return at; }

}  // namespace

// What the processor has is read from libgcc's note of it: cheaper than a pointer of our own.
const std::byte* skip_good_utf8(const std::byte* at, const std::byte* end) noexcept {
#if defined(__x86_64__)
  if (end - at >= avx2::width && __builtin_cpu_supports("avx2")) return avx2::skip(at, end);
  if (__builtin_cpu_supports("sse4.1")) return sse41::skip(at, end);
#elif defined(__aarch64__)
  return neon::skip(at, end);
#endif
  return skip_nothing(at, end);
}

std::span<const Utf8Implementation> utf8_implementations() noexcept {
  static constexpr Utf8Implementation all[] = {
#if defined(__x86_64__)
    {"AVX2", avx2::skip},
    {"SSE4.1", sse41::skip},
#elif defined(__aarch64__)
    {"NEON", neon::skip},
#endif
    {"portable", skip_nothing}
  };
  const std::span<const Utf8Implementation> from_best{all};
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("sse4.1")) return from_best.subspan(2);
  if (!__builtin_cpu_supports("avx2")) return from_best.subspan(1);
#endif
  return from_best;
}

}  // namespace timtow::detail
