#include "timtow/prepared_message.hpp"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <new>
#include <vector>

#include "timtow/compression.hpp"
#include "timtow/frame.hpp"

namespace timtow {
namespace {

PreparedMessage::Frame make_frame(const FrameHeader& header, const std::byte* payload) {
  const std::size_t size = header.wire_size() + static_cast<std::size_t>(header.length);
  auto bytes = std::make_shared_for_overwrite<std::byte[]>(size);
  std::copy_n(payload, header.length, header.write(bytes.get()));
  return {std::move(bytes), size};
}

}  // namespace

// Locked while one of them is made, for who needs the same would make it as well.
struct PreparedMessage::Forms {
  struct Form {
    std::uint32_t form;
    Frame frame;
  };
  std::mutex mutex;
  std::vector<Form> all;
};

PreparedMessage::PreparedMessage(const Message& message, std::uint64_t topic)
    : type_(message.type), topic_(topic), forms_(std::make_shared<Forms>()) {
  const FrameHeader header{.opcode = static_cast<Opcode>(message.type),
                           .length = message.payload.size()};
  header_size_ = header.wire_size();
  frame_ = make_frame(header, message.payload.data());
}

PreparedMessage::Frame PreparedMessage::compressed(Codec& codec, Pool& pool) const {
  const std::lock_guard lock{forms_->mutex};
  auto& all = forms_->all;
  const auto found = std::find_if(
      all.begin(), all.end(), [&](const Forms::Form& each) { return each.form == codec.form(); });
  if (found != all.end()) return found->frame;
  all.reserve(all.size() + 1);

  Buffer payload{pool};
  if (!codec.compress(message().payload, true, payload)) throw std::bad_alloc{};
  const FrameHeader header{
      .rsv = rsv1, .opcode = static_cast<Opcode>(type_), .length = payload.size()};
  Frame frame =
      payload.size() < message().payload.size() ? make_frame(header, payload.data()) : frame_;
  all.push_back({codec.form(), frame});
  return frame;
}

}  // namespace timtow
