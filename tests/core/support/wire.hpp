// Frames as they lie on the wire, right ones and wrong ones (RFC 6455 section 5.2).
//
// This shares nothing with timtow/frame.hpp, so that no test proves the code by itself. Bytes are
// kept in std::string, which is what literals make.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace test {

namespace opcode {
inline constexpr unsigned continuation = 0x0;
inline constexpr unsigned text = 0x1;
inline constexpr unsigned binary = 0x2;
inline constexpr unsigned close = 0x8;
inline constexpr unsigned ping = 0x9;
inline constexpr unsigned pong = 0xA;
}  // namespace opcode

using Key = std::array<unsigned char, 4>;

// The key of the examples in section 5.7.
inline constexpr Key rfc_key = {0x37, 0xFA, 0x21, 0x3D};

// How the length is written; bits of the length field, or whatever is the shortest.
enum class LengthForm { shortest = 0, seven_bits = 7, sixteen_bits = 16, sixty_four_bits = 64 };

struct Frame {
  bool fin = true;
  unsigned rsv = 0;  // RSV1, RSV2, RSV3 are 4, 2, 1
  unsigned opcode = opcode::binary;
  std::optional<Key> key;  // masked with it
  LengthForm form = LengthForm::shortest;
  std::optional<std::uint64_t> announced;  // a length other than the payload's
  std::string payload;
};

inline std::string masked(std::string payload, const Key& key) {
  for (std::size_t i = 0; i < payload.size(); ++i)
    payload[i] = static_cast<char>(static_cast<unsigned char>(payload[i]) ^ key[i % 4]);
  return payload;
}

inline std::string big_endian(std::uint64_t value, unsigned bytes) {
  std::string text;
  for (unsigned i = bytes; i-- > 0;) text += static_cast<char>(value >> (8 * i) & 0xFF);
  return text;
}

inline std::string encode(const Frame& frame) {
  const std::uint64_t length = frame.announced.value_or(frame.payload.size());
  LengthForm form = frame.form;
  if (form == LengthForm::shortest)
    form = length <= 125      ? LengthForm::seven_bits
           : length <= 0xFFFF ? LengthForm::sixteen_bits
                              : LengthForm::sixty_four_bits;
  const unsigned code = form == LengthForm::seven_bits     ? static_cast<unsigned>(length)
                        : form == LengthForm::sixteen_bits ? 126
                                                           : 127;
  std::string wire;
  wire += static_cast<char>((frame.fin ? 0x80U : 0U) | frame.rsv << 4 | frame.opcode);
  wire += static_cast<char>((frame.key ? 0x80U : 0U) | code);
  if (form == LengthForm::sixteen_bits) wire += big_endian(length, 2);
  if (form == LengthForm::sixty_four_bits) wire += big_endian(length, 8);
  if (!frame.key) return wire + frame.payload;
  for (const unsigned char each : *frame.key) wire += static_cast<char>(each);
  return wire + masked(frame.payload, *frame.key);
}

// Takes the first frame off `wire`, its payload unmasked; nothing when it is not whole.
inline std::optional<Frame> decode(std::string_view& wire) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(wire[i]); };
  if (wire.size() < 2) return std::nullopt;
  Frame frame;
  frame.fin = (byte(0) & 0x80U) != 0;
  frame.rsv = byte(0) >> 4 & 0x7U;
  frame.opcode = byte(0) & 0xFU;
  const bool has_key = (byte(1) & 0x80U) != 0;
  const unsigned code = byte(1) & 0x7FU;
  const std::size_t extra = code == 127 ? 8 : code == 126 ? 2 : 0;
  const std::size_t header = 2 + extra + (has_key ? 4 : 0);
  if (wire.size() < header) return std::nullopt;
  std::uint64_t length = extra == 0 ? code : 0;
  for (std::size_t i = 0; i < extra; ++i) length = length << 8 | byte(2 + i);
  if (wire.size() - header < length) return std::nullopt;
  frame.payload = wire.substr(header, static_cast<std::size_t>(length));
  if (has_key) {
    frame.key.emplace();
    for (std::size_t i = 0; i < 4; ++i) (*frame.key)[i] = byte(2 + extra + i);
    frame.payload = masked(frame.payload, *frame.key);
  }
  wire.remove_prefix(header + static_cast<std::size_t>(length));
  return frame;
}

// Frames as a client sends them ...
inline std::string client_frame(unsigned opcode, std::string_view payload, bool fin = true) {
  Frame frame;
  frame.fin = fin;
  frame.opcode = opcode;
  frame.key = rfc_key;
  frame.payload = payload;
  return encode(frame);
}

// ... and as a server does.
inline std::string server_frame(unsigned opcode, std::string_view payload, bool fin = true) {
  Frame frame;
  frame.fin = fin;
  frame.opcode = opcode;
  frame.payload = payload;
  return encode(frame);
}

inline std::string close_payload(unsigned code, std::string_view reason = {}) {
  return big_endian(code, 2).append(reason);
}

// The client's handshake of section 1.2, without what it does not need.
inline constexpr std::string_view upgrade_request =
    "GET /chat HTTP/1.1\r\n"
    "Host: server.example.com\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "\r\n";

// The server's answer to it, for whichever accept value is right.
inline std::string upgrade_response(std::string_view accept) {
  return "HTTP/1.1 101 Switching Protocols\r\n"
         "Upgrade: websocket\r\n"
         "Connection: Upgrade\r\n"
         "Sec-WebSocket-Accept: " +
         std::string{accept} + "\r\n\r\n";
}

}  // namespace test
