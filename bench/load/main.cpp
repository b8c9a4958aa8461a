#include <cstdio>
#include <string_view>

#include "fail.hpp"
#include "modes.hpp"

namespace {

constexpr struct {
  std::string_view name;
  load::Measurement (*run)(const load::Options&);
} modes[] = {{"closed", load::closed}, {"open", load::open},     {"idle", load::idle},
             {"churn", load::churn},   {"fanout", load::fanout}, {"slow", load::slow}};

}  // namespace

int main(int argc, char** argv) {
  const load::Options options = load::read_options(argc, argv);
  for (const auto& mode : modes) {
    if (mode.name != options.mode) continue;
    std::puts(to_json(options, mode.run(options)).c_str());
    return 0;
  }
  load::refuse("there is no mode \"%s\"; --help lists them", options.mode.data());
}
