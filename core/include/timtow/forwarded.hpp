// What proxies in front of a server say of the client, believed only as far as they are trusted.
//
// Each proxy adds at the end of a header from whom the request came. So the last entry was written
// by our peer, if that is a proxy; the one before it by whoever the last entry names, and so on:
// the list is walked from the right for as long as it names trusted proxies. The first that is none
// is the client. What stands left of that anybody may have written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "timtow/endpoint.hpp"
#include "timtow/http.hpp"
#include "timtow/ip_address.hpp"

namespace timtow {

// The header that our proxies write. They must write, or remove, the one named here: the other is
// what the client says, and is not looked at.
enum class ForwardedHeader : std::uint8_t {
  x_forwarded_for,  // with X-Forwarded-Host and X-Forwarded-Proto
  forwarded         // RFC 7239
};

struct Forwarded {
  // Its port is 0 when it was not told. Where a proxy hides the address, the host is the name that
  // it gave it, "_hidden" or "unknown" (RFC 7239 section 6); "unknown" too where it wrote what
  // cannot be read.
  Endpoint client;
  std::string host;    // that the client asked for; empty when not told
  std::string scheme;  // "http" or "https"; empty when not told
};

// What is told of the request that came from this peer; nothing when that is no trusted proxy, or
// tells nothing.
std::optional<Forwarded> parse_forwarded(const Request& request, const Endpoint& peer,
                                         const Networks& trusted, ForwardedHeader header);

}  // namespace timtow
