// What a proxy says first: the header of the PROXY protocol to a server, its answer to CONNECT to a
// client. Both are read alike whole, in parts and byte by byte.
#include "support.hpp"
#include "timtow/ip_address.hpp"
#include "timtow/proxy.hpp"
#include "timtow/proxy_protocol.hpp"

namespace {

using namespace timtow;

// What is made of the input when it comes in these sizes, and how much of it was taken.
template <typename Take>
std::string run(std::string_view input, const fuzz::Sizes& sizes, Take take) {
  std::size_t came = 0;
  for (std::size_t i = 0; came < input.size(); ++i) {
    const std::size_t part =
        sizes.empty() ? input.size() : std::min(sizes[i % sizes.size()], input.size() - came);
    const std::string result = take(input.substr(came, part), input.substr(0, came + part));
    if (!result.empty()) return result;
    came += part;
  }
  return "incomplete";
}

std::string header_of(std::string_view input, const fuzz::Sizes& sizes) {
  return run(input, sizes, [](std::string_view, std::string_view so_far) -> std::string {
    ProxyHeader header;
    switch (ProxyHeader::parse(as_bytes(so_far), header)) {
      case ProxyHeader::Result::incomplete:
        fuzz::check(so_far.size() < most_of_proxy_header, "a header has a longest size");
        return {};
      case ProxyHeader::Result::none:
        return "none";
      case ProxyHeader::Result::bad:
        return "bad";
      case ProxyHeader::Result::complete:
        break;
    }
    fuzz::check(header.size <= so_far.size(), "a header is within what came");
    if (!header.client) return std::to_string(header.size);
    fuzz::check(header.client->is_unix() || IpAddress::parse(header.client->host) ||
                    header.client->host == "unknown",
                "a client has an address, or is unknown");
    return std::to_string(header.size) + ' ' + to_string(*header.client);
  });
}

std::string answer_of(std::string_view input, const fuzz::Sizes& sizes) {
  ConnectAnswer answer;
  std::size_t taken = 0;
  return run(input, sizes, [&](std::string_view part, std::string_view) -> std::string {
    std::size_t used = 0;
    std::error_code error;
    const bool stands = answer.take(as_bytes(part), used, error);
    fuzz::check(used <= part.size(), "no more is used than came");
    taken += used;
    if (error) return error.message();
    return stands ? "stands behind " + std::to_string(taken) : std::string{};
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text_of(data, size);
  for (const auto read : {header_of, answer_of}) {
    const std::string whole = read(input, {});
    fuzz::check_same(read(input, {1}), whole, "byte by byte");
    fuzz::check_same(read(input, fuzz::sizes_of(input)), whole, "in parts");
  }
  return 0;
}
