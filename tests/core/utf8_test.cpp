#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "support/hex.hpp"
#include "timtow/utf8.hpp"

using namespace timtow;
using test::hex;

namespace {

struct Verdict {
  std::size_t good = 0;  // bytes before the first bad one
  bool complete = true;  // the text may end here

  bool operator==(const Verdict&) const = default;
};

struct Range {
  unsigned first, last;
  bool holds(unsigned char byte) const { return first <= byte && byte <= last; }
};

// The grammar of RFC 3629 section 4, line by line. No byte begins more than one of them.
constexpr Range tail{0x80, 0xBF};
const std::vector<std::vector<Range>> grammar = {
    {{0x00, 0x7F}},
    {{0xC2, 0xDF}, tail},
    {{0xE0, 0xE0}, {0xA0, 0xBF}, tail},
    {{0xE1, 0xEC}, tail, tail},
    {{0xED, 0xED}, {0x80, 0x9F}, tail},
    {{0xEE, 0xEF}, tail, tail},
    {{0xF0, 0xF0}, {0x90, 0xBF}, tail, tail},
    {{0xF1, 0xF3}, tail, tail, tail},
    {{0xF4, 0xF4}, {0x80, 0x8F}, tail, tail},
};

const std::vector<Range>* character_beginning_with(char c) {
  for (const auto& character : grammar)
    if (character[0].holds(static_cast<unsigned char>(c))) return &character;
  return nullptr;
}

// What the grammar says of a text: simple, slow, and written from nothing but it.
Verdict by_the_grammar(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto* const character = character_beginning_with(text[at]);
    if (character == nullptr) return {at, false};
    for (const Range& range : *character) {
      if (at == text.size()) return {at, false};
      if (!range.holds(static_cast<unsigned char>(text[at]))) return {at, false};
      ++at;
    }
  }
  return {at, true};
}

Verdict checked(std::string_view text) {
  Utf8Checker checker;
  const std::size_t good = checker.check(as_bytes(text));
  return {good, checker.complete()};
}

Verdict checked_in(std::initializer_list<std::string_view> parts) {
  Utf8Checker checker;
  Verdict verdict;
  for (const auto part : parts) {
    const std::size_t good = checker.check(as_bytes(part));
    verdict = {verdict.good + good, checker.complete()};
    if (good != part.size()) break;
  }
  return verdict;
}

std::string encoded(std::uint32_t c) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
  const auto tail_of = [&](unsigned shift) { return byte(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xC0 | c >> 6), tail_of(0)};
  if (c < 0x10000) return {byte(0xE0 | c >> 12), tail_of(6), tail_of(0)};
  return {byte(0xF0 | c >> 18), tail_of(12), tail_of(6), tail_of(0)};
}

constexpr bool is_surrogate(std::uint32_t c) { return c >= 0xD800 && c <= 0xDFFF; }

}  // namespace

TEST_CASE(
    "utf8: every code point from U+0000 to U+10FFFF but the surrogates (RFC 3629 section 3)") {
  std::uint32_t wrong = 0;
  for (std::uint32_t c = 0; c <= 0x10FFFF; ++c)
    if (is_utf8(as_bytes(encoded(c))) == is_surrogate(c)) ++wrong;
  CHECK(wrong == 0);
  CHECK_FALSE(is_utf8(as_bytes(encoded(0x110000))));
  CHECK_FALSE(is_utf8(as_bytes(encoded(0x1FFFFF))));
}

TEST_CASE("utf8: all code points in one text") {
  std::string text;
  for (std::uint32_t c = 0; c <= 0x10FFFF; ++c)
    if (!is_surrogate(c)) text += encoded(c);
  CHECK(checked(text) == Verdict{text.size(), true});
}

TEST_CASE("utf8: every sequence of one and of two bytes against the grammar of RFC 3629") {
  CHECK(checked("") == Verdict{0, true});
  for (unsigned a = 0; a < 256; ++a) {
    std::string text(1, static_cast<char>(a));
    CHECK_MESSAGE(checked(text) == by_the_grammar(text), hex(text));
    text += '\0';
    for (unsigned b = 0; b < 256; ++b) {
      text[1] = static_cast<char>(b);
      CHECK_MESSAGE(checked(text) == by_the_grammar(text), hex(text));
    }
  }
}

TEST_CASE("utf8: every sequence of three bytes against the grammar of RFC 3629") {
  std::string text(3, '\0');
  std::string wrong;
  for (unsigned i = 0; i < 256 * 256 * 256; ++i) {
    text[0] = static_cast<char>(i >> 16);
    text[1] = static_cast<char>(i >> 8);
    text[2] = static_cast<char>(i);
    if (checked(text) != by_the_grammar(text)) wrong = text;
  }
  CHECK(hex(wrong).empty());
}

TEST_CASE("utf8: sequences of four and more bytes against the grammar of RFC 3629") {
  constexpr std::array<unsigned char, 14> others{0x00, 0x41, 0x7F, 0x80, 0x81, 0x8F, 0x90,
                                                 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xF0, 0xFF};
  std::string text(5, 'x');
  for (unsigned lead = 0xF0; lead <= 0xF7; ++lead) {
    text[0] = static_cast<char>(lead);
    for (const auto b : others) {
      text[1] = static_cast<char>(b);
      for (const auto c : others) {
        text[2] = static_cast<char>(c);
        for (const auto d : others) {
          text[3] = static_cast<char>(d);
          for (const std::size_t size : {4U, 5U}) {
            const std::string_view part{text.data(), size};
            const bool same = checked(part) == by_the_grammar(part);
            CHECK_MESSAGE(same, hex(part));
          }
        }
      }
    }
  }
}

// A text may be split anywhere, and a bad byte is found where it stands and not later.
TEST_CASE("utf8: the same verdict at every split and byte by byte") {
  const std::string texts[] = {
      "",
      "plain ASCII, long enough for the fast path",
      "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5 and \xF0\x9F\x98\x80!",
      "ASCII up to a cut character \xF0\x9F\x98",
      "\xE2\x82",
      "good, then overlong: \xC0\xAF and more text behind",
      "a surrogate \xED\xA0\x80 inside of a text",
      "0123456789abcdef\xFF 0123456789abcdef",
      "too large \xF4\x90\x80\x80, which no code point is",
      "a tail alone \x80",
      "a lead before ASCII \xE2\x82x",
      std::string("a zero \0 is a character", 23),
  };
  for (const auto& text : texts) {
    const std::string_view whole = text;
    const Verdict wanted = by_the_grammar(whole);
    CAPTURE(text);
    CHECK(checked(whole) == wanted);
    for (std::size_t i = 0; i <= whole.size(); ++i) {
      CHECK(checked_in({whole.substr(0, i), whole.substr(i)}) == wanted);
      for (std::size_t j = i; j <= whole.size(); ++j)
        CHECK(checked_in({whole.substr(0, i), whole.substr(i, j - i), whole.substr(j)}) == wanted);
    }
    Utf8Checker checker;
    std::size_t good = 0;
    for (const char& c : whole) {
      if (checker.check(as_bytes({&c, 1})) == 0) break;
      ++good;
      CHECK(checker.complete() == by_the_grammar(whole.substr(0, good)).complete);
    }
    CHECK(good == wanted.good);
  }
}

TEST_CASE("utf8: after a bad byte nothing is good any more until reset()") {
  Utf8Checker checker;
  CHECK(checker.check(as_bytes("ab\xFFzz")) == 2);
  CHECK_FALSE(checker.complete());
  CHECK(checker.check(as_bytes("a")) == 0);
  CHECK(checker.check(as_bytes("0123456789abcdef")) == 0);
  CHECK_FALSE(checker.complete());
  checker.reset();
  CHECK(checker.complete());
  CHECK(checker.check(as_bytes("a")) == 1);
  CHECK(checker.complete());
}

// The fast path takes eight bytes at a time from wherever it stands.
TEST_CASE("utf8: a byte above 7F is found behind ASCII of every length and alignment") {
  alignas(64) std::array<char, 128> place;
  for (std::size_t alignment = 0; alignment < 16; ++alignment) {
    for (std::size_t size = 1; size <= 48; ++size) {
      place.fill('x');
      const std::string_view text{place.data() + alignment, size};
      CHECK(checked(text) == Verdict{size, true});
      for (std::size_t position = 0; position < size; ++position) {
        char& c = place[alignment + position];
        c = '\x80';
        const Verdict bad = checked(text);
        c = '\xC3';
        const Verdict cut = checked(text);
        c = 'x';
        const bool right = bad == Verdict{position, false} && cut == Verdict{position + 1, false};
        CHECK_MESSAGE(right, size, " bytes from ", alignment, ", changed at ", position);
      }
    }
  }
}

// Markus Kuhn, "UTF-8 decoder capability and stress test", by its section numbers.
TEST_CASE("utf8: Kuhn's stress test") {
  struct Case {
    const char* section;
    std::string_view text;
    std::size_t good;
    bool complete;
  };
  using namespace std::string_view_literals;
  const Case cases[] = {
      {"1 correct", "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5", 11, true},
      {"2.1.1 first of 1 byte", "\x00"sv, 1, true},
      {"2.1.2 first of 2 bytes", "\xC2\x80", 2, true},
      {"2.1.3 first of 3 bytes", "\xE0\xA0\x80", 3, true},
      {"2.1.4 first of 4 bytes", "\xF0\x90\x80\x80", 4, true},
      {"2.1.5 first of 5 bytes", "\xF8\x88\x80\x80\x80", 0, false},
      {"2.1.6 first of 6 bytes", "\xFC\x84\x80\x80\x80\x80", 0, false},
      {"2.2.1 last of 1 byte", "\x7F", 1, true},
      {"2.2.2 last of 2 bytes", "\xDF\xBF", 2, true},
      {"2.2.3 last of 3 bytes", "\xEF\xBF\xBF", 3, true},
      {"2.2.4 last of 4 bytes", "\xF7\xBF\xBF\xBF", 0, false},
      {"2.2.5 last of 5 bytes", "\xFB\xBF\xBF\xBF\xBF", 0, false},
      {"2.2.6 last of 6 bytes", "\xFD\xBF\xBF\xBF\xBF\xBF", 0, false},
      {"2.3.1 U+D7FF", "\xED\x9F\xBF", 3, true},
      {"2.3.2 U+E000", "\xEE\x80\x80", 3, true},
      {"2.3.3 U+FFFD", "\xEF\xBF\xBD", 3, true},
      {"2.3.4 U+10FFFF", "\xF4\x8F\xBF\xBF", 4, true},
      {"2.3.5 U+110000", "\xF4\x90\x80\x80", 1, false},
      {"3.1.1 first tail", "\x80", 0, false},
      {"3.1.2 last tail", "\xBF", 0, false},
      {"3.1.3 two tails", "\x80\xBF", 0, false},
      {"3.2.1 lead of 2 and space", "\xC2 ", 1, false},
      {"3.2.2 lead of 3 and space", "\xE1 ", 1, false},
      {"3.2.3 lead of 4 and space", "\xF1 ", 1, false},
      {"3.2.4 lead of 5 and space", "\xF8 ", 0, false},
      {"3.2.5 lead of 6 and space", "\xFC ", 0, false},
      {"3.3.1 2 bytes, last missing", "\xC3", 1, false},
      {"3.3.2 3 bytes, last missing", "\xE0\xA0", 2, false},
      {"3.3.3 4 bytes, last missing", "\xF0\x90\x80", 3, false},
      {"3.3.6 2 bytes, last missing", "\xDF", 1, false},
      {"3.3.7 3 bytes, last missing", "\xEF\xBF", 2, false},
      {"3.4 all of them", "\xC3\xE0\xA0\xF0\x90\x80", 1, false},
      {"3.5.1 impossible", "\xFE", 0, false},
      {"3.5.2 impossible", "\xFF", 0, false},
      {"4.1.1 overlong /", "\xC0\xAF", 0, false},
      {"4.1.2 overlong /", "\xE0\x80\xAF", 1, false},
      {"4.1.3 overlong /", "\xF0\x80\x80\xAF", 1, false},
      {"4.2.1 overlong U+007F", "\xC1\xBF", 0, false},
      {"4.2.2 overlong U+07FF", "\xE0\x9F\xBF", 1, false},
      {"4.2.3 overlong U+FFFF", "\xF0\x8F\xBF\xBF", 1, false},
      {"4.3.1 overlong NUL", "\xC0\x80", 0, false},
      {"4.3.2 overlong NUL", "\xE0\x80\x80", 1, false},
      {"4.3.3 overlong NUL", "\xF0\x80\x80\x80", 1, false},
      {"5.1.1 surrogate", "\xED\xA0\x80", 1, false},
      {"5.1.4 surrogate", "\xED\xAF\xBF", 1, false},
      {"5.1.5 surrogate", "\xED\xB0\x80", 1, false},
      {"5.1.7 surrogate", "\xED\xBF\xBF", 1, false},
      {"5.2.1 surrogates in a pair", "\xED\xA0\x80\xED\xB0\x80", 1, false},
      {"5.3.1 U+FFFE is no character but well formed", "\xEF\xBF\xBE", 3, true},
      {"5.3.3 U+FDD0 is no character but well formed", "\xEF\xB7\x90", 3, true},
      {"5.3.4 U+1FFFE is no character but well formed", "\xF0\x9F\xBF\xBE", 4, true},
  };
  for (const Case& each : cases) {
    CAPTURE(each.section);
    const Verdict verdict = checked(each.text);
    CHECK(verdict.good == each.good);
    CHECK(verdict.complete == each.complete);
    CHECK(is_utf8(as_bytes(each.text)) == each.complete);
  }
}
