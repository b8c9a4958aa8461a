// Output that is waiting to be written: a queue of chunks that do not move.
//
// Small frames share a chunk, so that many of them leave in one write; a large payload may be
// borrowed instead of copied, until own() or until it is sent. A byte that output() has shown
// stays at its address until sent() passes it (or, if it was borrowed, until own()), as completion
// based loops need it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "timtow/bytes.hpp"
#include "timtow/pool.hpp"
#include "timtow/prepared_message.hpp"

namespace timtow {

// A part of the queue, at the start of its block.
struct OutputChunk {
  enum class Kind : std::uint32_t {
    own,       // its bytes are in its block
    tray,      // it is the pool's tray; what it shows may be borrowed as well
    borrowed,  // its bytes are elsewhere, and somebody else's
    adopted,   // they are in a block of their own, which goes with the chunk
    shared     // they are in memory that others have as well
  };

  OutputChunk* next;
  const std::byte* begin;  // what waits
  const std::byte* end;
  const std::byte* limit;  // what may be written from `end` on
  OutputChunk* last;       // of the queue; kept by its first chunk
  std::size_t block_size;  // of the block that this is in
  Kind kind;
  bool stays = false;  // own() found that the queue does; kept by its first chunk

  std::byte* room_begin() const noexcept { return const_cast<std::byte*>(end); }
  std::size_t room() const noexcept { return static_cast<std::size_t>(limit - end); }
  std::size_t waiting() const noexcept { return static_cast<std::size_t>(end - begin); }
  std::byte* storage() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  void show(Bytes bytes) noexcept {
    begin = bytes.data();
    end = limit = bytes.data() + bytes.size();
  }

  static OutputChunk* make(Block block, Kind kind) noexcept {
    auto* const chunk = reinterpret_cast<OutputChunk*>(block.data);
    const std::byte* const storage = chunk->storage();
    return new (block.data) OutputChunk{.next = nullptr,
                                        .begin = storage,
                                        .end = storage,
                                        .limit = block.data + block.size,
                                        .last = chunk,
                                        .block_size = block.size,
                                        .kind = kind};
  }
};

class Outbox {
 public:
  // Lays out the pool's tray: the chunk that an empty outbox takes first, and that comes back once
  // it is sent, so that what is sent at once takes no block. Without memory there is none.
  static void lay_tray(Pool& pool) noexcept;

  explicit Outbox(Pool& pool) noexcept : pool_(&pool) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  ~Outbox() { clear(); }

  Pool& pool() const noexcept { return *pool_; }

  // Bytes that wait.
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  // Where the next `size` bytes go, contiguous, to be written and then committed; null when there
  // is no memory.
  OutputChunk* reserve(std::size_t size) noexcept {
    OutputChunk* const chunk = reserve_free(size);
    return chunk != nullptr ? chunk : add_chunk(size);
  }
  // As reserve(), but without asking the system: null when no block of the usual size is free.
  OutputChunk* reserve_free(std::size_t size) noexcept {
    if (head_ == nullptr) head_ = std::exchange(pool_->tray(), nullptr);
    if (head_ != nullptr && head_->last->room() >= size) [[likely]]
      return head_->last;
    return add_free_chunk(size);
  }
  void commit(OutputChunk& chunk, std::size_t size) noexcept {
    chunk.end += size;
    size_ += size;
  }
  bool append(Bytes bytes) noexcept;

  // Queues bytes without copying them: they must stay until own(), or until they are sent.
  bool borrow(Bytes bytes) noexcept;
  // Queues a copy of `head`, and borrows `body`. Both or, when there is no memory, none.
  bool append_and_borrow(Bytes head, Bytes body) noexcept;
  // Takes over the block that `source` has, and queues bytes of it.
  bool adopt(Buffer& source, Bytes bytes) noexcept;
  // Queues bytes that others keep as well, in place of a copy. Against the pool's budget they count
  // from own() on, which finds that they stay: when there is no budget for
  // that, false.
  bool share(const PreparedMessage::Shared& bytes, std::size_t size) noexcept;
  // Copies what is still borrowed, and gives back the tray. Of a payload in `source`, that block is
  // taken over instead, if most of it still waits. False when there is no memory: what was borrowed
  // is still so.
  bool own(Buffer* source = nullptr) noexcept;

  // The bytes to write next.
  Gather output() const noexcept {
    Gather gather;
    if (size_ == 0) return gather;
    if (head_->next == nullptr) [[likely]] {
      gather.add({head_->begin, head_->waiting()});
      return gather;
    }
    for (const OutputChunk* chunk = head_; chunk != nullptr && !gather.full(); chunk = chunk->next)
      if (chunk->begin != chunk->end) gather.add({chunk->begin, chunk->waiting()});
    return gather;
  }
  // The first `size` bytes of the output have been written.
  void sent(std::size_t size) noexcept {
    if (size == size_)
      clear();
    else
      sent_in_part(size);
  }

  // Nothing is written any more; what was shown stays, for it may be under way.
  void give_up() noexcept { size_ = 0; }

  void clear() noexcept {
    while (head_ != nullptr) release(std::exchange(head_, head_->next));
    size_ = 0;
  }

 private:
  using Kind = OutputChunk::Kind;

  // What does not fit the tray goes to blocks of this size.
  static constexpr std::size_t usual_block = 4096;

  [[gnu::noinline]] OutputChunk* add_free_chunk(std::size_t payload) noexcept;
  [[gnu::noinline]] OutputChunk* add_chunk(std::size_t payload) noexcept;
  void push(OutputChunk* chunk) noexcept {
    if (head_ == nullptr) {
      head_ = chunk;
    } else {
      head_->last->next = chunk;
      head_->last = chunk;
    }
  }
  // Queues a chunk that shows bytes elsewhere.
  void push_showing(OutputChunk* chunk, Bytes bytes) noexcept {
    chunk->show(bytes);
    push(chunk);
    size_ += bytes.size();
  }
  void release(OutputChunk* chunk) noexcept {
    if (chunk->kind != Kind::tray) return release_block(chunk);
    chunk->begin = chunk->end = chunk->storage();
    chunk->limit = reinterpret_cast<std::byte*>(chunk) + chunk->block_size;
    chunk->next = nullptr;
    chunk->last = chunk;
    pool_->tray() = chunk;
  }
  void release_block(OutputChunk* chunk) noexcept;
  [[gnu::noinline]] void sent_in_part(std::size_t size) noexcept;
  OutputChunk* make_chunk(std::size_t payload) noexcept;
  OutputChunk* owned(OutputChunk* chunk, Buffer* source) noexcept;

  Pool* pool_;
  OutputChunk* head_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace timtow
