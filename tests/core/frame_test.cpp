#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include "support/hex.hpp"
#include "timtow/frame.hpp"

using namespace timtow;
using test::hex;

namespace {

constexpr MaskingKey key{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

// A header and its bytes, written by hand after the figure in section 5.2.
struct Case {
  FrameHeader header;
  const char* wire;
};

FrameHeader data(std::uint64_t length) { return {.opcode = Opcode::binary, .length = length}; }

FrameHeader masked(std::uint64_t length) {
  return {.opcode = Opcode::text, .masked = true, .key = key, .length = length};
}

const Case cases[] = {
    // Every length form at its borders.
    {data(0), "82 00"},
    {data(1), "82 01"},
    {data(125), "82 7d"},
    {data(126), "82 7e 00 7e"},
    {data(127), "82 7e 00 7f"},
    {data(255), "82 7e 00 ff"},
    {data(256), "82 7e 01 00"},
    {data(65534), "82 7e ff fe"},
    {data(65535), "82 7e ff ff"},
    {data(65536), "82 7f 00 00 00 00 00 01 00 00"},
    {data(0x0102030405060708), "82 7f 01 02 03 04 05 06 07 08"},
    {data(0x7fffffffffffffff), "82 7f 7f ff ff ff ff ff ff ff"},
    {masked(0), "81 80 37 fa 21 3d"},
    {masked(125), "81 fd 37 fa 21 3d"},
    {masked(126), "81 fe 00 7e 37 fa 21 3d"},
    {masked(65535), "81 fe ff ff 37 fa 21 3d"},
    {masked(65536), "81 ff 00 00 00 00 00 01 00 00 37 fa 21 3d"},
    {masked(0x7fffffffffffffff), "81 ff 7f ff ff ff ff ff ff ff 37 fa 21 3d"},
    // FIN, reserved bits, opcodes.
    {{.fin = false, .opcode = Opcode::text, .length = 3}, "01 03"},
    {{.fin = false, .opcode = Opcode::continuation, .length = 3}, "00 03"},
    {{.fin = true, .opcode = Opcode::continuation, .length = 2}, "80 02"},
    {{.opcode = Opcode::close, .length = 2}, "88 02"},
    {{.opcode = Opcode::ping}, "89 00"},
    {{.opcode = Opcode::pong, .length = 125}, "8a 7d"},
    {{.rsv = 4, .opcode = Opcode::text, .length = 1}, "c1 01"},
    {{.rsv = 2, .opcode = Opcode::text, .length = 1}, "a1 01"},
    {{.rsv = 1, .opcode = Opcode::text, .length = 1}, "91 01"},
    {{.fin = false, .rsv = 7, .opcode = static_cast<Opcode>(0xf), .length = 1}, "7f 01"},
};

std::string written(const FrameHeader& header) {
  std::array<std::byte, max_frame_header> wire{};
  const std::byte* const end = header.write(wire.data());
  return hex(Bytes{wire.data(), end});
}

// The bytes of a text such as "82 7e".
template <std::size_t size = max_frame_header>
std::array<std::byte, size> bytes_of(std::string_view text) {
  std::array<std::byte, size> bytes{};
  for (std::size_t i = 0; i < (text.size() + 1) / 3; ++i)
    bytes[i] = static_cast<std::byte>(std::stoi(std::string{text.substr(3 * i, 2)}, nullptr, 16));
  return bytes;
}

std::size_t size_of(std::string_view text) { return (text.size() + 1) / 3; }

bool is_proper(const char* text) {
  const auto wire = bytes_of(text);
  return FrameHeader::has_proper_length(wire.data(), FrameHeader::read(wire.data()).length);
}

}  // namespace

TEST_CASE("frame: headers are written as RFC 6455 section 5.2 draws them") {
  for (const auto& [header, wire] : cases) {
    CHECK(written(header) == wire);
    CHECK(header.wire_size() == size_of(wire));
  }
}

TEST_CASE("frame: headers are read as RFC 6455 section 5.2 draws them") {
  for (const Case& each : cases) {
    CAPTURE(each.wire);
    const FrameHeader& header = each.header;
    const auto wire = bytes_of(each.wire);
    CHECK(FrameHeader::wire_size(wire.data()) == size_of(each.wire));
    const FrameHeader read = FrameHeader::read(wire.data());
    CHECK(read.fin == header.fin);
    CHECK(read.rsv == header.rsv);
    CHECK(static_cast<int>(read.opcode) == static_cast<int>(header.opcode));
    CHECK(read.masked == header.masked);
    CHECK(read.key == header.key);
    CHECK(read.length == header.length);
    CHECK(FrameHeader::has_proper_length(wire.data(), read.length));
  }
}

TEST_CASE("frame: the size of a header for each second byte") {
  for (unsigned second = 0; second < 256; ++second) {
    const std::array<std::byte, 2> wire{std::byte{0x81}, static_cast<std::byte>(second)};
    const unsigned code = second % 128;
    const std::size_t length_bytes = code == 127 ? 8 : code == 126 ? 2 : 0;
    CHECK(FrameHeader::wire_size(wire.data()) == 2 + length_bytes + (second >= 128 ? 4 : 0));
  }
}

TEST_CASE("frame: every first byte is read and written back") {
  for (unsigned first = 0; first < 256; ++first) {
    const std::array<std::byte, 2> wire{static_cast<std::byte>(first), std::byte{5}};
    const FrameHeader header = FrameHeader::read(wire.data());
    CHECK(header.fin == (first >= 0x80));
    CHECK(header.rsv == first / 16 % 8);
    CHECK(static_cast<unsigned>(header.opcode) == first % 16);
    CHECK(written(header) == hex(wire));
  }
}

// "the minimal number of bytes MUST be used to encode the length", "the most significant bit MUST
// be 0".
TEST_CASE("frame: lengths that are not minimal or too large (RFC 6455 section 5.2)") {
  CHECK_FALSE(is_proper("82 7e 00 00"));
  CHECK_FALSE(is_proper("82 7e 00 01"));
  CHECK_FALSE(is_proper("82 7e 00 7d"));
  CHECK(is_proper("82 7e 00 7e"));
  CHECK_FALSE(is_proper("82 7f 00 00 00 00 00 00 00 00"));
  CHECK_FALSE(is_proper("82 7f 00 00 00 00 00 00 00 7d"));
  CHECK_FALSE(is_proper("82 7f 00 00 00 00 00 00 00 7e"));
  CHECK_FALSE(is_proper("82 7f 00 00 00 00 00 00 ff ff"));
  CHECK(is_proper("82 7f 00 00 00 00 00 01 00 00"));
  CHECK(is_proper("82 7f 7f ff ff ff ff ff ff ff"));
  CHECK_FALSE(is_proper("82 7f 80 00 00 00 00 00 00 00"));
  CHECK_FALSE(is_proper("82 7f 80 00 00 00 00 01 00 00"));
  CHECK_FALSE(is_proper("82 7f ff ff ff ff ff ff ff ff"));
  CHECK_FALSE(is_proper("81 fe 00 7d 37 fa 21 3d"));
  CHECK_FALSE(is_proper("81 ff 00 00 00 00 00 00 ff ff 37 fa 21 3d"));
  CHECK_FALSE(is_proper("81 ff 80 00 00 00 00 00 00 00 37 fa 21 3d"));
}

TEST_CASE("frame: reading takes lengths as they are") {
  CHECK(FrameHeader::read(bytes_of("82 7e 00 05").data()).length == 5);
  CHECK(FrameHeader::read(bytes_of("82 7f 00 00 00 00 00 00 00 05").data()).length == 5);
  CHECK(FrameHeader::read(bytes_of("82 7f ff ff ff ff ff ff ff ff").data()).length ==
        0xffffffffffffffff);
}

TEST_CASE("frame: opcodes (RFC 6455 section 5.2 and 5.5)") {
  for (unsigned value = 0; value < 16; ++value) {
    const auto opcode = static_cast<Opcode>(value);
    CHECK(is_known(opcode) == (value <= 2 || (value >= 8 && value <= 10)));
    CHECK(is_control(opcode) == (value >= 8));
  }
}
