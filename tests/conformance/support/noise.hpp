// What nothing compresses: it is as much on its way as it was said to be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace test {

// So many bytes of chance, the same for the same number.
inline std::string noise(std::size_t size, std::uint64_t number = 0) {
  std::string made(size + sizeof number, '\0');
  for (std::size_t i = 0; i < size; i += sizeof number) {  // SplitMix64
    std::uint64_t bits = number += 0x9E3779B97F4A7C15;
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB;
    bits ^= bits >> 31;
    std::memcpy(made.data() + i, &bits, sizeof bits);
  }
  made.resize(size);
  return made;
}

}  // namespace test
