#include "timtow/ip_address.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <span>
#include <utility>

namespace timtow {
namespace {

constexpr std::array<std::uint8_t, 12> before_v4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

// A number without sign or leading zeros, of which there are several readings.
template <typename Number>
bool read_number(std::string_view text, Number& number) noexcept {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return false;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  return failure == std::errc{} && stop == end;
}

bool parse_v4(std::string_view text, std::uint8_t* bytes) noexcept {
  for (int i = 0; i < 4; ++i) {
    const auto dot = i < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos || !read_number(text.substr(0, dot), bytes[i])) return false;
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return true;
}

// RFC 4291 section 2.2: groups of up to four hexadecimal digits, one run of zeros as "::", and the
// last two perhaps as IPv4.
bool parse_v6(std::string_view text, std::array<std::uint8_t, 16>& bytes) noexcept {
  std::size_t size = 0;            // bytes so far
  std::optional<std::size_t> gap;  // where the "::" is
  if (text.starts_with(':') && !text.starts_with("::")) return false;
  while (!text.empty()) {
    if (text.starts_with("::")) {
      if (gap || text.substr(2).starts_with(':')) return false;
      gap = size;
      text.remove_prefix(2);
      continue;
    }
    if (text.starts_with(':')) text.remove_prefix(1);
    const std::string_view group = text.substr(0, text.find(':'));
    if (group.find('.') != std::string_view::npos) {
      if (group.size() != text.size() || size > 12 || !parse_v4(group, &bytes[size])) return false;
      size += 4;
      break;
    }
    std::uint16_t value = 0;
    const char* const end = group.data() + group.size();
    const auto [stop, failure] = std::from_chars(group.data(), end, value, 16);
    if (failure != std::errc{} || stop != end || group.size() > 4 || size == 16) return false;
    bytes[size++] = static_cast<std::uint8_t>(value >> 8U);
    bytes[size++] = static_cast<std::uint8_t>(value);
    text.remove_prefix(group.size());
  }
  if (!gap) return size == 16;
  if (size == 16) return false;
  const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(*gap);
  std::rotate(from, bytes.begin() + static_cast<std::ptrdiff_t>(size), bytes.end());
  return true;
}

bool same_bits(const IpAddress& a, const IpAddress& b, unsigned bits) noexcept {
  const std::size_t whole = bits / 8;
  if (!std::equal(a.bytes().begin(), a.bytes().begin() + whole, b.bytes().begin())) return false;
  const unsigned left = bits % 8;
  return left == 0 || (a.bytes()[whole] ^ b.bytes()[whole]) >> (8 - left) == 0;
}

// The network that this address is in, without the bits behind the prefix. One of IPv4 keeps those
// that make it one, and a prefix that is too short for that was counted as of IPv4: as of IPv6 it
// would have all of IPv4 in it.
Network whole_of(Network network) noexcept {
  if (network.address.is_v4() && network.bits < 96)
    network.bits = network.bits <= 32 ? network.bits + 96 : 128;
  std::array<std::uint8_t, 16> bytes = network.address.bytes();
  for (unsigned i = 0; i < bytes.size(); ++i) {
    const unsigned kept = std::clamp(network.bits, 8 * i, 8 * i + 8) - 8 * i;
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xFF00U >> kept));
  }
  network.address = IpAddress::of_v6(std::as_bytes(std::span{bytes}));
  return network;
}

std::string to_string(const Network& network) {
  return to_string(network.address) + '/' +
         std::to_string(network.address.is_v4() ? network.bits - 96 : network.bits);
}

}  // namespace

IpAddress IpAddress::of_v4(Bytes bytes) noexcept {
  IpAddress address;
  std::copy(before_v4.begin(), before_v4.end(), address.bytes_.begin());
  for (std::size_t i = 0; i < 4; ++i)
    address.bytes_[12 + i] = std::to_integer<std::uint8_t>(bytes[i]);
  return address;
}

IpAddress IpAddress::of_v6(Bytes bytes) noexcept {
  IpAddress address;
  for (std::size_t i = 0; i < 16; ++i) address.bytes_[i] = std::to_integer<std::uint8_t>(bytes[i]);
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) noexcept {
  IpAddress address;
  if (text.find(':') != std::string_view::npos) {
    if (!parse_v6(text, address.bytes_)) return std::nullopt;
  } else {
    std::copy(before_v4.begin(), before_v4.end(), address.bytes_.begin());
    if (!parse_v4(text, &address.bytes_[12])) return std::nullopt;
  }
  return address;
}

bool IpAddress::is_v4() const noexcept {
  return std::equal(before_v4.begin(), before_v4.end(), bytes_.begin());
}

bool IpAddress::is_loopback() const noexcept {
  if (is_v4()) return bytes_[before_v4.size()] == 127;
  return bytes_.back() == 1 &&
         std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t each) { return each == 0; });
}

std::string to_string(const IpAddress& address) {
  const auto& bytes = address.bytes();
  char group[16];
  if (address.is_v4()) {
    std::snprintf(group, sizeof group, "%d.%d.%d.%d", bytes[12], bytes[13], bytes[14], bytes[15]);
    return group;
  }
  const auto value = [&](std::size_t i) { return bytes[2 * i] << 8 | bytes[2 * i + 1]; };
  // The longest run of zeros, the first of those that are alike; one alone is written.
  std::size_t gap = 8;
  std::size_t gap_size = 1;
  for (std::size_t i = 0; i < 8; ++i) {
    std::size_t size = 0;
    while (i + size < 8 && value(i + size) == 0) ++size;
    if (size > gap_size) gap = i, gap_size = size;
  }
  std::string text;
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == gap) {
      text += "::";
      i += gap_size - 1;
      continue;
    }
    if (!text.empty() && !text.ends_with(':')) text += ':';
    std::snprintf(group, sizeof group, "%x", static_cast<unsigned>(value(i)));
    text += group;
  }
  return text;
}

std::optional<Network> Network::parse(std::string_view text) noexcept {
  const auto slash = std::min(text.find('/'), text.size());
  const auto address = IpAddress::parse(text.substr(0, slash));
  const unsigned most = text.find(':') < text.size() ? 128 : 32;
  unsigned bits = most;
  if (!address || (slash < text.size() && !read_number(text.substr(slash + 1), bits)) ||
      bits > most)
    return std::nullopt;
  return Network{*address, bits + (128 - most)};
}

bool Network::contains(const IpAddress& other) const noexcept {
  return same_bits(address, other, bits);
}

Error Networks::parse(const std::vector<std::string>& texts, Networks& networks) {
  Networks read;
  for (const std::string_view text : texts) {
    if (text == "unix:") {
      read.has_unix_ = true;
      continue;
    }
    const std::string shown{text.substr(0, 64)};
    const auto network = Network::parse(text);
    if (!network)
      return make_error(errc::bad_address,
                        "\"%s\" is no network; networks look like 10.0.0.0/8, 127.0.0.1, "
                        "2001:db8::/32, ::1 or unix:",
                        shown.c_str());
    if (const Network whole = whole_of(*network); whole != *network)
      return make_error(errc::bad_address,
                        "\"%s\" is an address within a network; the network is written %s",
                        shown.c_str(), to_string(whole).c_str());
    read.all_.push_back(*network);
  }
  networks = std::move(read);
  return {};
}

bool Networks::contains(const IpAddress& address) const noexcept {
  return std::any_of(all_.begin(), all_.end(),
                     [&](const Network& each) { return each.contains(address); });
}

bool Networks::contains(const Endpoint& endpoint) const noexcept {
  if (endpoint.is_unix()) return has_unix_;
  const auto address = IpAddress::of_host(endpoint.host);
  return address && contains(*address);
}

}  // namespace timtow
