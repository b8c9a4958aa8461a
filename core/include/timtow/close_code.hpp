// Close codes: why a WebSocket connection ended (RFC 6455 section 7.4 and the IANA registry).
#pragma once

#include <cstdint>

namespace timtow {

using CloseCode = std::uint16_t;

namespace close_code {

inline constexpr CloseCode normal = 1000;
inline constexpr CloseCode going_away = 1001;
inline constexpr CloseCode protocol_error = 1002;
inline constexpr CloseCode unsupported_data = 1003;
inline constexpr CloseCode none_received = 1005;  // the close frame named none; never sent
inline constexpr CloseCode abnormal = 1006;       // no close frame came; never sent
inline constexpr CloseCode invalid_payload = 1007;
inline constexpr CloseCode policy_violation = 1008;
inline constexpr CloseCode message_too_big = 1009;
inline constexpr CloseCode mandatory_extension = 1010;
inline constexpr CloseCode internal_error = 1011;
inline constexpr CloseCode service_restart = 1012;
inline constexpr CloseCode try_again_later = 1013;
inline constexpr CloseCode bad_gateway = 1014;

// Whether a close frame may carry this code: 1000 to 1003, 1007 to 1014 and the ranges for
// libraries (3000 to 3999) and applications (4000 to 4999). RFC 6455 section 7.4.2.
constexpr bool may_be_sent(CloseCode code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

}  // namespace close_code
}  // namespace timtow
