// Bytes as a person reads them: "text", "\x00\xFF", "a"*65536.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace test {

inline std::string escaped(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string text;
  for (const char c : bytes) {
    const std::size_t byte = static_cast<unsigned char>(c);
    if (c == '\r')
      text += "\\r";
    else if (c == '\n')
      text += "\\n";
    else if (c == '\t')
      text += "\\t";
    else if (c == '"' || c == '\\')
      text.append("\\") += c;
    else if (byte < 0x20 || byte >= 0x7F)
      (text.append("\\x") += digits[byte >> 4]) += digits[byte & 15];
    else
      text += c;
  }
  return text;
}

inline std::string in_quotes(std::string_view bytes) {
  const bool repeats = bytes.size() > 64 && bytes.find_first_not_of(bytes[0]) == bytes.npos;
  const std::string text = '"' + escaped(repeats ? bytes.substr(0, 1) : bytes) + '"';
  return repeats ? text + '*' + std::to_string(bytes.size()) : text;
}

inline unsigned hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  throw std::runtime_error(std::string{"not a hex digit: "} + c);
}

inline std::string unescaped(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    if (++i == text.size()) throw std::runtime_error("a backslash at the end");
    switch (text[i]) {
      case 'r':
        bytes += '\r';
        break;
      case 'n':
        bytes += '\n';
        break;
      case 't':
        bytes += '\t';
        break;
      case '"':
        bytes += '"';
        break;
      case '\\':
        bytes += '\\';
        break;
      case 'x':
        if (i + 2 >= text.size()) throw std::runtime_error("\\x wants two hex digits");
        bytes += static_cast<char>(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
        i += 2;
        break;
      default:
        throw std::runtime_error(std::string{"unknown escape: \\"} + text[i]);
    }
  }
  return bytes;
}

// Takes a quoted string, with its repetition if it has one, off the front of `text`.
inline std::string take_quoted(std::string_view& text) {
  if (!text.starts_with('"')) throw std::runtime_error("a quoted string is expected");
  std::size_t end = 1;
  while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2U : 1U;
  if (end >= text.size()) throw std::runtime_error("a quoted string has no end");
  const std::string once = unescaped(text.substr(1, end - 1));
  text.remove_prefix(end + 1);
  if (!text.starts_with('*')) return once;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789", 1), text.size());
  const auto times = std::strtoul(std::string{text.substr(1, digits - 1)}.c_str(), nullptr, 10);
  text.remove_prefix(digits);
  std::string all;
  for (unsigned long i = 0; i < times; ++i) all += once;
  return all;
}

}  // namespace test
