// How many connections a server may have, and each address of them: ServerOptions::connections and
// connections_per_address. It counts and judges; what becomes of whom it turns away is the
// server's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "address_counts.hpp"
#include "timtow/connection.hpp"
#include "timtow/http.hpp"
#include "timtow/ip_address.hpp"
#include "timtow/server.hpp"

namespace timtow {

class ServerCaps {
 public:
  using Tag = AddressCounts::Tag;
  // What a connection is counted by when that is no address: by none, ...
  static constexpr Tag uncounted = 0;
  // ... or as one that is only there to be told that there are too many.
  static constexpr Tag refused = 1;

  // What the options say, or, for what they leave to us, what the process may have. An error if the
  // system gives no randomness.
  Error settle(const ServerOptions& options, std::size_t most_descriptors) noexcept;
  bool is_settled() const noexcept { return most_ != 0; }
  std::size_t most() const noexcept { return most_; }
  std::size_t most_of_one() const noexcept { return most_of_one_; }

  // Whose connections are counted by their address: not this machine's own, nor a trusted proxy's.
  Tag tag_of(const std::optional<IpAddress>& address, const Networks& trusted) const noexcept;

  // Why there cannot be one more connection; `all` of them are there, the refused ones included.
  Refusal judge(std::size_t all) const noexcept;
  // Why this address cannot have one more.
  Refusal judge_address(Tag tag) const noexcept;
  // Whether there is a place to tell one more so. Each costs a descriptor as well.
  bool may_refuse() const noexcept { return refusing_ < most_refused_; }

  // A connection has come, or ended, that is counted by this. Throws std::bad_alloc.
  void add(Tag tag);
  void remove(Tag tag) noexcept;

  std::size_t addresses() const noexcept { return counts_ ? counts_->size() : 0; }

 private:
  static constexpr std::size_t no_cap = std::numeric_limits<std::size_t>::max();

  std::size_t most_ = 0;
  std::size_t most_of_one_ = 0;
  std::size_t most_refused_ = 0;
  std::size_t refusing_ = 0;
  std::optional<AddressCounts> counts_;  // none if no address can have too many
};

}  // namespace timtow
