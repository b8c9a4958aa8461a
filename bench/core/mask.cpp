// Unmasking in place, beside a copy of as many bytes.
#include "timtow/mask.hpp"
#include "benchmarks.hpp"

namespace bench {
namespace {

void unmask(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  std::vector<std::byte> payload(size);
  const timtow::MaskingKey key{std::byte{0x12}, std::byte{0x34}, std::byte{0x56}, std::byte{0x78}};
  measure(state, size, [&] {
    benchmark::DoNotOptimize(timtow::mask(payload.data(), payload.data(), size, key));
  });
}

void copy(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const std::vector<std::byte> from(size);
  std::vector<std::byte> to(size);
  measure(state, size, [&] {
    std::memcpy(to.data(), from.data(), size);
    benchmark::ClobberMemory();
  });
}

}  // namespace

void add_mask() {
  benchmark::RegisterBenchmark("unmask", unmask)->RangeMultiplier(4)->Range(16, 1024 * 1024);
  benchmark::RegisterBenchmark("memcpy", copy)->RangeMultiplier(4)->Range(16, 1024 * 1024);
}

}  // namespace bench
