// How many connections each address has. An address is known by a tag of 32 bits, which is all that
// a connection has to keep: SHA-1 of it and a secret, so that nobody can choose addresses that
// share one. (By chance two do, one in 2^32; they then share what one may have.) What is known of
// an address goes with its last connection.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

#include "timtow/ip_address.hpp"

namespace timtow {

class AddressCounts {
 public:
  using Tag = std::uint32_t;
  // Tags from this on are of addresses; those below are free for other uses.
  static constexpr Tag first_tag = 16;

  // Throws std::exception if the system gives no randomness.
  AddressCounts();

  // Of IPv6 the /64 counts, for that is what one customer of a network gets at least.
  Tag tag_of(const IpAddress& address) const noexcept;

  std::size_t count(Tag tag) const noexcept;
  void add(Tag tag) { ++counts_[tag]; }  // throws std::bad_alloc
  void remove(Tag tag) noexcept;
  // Addresses that have a connection.
  std::size_t size() const noexcept { return counts_.size(); }

 private:
  std::array<std::byte, 16> secret_;
  std::map<Tag, std::size_t> counts_;
};

}  // namespace timtow
