// Addresses and networks as numbers, for rules about who is trusted: no name, no port, no socket.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "timtow/bytes.hpp"
#include "timtow/endpoint.hpp"
#include "timtow/error.hpp"

namespace timtow {

// An address of IPv4 or IPv6. One of IPv4 that is written as one of IPv6 (::ffff:192.0.2.1) is the
// same as without: a socket that listens on both tells it so.
class IpAddress {
 public:
  // From its 4 or 16 bytes, most significant first.
  static IpAddress of_v4(Bytes bytes) noexcept;
  static IpAddress of_v6(Bytes bytes) noexcept;
  // "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"; nothing else: no port, brackets or zone.
  static std::optional<IpAddress> parse(std::string_view text) noexcept;
  // Of Endpoint::host, without the zone that a link-local address may have (RFC 4007 section 11),
  // which is no part of it. Nothing of a name.
  static std::optional<IpAddress> of_host(std::string_view host) noexcept {
    return parse(host.substr(0, host.find('%')));
  }

  bool is_v4() const noexcept;
  // 127.0.0.0/8 and ::1: this machine itself.
  bool is_loopback() const noexcept;
  // As IPv6, in which those of IPv4 begin with ::ffff:0:0/96.
  const std::array<std::uint8_t, 16>& bytes() const noexcept { return bytes_; }

  bool operator==(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

// "192.0.2.1", or as RFC 5952 has it: "2001:db8::1".
std::string to_string(const IpAddress& address);

// The addresses whose first bits are these.
struct Network {
  IpAddress address;
  unsigned bits = 128;  // of the address as IPv6

  bool operator==(const Network&) const = default;
  // "10.0.0.0/8", "2001:db8::/32", or one address. What is behind the prefix does not count.
  static std::optional<Network> parse(std::string_view text) noexcept;
  bool contains(const IpAddress& other) const noexcept;
};

// A list of networks: "10.0.0.0/8", "2001:db8::/32", "127.0.0.1", "::1", and "unix:" for whoever
// comes by a Unix socket.
class Networks {
 public:
  // An error names the first that is none, or that has bits behind its prefix, which may be a
  // mistake that trusts too many; then the list stays as it was.
  static Error parse(const std::vector<std::string>& texts, Networks& networks);

  bool empty() const noexcept { return all_.empty() && !has_unix_; }
  bool contains(const IpAddress& address) const noexcept;
  // By its address, or its being a Unix socket. A name is in none.
  bool contains(const Endpoint& endpoint) const noexcept;

 private:
  std::vector<Network> all_;
  bool has_unix_ = false;
};

}  // namespace timtow
