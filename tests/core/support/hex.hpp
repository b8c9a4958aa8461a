// Bytes as a person reads them in a test: "81 05 48".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "timtow/bytes.hpp"

namespace test {

inline std::string hex(timtow::Bytes bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    if (!text.empty()) text += ' ';
    text += digits[std::to_integer<std::size_t>(byte >> 4)];
    text += digits[std::to_integer<std::size_t>(byte & std::byte{0xF})];
  }
  return text;
}

inline std::string hex(std::string_view text) { return hex(timtow::as_bytes(text)); }

}  // namespace test
