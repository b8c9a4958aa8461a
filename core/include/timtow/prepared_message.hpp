// A message in the form in which a server sends it, made once for many connections.
//
// A copy of it is a reference to the same bytes, which never change: it may be handed to other
// threads, for the connections of other loops.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "timtow/bytes.hpp"
#include "timtow/event.hpp"
#include "timtow/frame.hpp"

namespace timtow {

class PreparedMessage {
 public:
  using Shared = std::shared_ptr<const std::byte[]>;

  // Copies the payload. Text must be UTF-8, as for Session::send(). Throws std::bad_alloc.
  explicit PreparedMessage(const Message& message) : type_(message.type) {
    const FrameHeader header{.opcode = static_cast<Opcode>(message.type),
                             .length = message.payload.size()};
    header_size_ = header.wire_size();
    size_ = header_size_ + message.payload.size();
    auto bytes = std::make_shared_for_overwrite<std::byte[]>(size_);
    std::copy_n(message.payload.data(), message.payload.size(), header.write(bytes.get()));
    bytes_ = std::move(bytes);
  }

  Message message() const noexcept { return {type_, frame().subspan(header_size_)}; }
  // As it goes over the wire, unmasked (RFC 6455 section 5.2).
  Bytes frame() const noexcept { return {bytes_.get(), size_}; }
  // Keeps the bytes.
  const Shared& shared() const noexcept { return bytes_; }

 private:
  Shared bytes_;
  std::size_t size_;
  std::size_t header_size_;
  MessageType type_;
};

}  // namespace timtow
