#include "server_caps.hpp"

#include <algorithm>
#include <exception>

namespace timtow {

// Of 48 descriptors 40 are for connections, 5 to refuse others (an eighth of those), and 3 (a
// sixteenth of all) for the program.
Error ServerCaps::settle(const ServerOptions& options, std::size_t most_descriptors) noexcept {
  most_ = options.connections;
  if (most_ == 0)
    most_ =
        most_descriptors == no_cap ? no_cap : std::max<std::size_t>(most_descriptors / 48 * 40, 1);
  most_refused_ = std::max<std::size_t>(most_ / 8, 1);
  most_of_one_ = options.connections_per_address;
  if (most_of_one_ == 0) most_of_one_ = most_ == no_cap ? no_cap : (most_ + 1) / 2;
  if (most_of_one_ >= most_ || counts_) return {};
  try {
    counts_.emplace();
    return {};
  } catch (const std::exception&) {
    return make_error(errc::no_entropy,
                      "the system gives no randomness, without which connections cannot be "
                      "counted by address");
  }
}

ServerCaps::Tag ServerCaps::tag_of(const std::optional<IpAddress>& address,
                                   const Networks& trusted) const noexcept {
  const bool is_counted =
      counts_ && address && !address->is_loopback() && !trusted.contains(*address);
  return is_counted ? counts_->tag_of(*address) : uncounted;
}

Refusal ServerCaps::judge(std::size_t all) const noexcept {
  if (all - refusing_ < most_) return {};
  return {503, make_error(errc::too_many_connections,
                          "there are %zu connections, which is ServerOptions::connections", most_)};
}

Refusal ServerCaps::judge_address(Tag tag) const noexcept {
  if (tag == uncounted || counts_->count(tag) < most_of_one_) return {};
  return {503, make_error(errc::too_many_of_one_address,
                          "this address has %zu connections, which is "
                          "ServerOptions::connections_per_address",
                          most_of_one_)};
}

void ServerCaps::add(Tag tag) {
  if (tag == refused)
    ++refusing_;
  else if (tag != uncounted)
    counts_->add(tag);
}

void ServerCaps::remove(Tag tag) noexcept {
  if (tag == refused)
    --refusing_;
  else if (tag != uncounted)
    counts_->remove(tag);
}

}  // namespace timtow
