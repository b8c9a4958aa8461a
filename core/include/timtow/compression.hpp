// The seam between a session and what compresses its messages (RFC 7692): an object for all
// connections that negotiates, and one for each connection that agreed.
//
// The core has none of its own, and needs no library for it: timtow/deflate.hpp is
// permessage-deflate on zlib. A session owns the frames: what is compressed is the payload of a
// message, whose first frame has RSV1 set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "timtow/bytes.hpp"
#include "timtow/error.hpp"
#include "timtow/pool.hpp"

namespace timtow {

// Compresses what one connection sends, and decompresses what it receives. As thread-safe as the
// session that owns it.
class Codec {
 public:
  Codec() = default;
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;
  virtual ~Codec() = default;

  // Whether a message of so many bytes is worth the work.
  virtual bool is_worth_compressing(std::size_t size) const noexcept = 0;
  // Appends what `part` of a message becomes; `last`: it ends the message. False when there is no
  // memory: the part is then as if it had never been given.
  virtual bool compress(Bytes part, bool last, Buffer& to) noexcept = 0;
  // What was compressed last is not sent: nothing that follows may refer to it.
  virtual void forget() noexcept = 0;
  // Bytes that it holds, of which the pool knows.
  virtual std::size_t memory() const noexcept = 0;
  // Names how messages are compressed, if each is for itself: all codecs that give this number make
  // the same of a message. 0: a message may depend on those before it.
  virtual std::uint32_t form() const noexcept = 0;

  enum class Result {
    taken,   // all that was given, and there is nothing more to come of it
    full,    // there is no more room: call again, with what was not taken
    broken,  // no such data: what was made before it is good
    no_memory,
  };
  struct Decompressed {
    Result result;
    std::size_t taken;  // bytes of `from`
    std::size_t made;   // bytes in `to`
  };
  // Decompresses a part of a message into `to`, which is not empty. `last`: it ends the message.
  // The same bytes make the same, in whatever parts they come.
  virtual Decompressed decompress(Bytes from, bool last, MutableBytes to) noexcept = 0;
};

// What to agree on with a peer. It never changes: one may serve all servers and clients of a
// program, on any number of threads.
//
// All of these throw std::bad_alloc. An extension is given as it stands in the list that
// Sec-WebSocket-Extensions is, with its parameters (RFC 6455 section 9.1).
class Compression {
 public:
  Compression() = default;
  Compression(const Compression&) = delete;
  Compression& operator=(const Compression&) = delete;
  virtual ~Compression() = default;

  // Server: takes the first offer that suits; null when none does. `answer` becomes the extension
  // as the response states it. The pool outlives the codec.
  virtual std::unique_ptr<Codec> accept(const std::vector<std::string_view>& offers, Pool& pool,
                                        std::string& answer) const = 0;

  // Client: what to offer ...
  virtual std::string offer() const = 0;
  // ... and what comes of the server's answer: a codec, or none if it chose nothing. An error if it
  // chose what was not offered, by which the opening handshake fails.
  virtual Error confirm(const std::vector<std::string_view>& chosen, Pool& pool,
                        std::unique_ptr<Codec>& codec) const = 0;
};

}  // namespace timtow
