// Memory that connections borrow and give back, so that one at rest owns none and a busy one asks
// the system for none.
//
// Blocks come in five sizes from 256 bytes to 64 KiB, each with its own list of free ones. Larger
// ones are as large as was asked for, or up to four times that if such a one is free: what comes
// anew from the system costs more than copying, for the system clears it page by page.
// A pool belongs to one loop and one thread.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "timtow/session_options.hpp"

namespace timtow {

class MaskingKeySource;
struct OutputChunk;

struct Block {
  std::byte* data = nullptr;
  std::size_t size = 0;

  explicit operator bool() const noexcept { return data != nullptr; }
};

// Told when the last part of a budget is drawn upon: some memory has to be given back soon.
class Strain {
 public:
  virtual void strained() noexcept = 0;

 protected:
  ~Strain() = default;
};

class Pool {
 public:
  // budget: bytes that may be out at once, over which allocate() gives none.
  // keep: bytes of free blocks held for the next borrower.
  explicit Pool(std::size_t budget = std::numeric_limits<std::size_t>::max(),
                std::size_t keep = 8 * 1024 * 1024) noexcept;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  // A block of at least `size` bytes, and below four times that, or an empty one when memory or the
  // budget ran out.
  Block allocate(std::size_t size) noexcept {
    const Block block = allocate_free(size);
    return block ? block : allocate_from_system(size);
  }
  // As allocate(), but without asking the system: empty when no such block is free.
  Block allocate_free(std::size_t size) noexcept {
    const std::size_t index = class_of(size);
    if (index == classes || free_[index] == nullptr) return {};
    size = size_of(index);
    if (size > budget_left_) return {};
    Free* const block = free_[index];
    free_[index] = block->next;
    budget_left_ -= size;
    keep_left_ += size;
    return {reinterpret_cast<std::byte*>(block), size};
  }
  void release(Block block) noexcept {
    const std::size_t index = class_of(block.size);
    budget_left_ += block.size;
    if (index == classes || block.size > keep_left_) return give_back(block);
    keep_left_ -= block.size;
    free_[index] = new (block.data) Free{free_[index]};
  }

  // The same bytes in a block of at least `size` bytes, of which the first `used` are kept. The
  // old block is gone, unless the answer is empty: then it is as it was.
  Block grow(Block block, std::size_t used, std::size_t size) noexcept;

  std::size_t in_use() const noexcept { return budget_ - budget_left_; }

  // Bytes that may be out at once from now on; fewer than are out already count as those. Whoever
  // draws upon the last eighth is told of to `strain`, which may be null.
  void limit(std::size_t budget, Strain* strain) noexcept;
  // What in_use() may become.
  std::size_t budget() const noexcept { return is_strained_ ? budget_ : budget_ + reserve_; }
  // Whether that last part is in use.
  bool is_strained() const noexcept { return is_strained_; }
  // Looks again whether it is.
  void settle() noexcept;

  // Counts memory that is not the pool's against its budget; false when that ran out.
  bool charge(std::size_t size) noexcept {
    if (!has_left(size)) return false;
    budget_left_ -= size;
    return true;
  }
  void refund(std::size_t size) noexcept { budget_left_ += size; }

  // What sessions of one pool share besides blocks. None of it counts against the budget.
  //
  // The chunk in which output is put together that will be gone soon; null while somebody has it,
  // or if nobody laid it out (Outbox::lay_tray).
  OutputChunk*& tray() noexcept { return tray_; }
  // A record that one has no more use for, and the next that needs one takes; may be null.
  struct Record {
    Record() = default;
    Record(const Record&) = delete;
    Record& operator=(const Record&) = delete;
    virtual ~Record() = default;
  };
  std::unique_ptr<Record>& spare() noexcept { return spare_; }
  // What codecs keep for the next of their kind; may be null.
  std::unique_ptr<Record>& idle_codecs() noexcept { return idle_codecs_; }
  // Null when there is no memory for it.
  MaskingKeySource* masking_keys() noexcept;
  // Of sessions that are given none.
  const SessionOptions& default_options() const noexcept { return default_options_; }

 private:
  struct Free {
    Free* next;
  };
  struct LargeFree {
    LargeFree* next;
    std::size_t size;
  };
  static constexpr std::size_t smallest = 256;
  static constexpr std::size_t classes = 5;

  // 256, 1K, 4K, 16K, 64K are 0 to 4; what is larger is `classes`.
  static constexpr std::size_t class_of(std::size_t size) noexcept {
    if (size <= smallest) return 0;
    const auto doublings = static_cast<std::size_t>(std::bit_width((size - 1) / smallest));
    return std::min((doublings + 1) / 2, classes);
  }
  static constexpr std::size_t size_of(std::size_t index) noexcept { return smallest << 2 * index; }
  bool has_left(std::size_t size) noexcept { return size <= budget_left_ || draw(size); }
  [[gnu::cold]] bool draw(std::size_t size) noexcept;
  [[gnu::noinline]] Block allocate_from_system(std::size_t size) noexcept;
  Block allocate_large_free(std::size_t size) noexcept;
  Block grow_in_place(Block block, std::size_t size) noexcept;
  [[gnu::noinline]] void give_back(Block block) noexcept;

  std::array<Free*, classes> free_{};
  LargeFree* large_free_ = nullptr;
  std::size_t budget_;  // without the reserve, while that is not drawn upon
  std::size_t budget_left_;
  std::size_t reserve_ = 0;
  bool is_strained_ = false;
  Strain* strain_ = nullptr;
  std::size_t keep_left_;
  OutputChunk* tray_ = nullptr;
  const SessionOptions default_options_ = {};
  std::unique_ptr<Record> spare_;
  std::unique_ptr<Record> idle_codecs_;
  std::unique_ptr<MaskingKeySource> masking_keys_;
};

// Bytes in one growing block of a pool. Its memory grows with what is put in.
class Buffer {
 public:
  explicit Buffer(Pool& pool) noexcept : pool_(&pool) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  std::byte* data() noexcept { return block_.data; }
  const std::byte* data() const noexcept { return block_.data; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  // Room for `size` more bytes behind the last one; null when there is no memory.
  std::byte* reserve(std::size_t size) noexcept;
  std::span<const std::byte> bytes() const noexcept { return {block_.data, size_}; }
  void commit(std::size_t size) noexcept { size_ += size; }
  void drop_last(std::size_t size) noexcept { size_ -= size; }
  std::size_t room() const noexcept { return block_.size - size_; }
  std::size_t capacity() const noexcept { return block_.size; }

  bool append(const std::byte* from, std::size_t size) noexcept;
  // Of the room, what begins at a multiple of `alignment`.
  std::span<std::byte> aligned_room(std::size_t alignment) noexcept {
    const auto end = reinterpret_cast<std::uintptr_t>(block_.data + size_);
    const std::size_t gap = (alignment - end % alignment) % alignment;
    return {block_.data + size_ + gap, room() - gap};
  }
  bool has_in_room(const std::byte* at) const noexcept {
    return at >= data() + size_ && at < data() + block_.size;
  }
  bool holds(const std::byte* at) const noexcept { return at >= data() && at < data() + size_; }
  // The block, which is the caller's to release now.
  Block detach() noexcept {
    size_ = 0;
    return std::exchange(block_, {});
  }
  // Moves what is behind the first `size` bytes to the front.
  void drop(std::size_t size) noexcept;
  void release() noexcept;

 private:
  Pool* pool_;
  Block block_;
  std::size_t size_ = 0;
};

}  // namespace timtow
