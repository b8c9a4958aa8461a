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
  const std::string whole = run(input, {});
  fuzz::check_same(run(input, {1}), whole, "byte by byte");
  fuzz::check_same(run(input, fuzz::sizes_of(input)), whole, "in parts");
  return 0;
}
