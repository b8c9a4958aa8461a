// Which WebSocket a connection speaks: RFC 6455, or a draft of it (docs/drafts.md).
#pragma once

#include <cstdint>

namespace timtow {

// The numbers are those that people say: what Sec-WebSocket-Version holds, or the draft's own.
enum class ProtocolVersion : std::uint8_t {
  hybi_7 = 7,     // draft-ietf-hybi-thewebsocketprotocol-07
  hybi_8 = 8,     // ... -08 to -12
  rfc6455 = 13,   // ... -13 to -17, and the RFC
  hixie_75 = 75,  // draft-hixie-thewebsocketprotocol-75
  hixie_76 = 76,  // ... -76, which is draft-ietf-hybi-thewebsocketprotocol-00
};

// Whether it is one of the two whose frames are text between 0x00 and 0xFF.
constexpr bool is_hixie(ProtocolVersion which) noexcept {
  return which == ProtocolVersion::hixie_75 || which == ProtocolVersion::hixie_76;
}

}  // namespace timtow
