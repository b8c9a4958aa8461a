// A text is checked by every implementation that the processor can run, in parts. Its first three
// bytes choose where they end.
#include "utf8_simd.hpp"

#include "support.hpp"

namespace {

// How many bytes are good, and the state of the automaton behind them.
std::string run(std::string_view text, timtow::detail::SkipUtf8 skip, const fuzz::Sizes& sizes) {
  std::uint8_t state = 0;
  std::size_t good = 0;
  for (std::size_t i = 0; !text.empty(); ++i) {
    const std::string_view part = text.substr(0, sizes[i % sizes.size()]);
    const std::size_t good_in_part =
        timtow::detail::check_utf8(timtow::as_bytes(part), state, skip);
    good += good_in_part;
    if (good_in_part != part.size()) break;
    text.remove_prefix(part.size());
  }
  return std::to_string(good) + " bytes, state " + std::to_string(state);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const fuzz::Sizes sizes{data[0] + 1U, data[1] + 1U, data[2] + 1U};
  const std::string_view text = fuzz::text_of(data + 3, size - 3);
  const auto all = timtow::detail::utf8_implementations();
  const std::string wanted = run(text, all.back().skip, {1});
  for (const auto& each : all) {
    fuzz::check_same(run(text, each.skip, {text.size() + 1}), wanted, each.name);
    fuzz::check_same(run(text, each.skip, sizes), wanted, each.name);
  }
  return 0;
}
