// The header of the PROXY protocol, versions 1 and 2: what a proxy that passes bytes on says first,
// before all of them, of whose they are. HAProxy calls it send-proxy and send-proxy-v2.
#pragma once

#include <cstddef>
#include <optional>

#include "timtow/bytes.hpp"
#include "timtow/endpoint.hpp"

namespace timtow {

// The most that a header may have: of version 1 as it says itself, of version 2 what we take.
constexpr std::size_t most_of_proxy_header_v1 = 107;
constexpr std::size_t most_of_proxy_header = 4096;

struct ProxyHeader {
  enum class Result {
    incomplete,  // so far it may be one
    none,        // it is none
    bad,         // it begins as one, and is malformed or too long
    complete
  };

  std::size_t size = 0;  // bytes of it
  // Whose connection it is; nothing where it is the proxy's own (LOCAL). Where it is somebody's,
  // and it does not say whose (UNKNOWN, UNSPEC, what is no stream, a Unix socket without a name),
  // the host is "unknown".
  std::optional<Endpoint> client = {};

  // `bytes` is all that has come so far. What comes behind it is not looked at. Each result but
  // `incomplete` stays what it is, whatever follows. Throws std::bad_alloc.
  static Result parse(Bytes bytes, ProxyHeader& header);
};

}  // namespace timtow
