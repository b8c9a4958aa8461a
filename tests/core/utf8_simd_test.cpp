// Every implementation of the check of UTF-8 that this processor can run, against the automaton.
// (That is held against the grammar in utf8_test.cpp.)
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/hex.hpp"
#include "timtow/utf8.hpp"
#include "utf8_simd.hpp"

using namespace timtow;
using detail::Utf8Implementation;
using test::hex;

namespace {

struct Verdict {
  std::size_t good = 0;
  std::uint8_t state = 0;  // of the automaton, behind the good bytes; 0 where a text may end

  bool operator==(const Verdict&) const = default;
};

Verdict checked(std::string_view text, const Utf8Implementation& by, std::uint8_t state = 0) {
  const std::size_t good = detail::check_utf8(as_bytes(text), state, by.skip);
  return {good, state};
}

// A byte at a time no implementation has anything to do but the automaton.
Verdict by_the_automaton(std::string_view text, std::uint8_t state = 0) {
  Verdict verdict{0, state};
  for (const char& c : text) {
    const Verdict next = checked({&c, 1}, detail::utf8_implementations().back(), verdict.state);
    verdict = {verdict.good + next.good, next.state};
    if (next.good == 0) break;
  }
  return verdict;
}

// Those on trial.
auto in_vectors() {
  const auto all = detail::utf8_implementations();
  return all.first(all.size() - 1);
}

// A byte on each side of every border that the rules or their tables know.
constexpr std::array<unsigned char, 29> borders{
    0x00, 0x41, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x9F, 0xA0, 0xAF, 0xB0, 0xBF, 0xC0, 0xC1, 0xC2,
    0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF};

// Texts that are ASCII but for what they begin with, so that vectors go over them from the fourth
// byte on, and for a sequence that is put anywhere in them.
class Surroundings {
 public:
  // What the automaton says of the sequence in front of ASCII is what all have to say everywhere.
  void put(std::string_view sequence) {
    const std::string alone = std::string{sequence} + 'a';
    const Verdict verdict = by_the_automaton(alone);
    const bool all_good = verdict == Verdict{alone.size(), 0};
    for (std::size_t at = 2; at + sequence.size() < text_.size(); ++at) {
      std::memcpy(&text_[at], sequence.data(), sequence.size());
      const Verdict wanted =
          all_good ? Verdict{text_.size(), 0} : Verdict{at + verdict.good, verdict.state};
      for (const auto& each : in_vectors())
        if (checked(text_, each) != wanted)
          wrong_ = std::string{each.name} + " at " + std::to_string(at) + ": " + hex(sequence);
      std::memset(&text_[at], 'a', sequence.size());
    }
  }

  // The last sequence on which one was wrong.
  const std::string& wrong() const { return wrong_; }

 private:
  // Behind three bytes: a block of two vectors of 32, one vector, one that overlaps.
  std::string text_ = "\xC3\xA9" + std::string(1 + 64 + 32 + 9, 'a');
  std::string wrong_;
};

// Characters of 1 to 4 bytes, of 1 and 2, of 3, of 4, and of 1.
std::string text_of(std::size_t size, std::size_t kind, std::minstd_rand& random) {
  constexpr std::string_view characters[] = {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
  constexpr std::string_view kinds[] = {{"\0\1\2\3", 4}, {"\0\1", 2}, "\2", "\3", {"\0", 1}};
  const std::string_view choice = kinds[kind];
  std::string text;
  while (text.size() < size)
    text += characters[static_cast<unsigned char>(choice[random() % choice.size()])];
  text.resize(size);  // the last one may be cut
  return text;
}
constexpr std::size_t kind_count = 5;

}  // namespace

TEST_CASE("utf8 in vectors: what the processor has is used") {
  const auto all = detail::utf8_implementations();
  REQUIRE_FALSE(all.empty());
  CHECK(all.back().name == std::string_view{"portable"});
#if defined(__x86_64__)
  CHECK(all.size() ==
        1U + (__builtin_cpu_supports("sse4.1") != 0) + (__builtin_cpu_supports("avx2") != 0));
#elif defined(__aarch64__)
  CHECK(all.size() == 2);
#endif
  // Where nothing is wrong, they go over all.
  const std::string text(200, 'a');
  const Bytes bytes = as_bytes(text);
  const std::byte* const end = bytes.data() + bytes.size();
  for (const auto& each : in_vectors()) CHECK(each.skip(bytes.data() + 3, end) == end);
  if (all.size() > 1) CHECK(detail::skip_good_utf8(bytes.data() + 3, end) == end);
  CHECK(sizeof(Utf8Checker) == 1);
}

TEST_CASE("utf8 in vectors: every sequence of one and of two bytes, anywhere in a vector") {
  Surroundings surroundings;
  std::string sequence(2, '\0');
  for (unsigned i = 0; i < 256 * 256; ++i) {
    sequence[0] = static_cast<char>(i >> 8);
    sequence[1] = static_cast<char>(i);
    surroundings.put(sequence);
    if (sequence[1] == 0) surroundings.put(sequence.substr(0, 1));
  }
  CHECK(surroundings.wrong() == "");
}

TEST_CASE("utf8 in vectors: sequences of three and of four bytes, anywhere in a vector") {
  Surroundings surroundings;
  std::string sequence(4, '\0');
  for (const auto a : borders) {
    sequence[0] = static_cast<char>(a);
    for (const auto b : borders) {
      sequence[1] = static_cast<char>(b);
      for (const auto c : borders) {
        sequence[2] = static_cast<char>(c);
        surroundings.put(sequence.substr(0, 3));
        if (a < 0xE0) continue;
        for (const int d : {0x41, 0x80, 0xBF, 0xC2, 0xFF}) {
          sequence[3] = static_cast<char>(d);
          surroundings.put(sequence);
        }
      }
    }
  }
  CHECK(surroundings.wrong() == "");
}

TEST_CASE("utf8 in vectors: every sequence of three bytes") {
  // The first vector of each begins at the second byte of the sequence.
  std::string text = "\xC3\xA9" + std::string(64 + 3, 'a');
  std::string wrong;
  for (unsigned i = 0; i < 256 * 256 * 256; ++i) {
    text[2] = static_cast<char>(i >> 16);
    text[3] = static_cast<char>(i >> 8);
    text[4] = static_cast<char>(i);
    const Verdict wanted = by_the_automaton({text.data(), 6});
    const bool all_good = wanted == Verdict{6, 0};
    for (const auto& each : in_vectors())
      if (checked(text, each) != (all_good ? Verdict{text.size(), 0} : wanted))
        wrong = each.name + (": " + hex(text.substr(2, 3)));
  }
  CHECK(wrong == "");
}

TEST_CASE("utf8 in vectors: all code points in one text") {
  std::string text;
  const auto add = [&](unsigned byte) { text += static_cast<char>(byte); };
  const auto add_tail = [&](unsigned c, unsigned shift) { add(0x80 | (c >> shift & 0x3F)); };
  for (unsigned c = 0x80; c < 0x800; ++c) add(0xC0 | c >> 6), add_tail(c, 0);
  for (unsigned c = 0x800; c < 0x10000; ++c)
    if (c < 0xD800 || c > 0xDFFF) add(0xE0 | c >> 12), add_tail(c, 6), add_tail(c, 0);
  for (unsigned c = 0x10000; c < 0x110000; ++c)
    add(0xF0 | c >> 18), add_tail(c, 12), add_tail(c, 6), add_tail(c, 0);
  const Bytes bytes = as_bytes(text);
  const std::byte* const end = bytes.data() + bytes.size();
  REQUIRE(by_the_automaton(text) == Verdict{text.size(), 0});
  for (std::size_t from = 3; from < 3 + 64; ++from)
    for (const auto& each : in_vectors()) CHECK(each.skip(bytes.data() + from, end) == end);
}

TEST_CASE("utf8 in vectors: texts of every size, in memory of just that size") {
  std::minstd_rand random;
  for (std::size_t kind = 0; kind < kind_count; ++kind) {
    for (std::size_t size = 0; size <= 300; ++size) {
      const std::string text = text_of(size, kind, random);
      const auto memory = std::make_unique<char[]>(size);
      std::copy(text.begin(), text.end(), memory.get());
      const Verdict wanted = by_the_automaton(text);
      REQUIRE(wanted.good == size);
      for (const auto& each : in_vectors()) {
        const bool same = checked({memory.get(), size}, each) == wanted;
        CHECK_MESSAGE(same, each.name, ": ", size, " bytes of kind ", kind);
      }
    }
  }
}

TEST_CASE("utf8 in vectors: one wrong byte anywhere in a text") {
  std::minstd_rand random;
  for (std::size_t kind = 0; kind < kind_count; ++kind) {
    for (const std::size_t size : {19U, 35U, 67U, 140U, 300U}) {
      std::string text = text_of(size, kind, random);
      for (char& c : text) {
        const char right = c;
        for (const auto byte : borders) {
          c = static_cast<char>(byte);
          const Verdict wanted = by_the_automaton(text);
          for (const auto& each : in_vectors()) {
            const bool same = checked(text, each) == wanted;
            CHECK_MESSAGE(same, each.name, ": ", hex(text));
          }
        }
        c = right;
      }
    }
  }
}

TEST_CASE("utf8 in vectors: a text in three parts, cut anywhere") {
  std::minstd_rand random;
  for (std::size_t kind = 0; kind < kind_count; ++kind) {
    const std::string good = text_of(110, kind, random);
    std::string bad = good;
    bad[90] = '\xFF';
    for (const std::string_view text : {std::string_view{good}, std::string_view{bad}}) {
      const Verdict wanted = by_the_automaton(text);
      for (const auto& each : in_vectors()) {
        for (std::size_t i = 0; i <= text.size(); ++i) {
          for (std::size_t j = i; j <= text.size(); ++j) {
            Verdict verdict;
            std::size_t end = 0;
            for (const auto part : {text.substr(0, i), text.substr(i, j - i), text.substr(j)}) {
              if (verdict.good != end) break;
              end += part.size();
              const Verdict next = checked(part, each, verdict.state);
              verdict = {verdict.good + next.good, next.state};
            }
            const bool same = verdict == wanted;
            CHECK_MESSAGE(same, each.name, " cut at ", i, " and ", j, ": ", hex(text));
          }
        }
      }
    }
  }
}

TEST_CASE("utf8 in vectors: a text goes on from what the part before it has left") {
  const std::string_view before[] = {"",     "\xC3",     "\xE2",         "\xE2\x82", "\xE0", "\xED",
                                     "\xF0", "\xF0\x9F", "\xF0\x9F\x98", "\xF4",     "\xFF"};
  for (const auto& each : detail::utf8_implementations()) {
    for (const std::string_view part : before) {
      const std::uint8_t state = by_the_automaton(part).state;
      for (const std::string_view tails : {"", "\x80", "\x98\x80", "\xBF\xBF\xBF", "\xC3\xA9"}) {
        for (const std::size_t size : {8U, 16U, 19U, 40U, 200U}) {
          const std::string text = std::string{tails} + std::string(size, 'a');
          const bool same = checked(text, each, state) == by_the_automaton(text, state);
          CHECK_MESSAGE(same, each.name, ": ", hex(part), " before ", hex(text));
        }
      }
    }
  }
}
