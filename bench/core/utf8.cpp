// The check of UTF-8, by each implementation.
#include "utf8_simd.hpp"

#include "benchmarks.hpp"

namespace bench {
namespace {

using timtow::detail::Utf8Implementation;

void check(benchmark::State& state, const Utf8Implementation& how, const std::string& text) {
  bool good = true;
  measure(state, text.size(), [&] {
    std::uint8_t automaton = 0;
    benchmark::ClobberMemory();
    good = good &&
           timtow::detail::check_utf8(timtow::as_bytes(text), automaton, how.skip) == text.size();
  });
  if (!good) state.SkipWithError("a good text was refused");
}

}  // namespace

void add_utf8() {
  for (const auto& how : timtow::detail::utf8_implementations()) {
    for (const std::string_view script : scripts) {
      for (const std::size_t size : {16U, 64U, 1024U, 16U * 1024}) {
        const std::string name = std::string{"utf8/"} + how.name + '/' + std::string{script} + '/' +
                                 std::to_string(size);
        benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
          check(state, how, text_of(script, size));
        });
      }
    }
  }
}

}  // namespace bench
