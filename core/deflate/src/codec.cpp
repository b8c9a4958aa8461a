#include "codec.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#define ZLIB_CONST  // NOLINT(readability-identifier-naming): zlib's
#include <zlib.h>

namespace timtow::deflate {
namespace {

// What the sender leaves away, and the receiver puts back (section 7.2): all but the header of an
// empty block that is not compressed.
constexpr std::array<std::byte, 4> tail{std::byte{0}, std::byte{0}, std::byte{0xFF},
                                        std::byte{0xFF}};

// zlib counts in 32 bits.
constexpr std::size_t most_at_once = std::size_t{1} << 30U;

void give(z_stream& z, Bytes from) noexcept {
  z.next_in = reinterpret_cast<const Bytef*>(from.data());
  z.avail_in = static_cast<uInt>(std::min(from.size(), most_at_once));
}

void make_room(z_stream& z, MutableBytes to) noexcept {
  z.next_out = reinterpret_cast<Bytef*>(to.data());
  z.avail_out = static_cast<uInt>(std::min(to.size(), most_at_once));
}

// zlib's state. While a connection has it, its memory counts against the budget of the pool.
class Stream {
 public:
  explicit Stream(Pool& pool) noexcept : pool_(pool) {
    z_.zalloc = allocate;
    z_.zfree = [](void*, void* memory) { std::free(memory); };
    z_.opaque = this;
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void lay_aside() noexcept {
    pool_.refund(size_);
    is_charged_ = false;
  }
  std::size_t memory() const noexcept { return size_; }
  bool take_up() noexcept { return is_charged_ = pool_.charge(size_); }

 protected:
  ~Stream() {
    if (is_charged_) pool_.refund(size_);
  }

  z_stream z_{};

 private:
  static void* allocate(void* self, uInt count, uInt size_of_one) noexcept {
    auto& stream = *static_cast<Stream*>(self);
    const std::size_t size = std::size_t{count} * size_of_one;
    if (!stream.pool_.charge(size)) return nullptr;
    void* const memory = std::malloc(size);
    if (memory == nullptr)
      stream.pool_.refund(size);
    else
      stream.size_ += size;
    return memory;
  }

  Pool& pool_;
  std::size_t size_ = 0;
  bool is_charged_ = true;
};

class Deflater : public Stream {
 public:
  Deflater(Pool& pool, const Compressing& how) noexcept : Stream(pool), how_(how) {
    // zlib makes 512 bytes of a window of 256. Runs of one byte, that is, distances of 1, are all
    // that it promises to keep below the 256 then.
    const bool tiny = how.window_bits == 8;
    is_good_ = deflateInit2(&z_, how.level, Z_DEFLATED, -std::max(how.window_bits, 9),
                            how.memory_level, tiny ? Z_RLE : Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~Deflater() { deflateEnd(&z_); }
  bool is_good() const noexcept { return is_good_; }
  const Compressing& how() const noexcept { return how_; }

  // Forgets what came before. A sender may at any time, at the end of a part.
  void reset() noexcept { deflateReset(&z_); }

  // Appends what the part becomes, up to the end of a byte, and `tail`. False without memory.
  bool compress(Bytes part, Buffer& to) noexcept {
    do {
      give(z_, part);
      part = part.subspan(z_.avail_in);
      do {
        // In less than seven bytes it would repeat its `tail`.
        if (to.reserve(std::min<std::size_t>(z_.avail_in + 64U, 4000U)) == nullptr) return false;
        make_room(z_, {to.data() + to.size(), to.room()});
        const std::size_t room = z_.avail_out;
        ::deflate(&z_, part.empty() ? Z_SYNC_FLUSH : Z_NO_FLUSH);
        to.commit(room - z_.avail_out);
      } while (z_.avail_out == 0);
    } while (!part.empty());
    return true;
  }

 private:
  Compressing how_;
  bool is_good_;
};

class Inflater : public Stream {
 public:
  // The window is always the largest: with a smaller one it would be chance, namely where one read
  // ends and the next begins, whether zlib finds a reference that goes too far.
  explicit Inflater(Pool& pool) noexcept : Stream(pool), is_good_(inflateInit2(&z_, -15) == Z_OK) {}
  ~Inflater() { inflateEnd(&z_); }
  bool is_good() const noexcept { return is_good_; }

  void reset() noexcept {
    inflateReset(&z_);
    has_ended_ = false;
    is_between_blocks_ = true;
    was_full_ = false;
  }

  Codec::Decompressed decompress(Bytes from, bool last, MutableBytes to) noexcept {
    using Result = Codec::Result;
    make_room(z_, to);
    const std::size_t room = z_.avail_out;
    std::size_t taken = 0;
    const auto so_far = [&](Result result) {
      return Codec::Decompressed{result, taken, room - z_.avail_out};
    };
    while (taken != from.size() || was_full_) {
      const int result = inflate_some(from.subspan(taken));
      taken += std::min(from.size() - taken, most_at_once) - z_.avail_in;
      if (result == Z_MEM_ERROR) return so_far(Result::no_memory);
      if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END)
        return so_far(Result::broken);
      was_full_ = z_.avail_out == 0;
      if (was_full_) return so_far(Result::full);
    }
    auto all = so_far(Result::taken);  // without what the tail may make, which is not good
    if (last && !end_message()) all.result = Result::broken;
    return all;
  }

 private:
  int inflate_some(Bytes next) noexcept {
    give(z_, next);
    if (has_ended_) {
      if (next.empty()) return Z_STREAM_END;
      inflateResetKeep(&z_);  // what follows may still refer to what came before
    }
    const int result = ::inflate(&z_, Z_SYNC_FLUSH);
    has_ended_ = result == Z_STREAM_END;
    // As zlib tells it: 128 for that, and bits of the last byte that are not used.
    is_between_blocks_ = has_ended_ || (z_.data_type & (128 | 63)) == 128;
    return result;
  }

  // Whether a message may end here, with room left. One that ends between two blocks, and not
  // behind the header of an empty one, is complete without the tail: it is empty, or its last block
  // is marked as final. Elsewhere the tail has to be the rest of that block, and so make nothing.
  bool end_message() noexcept {
    if (is_between_blocks_) return true;
    const auto room = z_.avail_out;
    inflate_some(tail);
    return is_between_blocks_ && z_.avail_in == 0 && z_.avail_out == room;
  }

  bool is_good_;
  bool has_ended_ = false;         // by a final block, behind which more may come
  bool is_between_blocks_ = true;  // at the border of a byte
  bool was_full_ = false;  // there was no more room, so that more may come of what was taken
};

// What connections have given back, for the next that needs one.
struct Idle final : Pool::Record {
  std::unique_ptr<Inflater> inflater;
  std::array<std::unique_ptr<Deflater>, 16> deflaters;  // by their window bits
};

// Null when there is no memory for it.
Idle* idle_in(Pool& pool) noexcept {
  std::unique_ptr<Pool::Record>& place = pool.idle_codecs();
  if (auto* const idle = dynamic_cast<Idle*>(place.get())) return idle;
  place.reset(new (std::nothrow) Idle);
  return static_cast<Idle*>(place.get());
}

template <typename Kind>
void give_back(std::unique_ptr<Kind> stream, std::unique_ptr<Kind>* place) noexcept {
  if (place == nullptr || *place != nullptr) return;
  stream->lay_aside();
  *place = std::move(stream);
}

// What waits there, or null.
template <typename Kind>
std::unique_ptr<Kind> take(std::unique_ptr<Kind>& place) noexcept {
  auto stream = std::move(place);
  if (stream == nullptr || !stream->take_up()) return nullptr;
  stream->reset();
  return stream;
}

template <typename Kind, typename... Arguments>
std::unique_ptr<Kind> make(Arguments&... arguments) noexcept {
  std::unique_ptr<Kind> stream{new (std::nothrow) Kind{arguments...}};
  return stream != nullptr && stream->is_good() ? std::move(stream) : nullptr;
}

class DeflateCodec final : public Codec {
 public:
  DeflateCodec(const Agreed& agreed, Pool& pool) noexcept : agreed_(agreed), pool_(pool) {}

  bool is_worth_compressing(std::size_t size) const noexcept override {
    return size >= agreed_.min_size;
  }

  std::size_t memory() const noexcept override {
    return (deflater_ == nullptr ? 0 : deflater_->memory()) +
           (inflater_ == nullptr ? 0 : inflater_->memory());
  }

  std::uint32_t form() const noexcept override {
    if (agreed_.compressing_takes_over) return 0;
    const Compressing& how = agreed_.compressing;
    return static_cast<std::uint32_t>(how.window_bits | how.level << 8 | how.memory_level << 16);
  }

  bool compress(Bytes part, bool last, Buffer& to) noexcept override {
    if (part.empty()) {  // zlib may have nothing to flush
      constexpr std::byte header_of_empty_block{0};
      if (last && !to.append(&header_of_empty_block, 1)) return false;
    } else {
      if (deflater_ == nullptr) deflater_ = take_deflater();
      if (deflater_ == nullptr) return false;
      if (!deflater_->compress(part, to)) {
        deflater_->reset();
        return false;
      }
      if (last) to.drop_last(tail.size());
    }
    if (last && deflater_ != nullptr && !agreed_.compressing_takes_over) {
      Idle* const idle = idle_in(pool_);
      const auto bits = static_cast<std::size_t>(agreed_.compressing.window_bits);
      give_back(std::move(deflater_), idle == nullptr ? nullptr : &idle->deflaters[bits]);
    }
    return true;
  }

  void forget() noexcept override {
    if (deflater_ != nullptr) deflater_->reset();
  }

  Decompressed decompress(Bytes from, bool last, MutableBytes to) noexcept override {
    if (inflater_ == nullptr) inflater_ = take_inflater();
    if (inflater_ == nullptr) return {Result::no_memory, 0, 0};
    const Decompressed result = inflater_->decompress(from, last, to);
    if (last && result.result == Result::taken && !agreed_.decompressing_takes_over) {
      Idle* const idle = idle_in(pool_);
      give_back(std::move(inflater_), idle == nullptr ? nullptr : &idle->inflater);
    }
    return result;
  }

 private:
  std::unique_ptr<Deflater> take_deflater() noexcept {
    if (Idle* const idle = idle_in(pool_)) {
      auto& place = idle->deflaters[static_cast<std::size_t>(agreed_.compressing.window_bits)];
      if (place != nullptr && place->how() != agreed_.compressing) place.reset();
      if (auto deflater = take(place)) return deflater;
    }
    return make<Deflater>(pool_, agreed_.compressing);
  }

  std::unique_ptr<Inflater> take_inflater() noexcept {
    if (Idle* const idle = idle_in(pool_))
      if (auto inflater = take(idle->inflater)) return inflater;
    return make<Inflater>(pool_);
  }

  const Agreed agreed_;
  Pool& pool_;
  std::unique_ptr<Deflater> deflater_;
  std::unique_ptr<Inflater> inflater_;
};

}  // namespace

std::unique_ptr<Codec> make_codec(const Agreed& agreed, Pool& pool) {
  return std::make_unique<DeflateCodec>(agreed, pool);
}

}  // namespace timtow::deflate
