// Frames on the wire: their header, read and written (RFC 6455 section 5.2).
//
// A header is 2 to 14 bytes: FIN, RSV1-3 and the opcode in the first; MASK and a 7-bit length in
// the second; then 0, 2 or 8 bytes of length and 0 or 4 bytes of masking key.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace timtow {

enum class Opcode : std::uint8_t {
  continuation = 0x0,
  text = 0x1,
  binary = 0x2,
  close = 0x8,
  ping = 0x9,
  pong = 0xA,
};

inline constexpr std::size_t max_frame_header = 14;
inline constexpr std::uint8_t rsv1 = 4;  // in FrameHeader::rsv: a compressed message begins
inline constexpr std::size_t max_control_payload = 125;

constexpr bool is_control(Opcode opcode) noexcept {
  return (static_cast<unsigned>(opcode) & 0x8U) != 0;
}

constexpr bool is_known(Opcode opcode) noexcept {
  return static_cast<unsigned>(opcode) <= 0x2U || (static_cast<unsigned>(opcode) - 0x8U) <= 0x2U;
}

// The masking key as its four bytes lie on the wire.
using MaskingKey = std::array<std::byte, 4>;

struct FrameHeader {
  bool fin = true;
  std::uint8_t rsv = 0;  // RSV1, RSV2, RSV3 as the bits 4, 2, 1
  Opcode opcode = Opcode::binary;
  bool masked = false;
  MaskingKey key{};  // all zero when not masked
  std::uint64_t length = 0;

  // Bytes that a header takes, told from its first two.
  static std::size_t wire_size(const std::byte* first_two) noexcept {
    const auto second = std::to_integer<unsigned>(first_two[1]);
    const unsigned length_code = second & 0x7FU;
    return 2U +
           (length_code < 126    ? 0U
            : length_code == 126 ? 2U
                                 : 8U) +
           ((second & 0x80U) != 0 ? 4U : 0U);
  }

  // Reads the header at `wire`, which holds wire_size(wire) bytes. It judges nothing: lengths in
  // too long a form, reserved bits and opcodes come as they are.
  static FrameHeader read(const std::byte* wire) noexcept;

  // Whether the length is in the shortest form, as it has to be, and below 2^63. `wire` is what
  // read() read.
  static bool has_proper_length(const std::byte* wire, std::uint64_t length) noexcept;

  std::size_t wire_size() const noexcept {
    return 2U + (length < 126 ? 0U : length <= 0xFFFF ? 2U : 8U) + (masked ? 4U : 0U);
  }

  // Writes wire_size() bytes and returns where they end.
  std::byte* write(std::byte* wire) const noexcept;
  // The part of it that follows the first byte, up to the key.
  static std::byte* write_length(std::byte* wire, std::uint64_t length, bool masked) noexcept;
};

namespace detail {

template <typename Integer>
std::uint64_t load_big_endian(const std::byte* from) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i)
    value = value << 8U | std::to_integer<std::uint64_t>(from[i]);
  return value;
}

template <typename Integer>
std::byte* store_big_endian(std::byte* to, std::uint64_t value) noexcept {
  for (std::size_t i = sizeof(Integer); i-- > 0; value >>= 8U)
    to[i] = static_cast<std::byte>(value & 0xFFU);
  return to + sizeof(Integer);
}

}  // namespace detail

inline FrameHeader FrameHeader::read(const std::byte* wire) noexcept {
  const auto first = std::to_integer<unsigned>(wire[0]);
  const auto second = std::to_integer<unsigned>(wire[1]);
  FrameHeader header;
  header.fin = (first & 0x80U) != 0;
  header.rsv = static_cast<std::uint8_t>(first >> 4U & 0x7U);
  header.opcode = static_cast<Opcode>(first & 0xFU);
  header.masked = (second & 0x80U) != 0;
  header.length = second & 0x7FU;
  wire += 2;
  if (header.length == 126) {
    header.length = detail::load_big_endian<std::uint16_t>(wire);
    wire += 2;
  } else if (header.length == 127) {
    header.length = detail::load_big_endian<std::uint64_t>(wire);
    wire += 8;
  }
  if (header.masked) std::memcpy(header.key.data(), wire, 4);
  return header;
}

inline bool FrameHeader::has_proper_length(const std::byte* wire, std::uint64_t length) noexcept {
  const unsigned length_code = std::to_integer<unsigned>(wire[1]) & 0x7FU;
  if (length_code < 126) return true;
  return length_code == 126 ? length >= 126 : length > 0xFFFF && length >> 63U == 0;
}

[[gnu::always_inline]] inline std::byte* FrameHeader::write_length(std::byte* wire,
                                                                   std::uint64_t length,
                                                                   bool masked) noexcept {
  const unsigned mask_bit = masked ? 0x80U : 0U;
  if (length < 126) {
    *wire++ = static_cast<std::byte>(mask_bit | static_cast<unsigned>(length));
  } else if (length <= 0xFFFF) {
    *wire++ = static_cast<std::byte>(mask_bit | 126U);
    wire = detail::store_big_endian<std::uint16_t>(wire, length);
  } else {
    *wire++ = static_cast<std::byte>(mask_bit | 127U);
    wire = detail::store_big_endian<std::uint64_t>(wire, length);
  }
  return wire;
}

[[gnu::always_inline]] inline std::byte* FrameHeader::write(std::byte* wire) const noexcept {
  *wire++ = static_cast<std::byte>((fin ? 0x80U : 0U) | static_cast<unsigned>(rsv) << 4U |
                                   static_cast<unsigned>(opcode));
  wire = write_length(wire, length, masked);
  if (masked) {
    std::memcpy(wire, key.data(), 4);
    wire += 4;
  }
  return wire;
}

}  // namespace timtow
