#include "histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace load {
namespace {

constexpr int fine_bits = 7;
constexpr std::size_t fine = std::size_t{1} << fine_bits;

// Below 2 * fine every value has a bucket; from there every power of two has `fine` of them.
std::size_t bucket_of(Time latency) {
  const auto value = static_cast<std::uint64_t>(std::max<Time>(latency, 0));
  const int shift = std::max(static_cast<int>(std::bit_width(value)) - (fine_bits + 1), 0);
  return static_cast<std::size_t>(shift) * fine + static_cast<std::size_t>(value >> shift);
}

// The last value that belongs to it.
Time upper_end(std::size_t bucket) {
  const std::size_t shift = bucket < 2 * fine ? 0 : bucket / fine - 1;
  return static_cast<Time>((std::uint64_t{bucket - shift * fine} + 1) << shift) - 1;
}

}  // namespace

void Histogram::add(Time latency) {
  const std::size_t bucket = bucket_of(latency);
  if (bucket >= counts_.size()) counts_.resize(bucket + 1);
  ++counts_[bucket];
  ++count_;
  sum_ += latency;
  max_ = std::max(max_, latency);
}

Time Histogram::mean() const { return count_ == 0 ? 0 : sum_ / static_cast<Time>(count_); }

Time Histogram::percentile(double share) const {
  const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen > 0 && seen >= rank) return std::min(upper_end(bucket), max_);
  }
  return max_;
}

std::vector<std::pair<Time, std::uint64_t>> Histogram::buckets(std::size_t most) const {
  std::vector<std::pair<Time, std::uint64_t>> result;
  for (std::size_t together = 1;; together *= 2) {
    result.clear();
    for (std::size_t first = 0; first < counts_.size(); first += together) {
      const std::size_t end = std::min(first + together, counts_.size());
      std::uint64_t sum = 0;
      for (std::size_t bucket = first; bucket < end; ++bucket) sum += counts_[bucket];
      if (sum > 0) result.emplace_back(upper_end(end - 1), sum);
    }
    if (result.size() <= most) return result;
  }
}

}  // namespace load
