// An open session that compresses; the bits of the first byte of the input set it up, and the rest
// is what its peer sends: frames, of which some are compressed.
#include "support.hpp"
#include "timtow/deflate.hpp"

namespace {

fuzz::Setup setup_of(unsigned bits) {
  static const timtow::Deflate with_takeover{timtow::DeflateOptions{
      .server_no_context_takeover = false, .client_no_context_takeover = false, .min_size = 0}};
  static const timtow::Deflate without_takeover{timtow::DeflateOptions{.min_size = 0}};
  const auto has = [bits](unsigned bit) { return (bits >> bit & 1U) != 0; };
  fuzz::Setup setup;
  setup.opened = true;
  setup.role = has(0) ? timtow::Role::client : timtow::Role::server;
  setup.options.compression = has(1) ? &with_takeover : &without_takeover;
  setup.extension = has(1)   ? "permessage-deflate"
                    : has(2) ? "permessage-deflate; server_no_context_takeover; "
                               "server_max_window_bits=8"
                             : "permessage-deflate; server_no_context_takeover";
  setup.streaming = has(3);
  setup.in_place = has(4);
  setup.echo = has(5);
  if (has(6)) setup.write_size = 3;
  timtow::Limits& limits = setup.options.limits;
  limits.message_bytes = has(7) ? 300 : 100'000;
  limits.inflate_free = 50'000;
  setup.more_memory = 600 * 1024 + 4 * limits.message_bytes;  // of zlib's, and one message
  return setup;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const fuzz::Setup setup = setup_of(data[0]);
  const std::string_view input = fuzz::text_of(data + 1, size - 1);
  fuzz::check_splits(input, [&](const fuzz::Sizes& sizes) {
    fuzz::Connection connection{setup};
    connection.read(input, sizes);
    return connection.finish();
  });
  return 0;
}
