#include "timtow/words.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>

using namespace timtow;

TEST_CASE("a short copy of every size is exact, and touches nothing behind it") {
  constexpr std::byte untouched{0xa5};
  std::array<std::byte, 80> from;
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i);
  for (std::size_t size = 0; size < from.size(); ++size) {
    std::array<std::byte, from.size() + 1> to;
    to.fill(untouched);
    detail::copy_short(to.data(), from.data(), size);
    for (std::size_t i = 0; i < to.size(); ++i) {
      CAPTURE(size);
      CAPTURE(i);
      CHECK((to[i] == (i < size ? from[i] : untouched)));
    }
  }
}
