#include "address_counts.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <span>

#include "timtow/digest.hpp"

namespace timtow {

AddressCounts::AddressCounts() {
  std::random_device random;
  std::generate(secret_.begin(), secret_.end(), [&] { return static_cast<std::byte>(random()); });
}

AddressCounts::Tag AddressCounts::tag_of(const IpAddress& address) const noexcept {
  std::array<std::byte, 32> message{};
  std::copy(secret_.begin(), secret_.end(), message.begin());
  const auto bytes = std::as_bytes(std::span{address.bytes()});
  const auto counted = bytes.first(address.is_v4() ? 16 : 8);
  std::copy(counted.begin(), counted.end(), message.begin() + secret_.size());
  const auto digest = sha1(message);
  Tag tag = 0;
  std::memcpy(&tag, digest.data(), sizeof tag);
  return std::max(tag, first_tag);
}

std::size_t AddressCounts::count(Tag tag) const noexcept {
  const auto found = counts_.find(tag);
  return found == counts_.end() ? 0 : found->second;
}

void AddressCounts::remove(Tag tag) noexcept {
  const auto found = counts_.find(tag);
  if (--found->second == 0) counts_.erase(found);
}

}  // namespace timtow
