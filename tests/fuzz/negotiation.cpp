// Sec-WebSocket-Extensions as a server gets it, and as a client does: the first byte of the input
// says what each wants, and the rest is the header's value. Whatever a server agrees to is an
// answer that suits a client that offered all there is, and then they understand each other.
#include <array>

#include "support.hpp"
#include "timtow/deflate.hpp"
#include "timtow/extension.hpp"

namespace {

using timtow::Codec;

std::string decompressed(Codec& codec, timtow::Bytes from) {
  std::string text;
  std::array<std::byte, 100> room{};
  while (true) {
    const auto [result, taken, made] = codec.decompress(from, true, room);
    text += timtow::as_text(timtow::Bytes{room}.first(made));
    from = from.subspan(taken);
    if (result == Codec::Result::taken) return text;
    fuzz::check(result == Codec::Result::full, "what is compressed can be decompressed");
  }
}

void check_talk(Codec& from, Codec& to, timtow::Pool& pool, std::string_view text) {
  for (int i = 0; i < 3; ++i) {
    timtow::Buffer payload{pool};
    fuzz::check(from.compress(timtow::as_bytes(text), true, payload), "there is memory");
    fuzz::check(decompressed(to, payload.bytes()) == text, "what is sent arrives");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view value = fuzz::text_of(data + 1, size - 1);
  const bool takes_over = (data[0] & 0x80U) == 0;
  const timtow::DeflateOptions options{.server_no_context_takeover = !takes_over,
                                       .client_no_context_takeover = !takes_over,
                                       .server_max_window_bits = data[0] & 0xF,
                                       .client_max_window_bits = data[0] >> 3U & 0xF,
                                       .memory_level = 1};
  const timtow::Deflate deflate{options};
  const auto list =
      timtow::Headers{{{"Sec-WebSocket-Extensions", value}}}.list("Sec-WebSocket-Extensions");
  timtow::Pool pool;
  {
    std::string answer;
    const auto server = deflate.accept(list, pool, answer);
    fuzz::check((server == nullptr) == answer.empty(), "there is an answer if there is a codec");
    if (server != nullptr) {
      const timtow::Deflate all{timtow::DeflateOptions{.server_no_context_takeover = false,
                                                       .client_no_context_takeover = false,
                                                       .memory_level = 1}};
      std::unique_ptr<Codec> client;
      const auto error = all.confirm({answer}, pool, client);
      fuzz::check(!error && client != nullptr, "an answer suits who offered all");
      check_talk(*server, *client, pool, value);
      check_talk(*client, *server, pool, value);
    }

    std::unique_ptr<Codec> client;
    const auto error = deflate.confirm(list, pool, client);
    fuzz::check(!error || client == nullptr, "an answer that does not suit gives nothing");
    fuzz::check(error || (client == nullptr) == list.empty(), "an answer that suits gives a codec");
    if (client != nullptr) {
      timtow::Buffer payload{pool};
      fuzz::check(client->compress(timtow::as_bytes(value), true, payload), "there is memory");
    }
  }
  fuzz::check(pool.in_use() == 0, "codecs that are gone own no memory");
  return 0;
}
