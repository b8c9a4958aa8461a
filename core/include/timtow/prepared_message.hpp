// A message in the form in which a server sends it, made once for many connections.
//
// A copy of it is a reference to the same bytes, which never change: it may be handed to other
// threads, for the connections of other loops. Of what is compressed for some of them the same is
// true: whoever needs it first makes it for all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "timtow/bytes.hpp"
#include "timtow/event.hpp"

namespace timtow {

class Codec;
class Pool;

class PreparedMessage {
 public:
  using Shared = std::shared_ptr<const std::byte[]>;
  struct Frame {
    Shared bytes;
    std::size_t size = 0;
  };

  // Copies the payload. Text must be UTF-8, as for Session::send(). Of messages of one topic the
  // latest is enough for slow readers (SlowReaders::conflate). Throws std::bad_alloc.
  explicit PreparedMessage(const Message& message, std::uint64_t topic = 0);

  std::uint64_t topic() const noexcept { return topic_; }
  Message message() const noexcept { return {type_, frame().subspan(header_size_)}; }
  // As it goes over the wire, unmasked (RFC 6455 section 5.2).
  Bytes frame() const noexcept { return {frame_.bytes.get(), frame_.size}; }
  // Keeps the bytes.
  const Shared& shared() const noexcept { return frame_.bytes; }
  // The same compressed, for connections whose codec has this form(); or as it is, where that is
  // smaller. Throws std::bad_alloc.
  Frame compressed(Codec& codec, Pool& pool) const;

 private:
  struct Forms;

  Frame frame_;
  std::size_t header_size_;
  MessageType type_;
  std::uint64_t topic_;
  std::shared_ptr<Forms> forms_;  // that were asked for
};

}  // namespace timtow
