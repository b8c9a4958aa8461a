// The opening handshakes of draft-hixie-thewebsocketprotocol-75 and -76. Those of the later drafts
// differ from RFC 6455 in a number and a header's name, and are in handshake.cpp.
//
// -76 asks for a proof that the server is one: two numbers are hidden in headers, eight bytes come
// behind the request's head, and the MD5 of these 16 bytes is due behind the response's head.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "timtow/bytes.hpp"
#include "timtow/handshake.hpp"

namespace timtow {

// What a response repeats of its request, and a client compares.
struct HixieTerms {
  std::string origin;
  std::string location;  // "ws://example.org/chat"
};

// The two numbers, big-endian, and key3, which comes behind the head; or the answer to them.
using HixieChallenge = std::array<std::byte, 16>;
inline constexpr std::size_t hixie_numbers = 8;  // bytes of it that are told from the head

// The number in Sec-WebSocket-Key1 or -Key2: its digits, divided by its spaces (-76 section 5.2).
// Nothing when there are no spaces or digits, something is left over, or it has over 32 bits.
std::optional<std::uint32_t> hixie_number(std::string_view key) noexcept;

// Server side.

// Whether a request that asks for one of these may be answered; the headers of all requests are
// checked already.
Refusal check_hixie_request(const Request& request);
// What the response to it repeats: the client went to this host, over TLS if `secure`.
HixieTerms hixie_terms(const Request& request, std::string_view host, bool secure);
// The challenge of a request that was checked, without key3.
HixieChallenge hixie_challenge(const Request& request) noexcept;
Error check_hixie_accept(const Accept& accept);
std::string format_hixie_accept(const Accept& accept, ProtocolVersion version,
                                const HixieTerms& terms);

// Client side.

struct HixieKeys {
  std::string key1;
  std::string key2;
  HixieChallenge challenge{};
};
// Bytes of randomness that keys are made of.
inline constexpr std::size_t hixie_key_randomness = 96;
// Keys as -76 section 4.1 has them made. `random` is of that size.
HixieKeys hixie_keys(Bytes random);

HixieTerms hixie_terms(const ClientRequest& request);
// `keys` count for -76 only.
std::string format_hixie_request(const ClientRequest& request, const HixieTerms& terms,
                                 const HixieKeys& keys);
// Whether the head of a response completes our handshake, but for the answer to the challenge.
Error check_hixie_response(const Response& response, ProtocolVersion version,
                           const HixieTerms& terms,
                           const std::vector<std::string_view>& offered_subprotocols);

// The name of the header for a subprotocol.
std::string_view subprotocol_header(ProtocolVersion version) noexcept;

}  // namespace timtow
