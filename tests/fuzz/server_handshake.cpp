// A server session is fed the input from its first byte on: a request, and whatever comes behind.
#include "support.hpp"

namespace {

std::string run(std::string_view input, const fuzz::Sizes& sizes) {
  fuzz::Setup setup;
  setup.options.limits.handshake_bytes = 2048;
  setup.options.limits.handshake_headers = 16;
  fuzz::Connection server{setup};
  server.read(input, sizes);
  return server.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text_of(data, size);
  fuzz::check_splits(input, [&](const fuzz::Sizes& sizes) { return run(input, sizes); });
  return 0;
}
