// A client session is fed the input as the answer to its request. {accept} stands for the right
// Sec-WebSocket-Accept, which no input can know: the key is random.
#include "support.hpp"

namespace {

std::string run(std::string_view input, const fuzz::Sizes& sizes) {
  fuzz::Setup setup;
  setup.role = timtow::Role::client;
  setup.options.limits.handshake_bytes = 2048;
  setup.options.limits.handshake_headers = 16;
  fuzz::Connection client{setup};
  client.read(fuzz::with_accept(input, client.accept()), sizes);
  return client.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text_of(data, size);
  fuzz::check_splits(input, [&](const fuzz::Sizes& sizes) { return run(input, sizes); });
  return 0;
}
