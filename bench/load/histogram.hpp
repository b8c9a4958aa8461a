// Latencies in buckets that grow with what they hold: each is at most 1/128 of its value wide, so a
// percentile is right to 0.8 %, and adding one is a shift and an increment.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "clock.hpp"

namespace load {

class Histogram {
 public:
  void add(Time latency);

  std::uint64_t count() const { return count_; }
  Time max() const { return max_; }
  Time mean() const;

  // The least latency that this share of all does not exceed.
  Time percentile(double share) const;

  // Upper end and count of every bucket that is not empty; neighbours are put together until at
  // most `most` remain.
  std::vector<std::pair<Time, std::uint64_t>> buckets(std::size_t most) const;

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  Time sum_ = 0;
  Time max_ = 0;
};

}  // namespace load
