#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <ostream>
#include <string_view>

#include "support/hex.hpp"
#include "timtow/mask.hpp"

using namespace timtow;
using test::hex;

namespace {

constexpr std::size_t largest = 330;  // a block of 256 bytes, two of 32, and every rest
constexpr MaskingKey key{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};
constexpr MaskingKey ascii_key{std::byte{0x12}, std::byte{0x34}, std::byte{0x56}, std::byte{0x78}};

// Bytes at a chosen misalignment, with room around them that no one may touch.
class Place {
 public:
  explicit Place(std::size_t misalignment) : begin_(margin + misalignment) {
    bytes_.fill(untouched);
  }

  std::byte* data() { return bytes_.data() + begin_; }
  bool is_clean_around(std::size_t size) const {
    for (std::size_t i = 0; i < bytes_.size(); ++i)
      if ((i < begin_ || i >= begin_ + size) && bytes_[i] != untouched) return false;
    return true;
  }

 private:
  static constexpr std::size_t margin = 64;
  static constexpr std::byte untouched{0xa5};
  alignas(64) std::array<std::byte, largest + 2 * margin + 8> bytes_;
  std::size_t begin_;
};

using Text = std::array<std::byte, largest>;

Text some_bytes() {
  Text text;
  unsigned next = 1;
  for (auto& byte : text) {
    next = (next * 75 + 74) % 65537;
    byte = static_cast<std::byte>(next & 0xFFU);
  }
  return text;
}

// Section 5.3 to the letter: transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD
// 4).
Text by_the_letter(const Text& text, std::size_t size, const MaskingKey& by) {
  Text result{};
  for (std::size_t i = 0; i < size; ++i) result[i] = text[i] ^ by[i % 4];
  return result;
}

bool equal(const std::byte* a, const Text& b, std::size_t size) {
  return std::equal(a, a + size, b.begin());
}

}  // namespace

TEST_CASE("mask: the example of RFC 6455 section 5.7") {
  Text text{};
  std::byte* const at = text.data();
  std::copy_n(as_bytes("Hello").data(), 5, at);
  mask(at, at, 5, key);
  CHECK(hex(Bytes{at, 5}) == "7f 9f 4d 51 58");
  CHECK(mask(at, at, 5, key));
  CHECK(as_text({at, 5}) == "Hello");
}

TEST_CASE("mask: in place at every size and misalignment (RFC 6455 section 5.3)") {
  const Text text = some_bytes();
  for (std::size_t size = 0; size <= largest; ++size) {
    const Text wanted = by_the_letter(text, size, key);
    for (std::size_t misalignment = 0; misalignment < 8; ++misalignment) {
      Place place{misalignment};
      std::copy_n(text.begin(), size, place.data());
      mask(place.data(), place.data(), size, key);
      const bool right = equal(place.data(), wanted, size) && place.is_clean_around(size);
      CHECK_MESSAGE(right, size, " bytes, misaligned by ", misalignment);
    }
  }
}

TEST_CASE("mask: copying at every size and misalignment (RFC 6455 section 5.3)") {
  const Text text = some_bytes();
  for (std::size_t size = 0; size <= largest; ++size) {
    const Text wanted = by_the_letter(text, size, key);
    for (std::size_t from_misalignment = 0; from_misalignment < 8; ++from_misalignment) {
      Place from{from_misalignment};
      std::copy_n(text.begin(), size, from.data());
      bool right = true;
      for (std::size_t to_misalignment = 0; to_misalignment < 8; ++to_misalignment) {
        Place to{to_misalignment};
        mask(to.data(), from.data(), size, key);
        right = right && equal(to.data(), wanted, size) && to.is_clean_around(size) &&
                equal(from.data(), text, size);
      }
      CHECK_MESSAGE(right, size, " bytes, misaligned by ", from_misalignment);
    }
  }
}

TEST_CASE("mask: rotated() goes on where the first part ended, at every split") {
  const Text text = some_bytes();
  for (const std::size_t size : {1U, 3U, 4U, 7U, 8U, 9U, 64U, 65U, 130U, 200U}) {
    const Text wanted = by_the_letter(text, size, key);
    for (std::size_t split = 0; split <= size; ++split) {
      Text parts = text;
      mask(parts.data(), parts.data(), split, key);
      mask(parts.data() + split, parts.data() + split, size - split, rotated(key, split));
      CHECK_MESSAGE(equal(parts.data(), wanted, size), size, " bytes, split at ", split);
    }
  }
}

TEST_CASE("mask: rotations add up") {
  for (std::size_t a = 0; a < 9; ++a)
    for (std::size_t b = 0; b < 9; ++b) CHECK(rotated(rotated(key, a), b) == rotated(key, a + b));
  CHECK(rotated(key, 0) == key);
  CHECK(rotated(key, 4) == key);
  CHECK(rotated(key, 1) == MaskingKey{key[1], key[2], key[3], key[0]});
  CHECK(rotated(key, std::size_t{0} - 1) == rotated(key, 3));
}

// The flag is about what was written, so the input is masked first.
TEST_CASE("mask: tells ASCII from a single byte above 7F at every position") {
  for (const MaskingKey& by : {key, ascii_key}) {
    for (std::size_t size = 0; size <= largest; ++size) {
      Text ascii;
      ascii.fill(std::byte{0x7f});
      Text masked_ascii = by_the_letter(ascii, size, by);
      Text output;
      CHECK_MESSAGE(mask(output.data(), masked_ascii.data(), size, by), size, " bytes of ASCII");
      for (std::size_t position = 0; position < size; ++position) {
        masked_ascii[position] ^= std::byte{0x80};
        const bool flag = mask(output.data(), masked_ascii.data(), size, by);
        masked_ascii[position] ^= std::byte{0x80};
        CHECK_MESSAGE(!flag, size, " bytes, the one above 7F at ", position);
      }
    }
  }
}
