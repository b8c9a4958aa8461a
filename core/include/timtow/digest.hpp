// What Sec-WebSocket-Accept is made of: SHA-1 (FIPS 180-4) and base64 (RFC 4648 section 4); and MD5
// (RFC 1321), which draft 76 had in its place. They prove here that the server understood the
// handshake; nothing is kept secret by them.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "timtow/bytes.hpp"

namespace timtow {

std::array<std::byte, 20> sha1(Bytes message) noexcept;
std::array<std::byte, 16> md5(Bytes message) noexcept;

std::string base64(Bytes bytes);

// Whether the text is the base64 form, padded, of exactly 16 bytes: a Sec-WebSocket-Key.
bool is_base64_of_16_bytes(std::string_view text) noexcept;

// The Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 section 4.2.2).
std::string accept_for(std::string_view key);

}  // namespace timtow
