#include "timtow/proxy_protocol.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "timtow/frame.hpp"
#include "timtow/ip_address.hpp"

namespace timtow {
namespace {

using Result = ProxyHeader::Result;

constexpr std::string_view start_v1 = "PROXY ";
constexpr std::string_view start_v2{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t fixed_v2 = 16;  // signature, version and command, family, length

// Somebody, and it is not told who.
Endpoint unknown() { return {.host = "unknown", .port = 0, .path = {}}; }

// The word up to the next space.
std::string_view take_word(std::string_view& rest) noexcept {
  const auto end = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

bool read_port(std::string_view text, std::uint16_t& port) noexcept {
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, port);
  return failure == std::errc{} && stop == end && (text.size() == 1 || text[0] != '0');
}

// Section 2.1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n".
Result parse_v1(std::string_view text, ProxyHeader& header) {
  const auto end = text.substr(0, most_of_proxy_header_v1).find("\r\n");
  if (end == std::string_view::npos)
    return text.size() < most_of_proxy_header_v1 ? Result::incomplete : Result::bad;
  std::string_view line = text.substr(start_v1.size(), end - start_v1.size());
  header.size = end + 2;
  const std::string_view family = take_word(line);
  if (family == "UNKNOWN") {
    header.client = unknown();
    return Result::complete;
  }
  if (family != "TCP4" && family != "TCP6") return Result::bad;
  const std::string_view source = take_word(line);
  const std::string_view destination = take_word(line);
  for (const std::string_view text_of : {source, destination}) {
    const bool is_v4 = text_of.find(':') == std::string_view::npos;
    if (is_v4 != (family == "TCP4") || !IpAddress::parse(text_of)) return Result::bad;
  }
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  const std::string_view port = take_word(line);
  if (!read_port(port, source_port) || !read_port(line, destination_port)) return Result::bad;
  header.client = {.host = std::string{source}, .port = source_port, .path = {}};
  return Result::complete;
}

// Section 2.2. What comes behind the addresses (TLVs) is skipped.
Result parse_v2(Bytes bytes, ProxyHeader& header) {
  const auto at = [&](std::size_t i) { return std::to_integer<unsigned>(bytes[i]); };
  // Each byte is judged as soon as it is there. What a connection of the proxy's own (LOCAL) says
  // of its family and addresses counts for nothing.
  if (bytes.size() > 12 && (at(12) >> 4U != 2 || (at(12) & 0xFU) > 1)) return Result::bad;
  const bool is_local = bytes.size() > 12 && (at(12) & 0xFU) == 0;
  if (bytes.size() > 13 && !is_local && (at(13) >> 4U > 3 || (at(13) & 0xFU) > 2))
    return Result::bad;
  if (bytes.size() < fixed_v2) return Result::incomplete;
  const unsigned family = at(13) >> 4U;
  const bool is_stream = (at(13) & 0xFU) == 1;
  constexpr std::array<std::size_t, 4> sizes{0, 12, 36, 216};  // UNSPEC, IPv4, IPv6, Unix
  const std::size_t length = detail::load_big_endian<std::uint16_t>(&bytes[14]);
  header.size = fixed_v2 + length;
  if (header.size > most_of_proxy_header || (!is_local && length < sizes[family]))
    return Result::bad;
  if (bytes.size() < header.size) return Result::incomplete;
  if (is_local) return Result::complete;
  header.client = unknown();
  if (!is_stream) return Result::complete;

  const Bytes addresses = bytes.subspan(fixed_v2, length);
  const auto from = [&](const IpAddress& address, std::size_t port_at) {
    header.client = {.host = to_string(address),
                     .port = static_cast<std::uint16_t>(
                         detail::load_big_endian<std::uint16_t>(&addresses[port_at])),
                     .path = {}};
  };
  if (family == 1) from(IpAddress::of_v4(addresses), 8);
  if (family == 2) from(IpAddress::of_v6(addresses), 32);
  if (family == 3) {
    const std::string_view path = as_text(addresses.first(108));
    if (path.front() != '\0')  // else it has no name
      header.client = {.host = {}, .port = 0, .path = std::string{path.substr(0, path.find('\0'))}};
  }
  return Result::complete;
}

}  // namespace

Result ProxyHeader::parse(Bytes bytes, ProxyHeader& header) {
  header = {};
  const std::string_view text = as_text(bytes);
  // As far as both go.
  const auto begins = [&](std::string_view start) {
    return text.substr(0, start.size()) == start.substr(0, text.size());
  };
  const auto may_be = [&](std::string_view start) {
    return begins(start) && text.size() < start.size();
  };
  if (may_be(start_v1) || may_be(start_v2)) return Result::incomplete;
  if (begins(start_v1)) return parse_v1(text, header);
  if (begins(start_v2)) return parse_v2(bytes, header);
  return Result::none;
}

}  // namespace timtow
