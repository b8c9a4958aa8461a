// UTF-8, checked as the bytes arrive and refused at the first byte that cannot belong to it
// (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
//
// The check is a finite automaton of nine states over twelve classes of bytes. Where the processor
// has instructions for it (x86-64 with SSE4.1 or AVX2, AArch64), all but short texts go over in
// vectors, and the automaton sees no more than the ends, and the vectors with the first bad byte.
#pragma once

#include <cstddef>
#include <cstdint>

#include "timtow/bytes.hpp"

namespace timtow {

class Utf8Checker {
 public:
  // Takes the next bytes; returns how many of them are good. Fewer than all means that the byte
  // after them is the first bad one, and that the text is lost.
  std::size_t check(Bytes bytes) noexcept;

  // Whether the text may end here, that is, not inside a character.
  bool complete() const noexcept { return state_ == 0; }

  void reset() noexcept { state_ = 0; }

 private:
  std::uint8_t state_ = 0;
};

inline bool is_utf8(Bytes bytes) noexcept {
  Utf8Checker checker;
  return checker.check(bytes) == bytes.size() && checker.complete();
}

}  // namespace timtow
