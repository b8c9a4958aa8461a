// An open session is fed frames. The first byte chooses the session: 's' a server, 'c' a client; as
// capitals they stream.
#include "support.hpp"

namespace {

std::string run(std::string_view input, const fuzz::Setup& setup, const fuzz::Sizes& sizes) {
  fuzz::Connection connection{setup};
  connection.read(input, sizes);
  return connection.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input = fuzz::text_of(data + 1, size - 1);
  fuzz::Setup setup;
  setup.opened = true;
  setup.role = (data[0] & 0x10) != 0 ? timtow::Role::server : timtow::Role::client;
  setup.streaming = (data[0] & 0x20) == 0;
  setup.options.limits.message_bytes = 100'000;
  setup.options.limits.message_fragments = 20;

  const std::string whole =
      fuzz::check_splits(input, [&](const fuzz::Sizes& sizes) { return run(input, setup, sizes); });
  setup.in_place = true;
  fuzz::check_same(run(input, setup, {7, 1000}), whole, "read in place");
  return 0;
}
