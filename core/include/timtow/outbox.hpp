// Output that is waiting to be written: a queue of chunks that do not move.
//
// Small frames share a chunk, so that many of them leave in one write; a large payload may be
// borrowed instead of copied, until own() or until it is sent. A byte that output() has shown
// stays at its address until sent() passes it (or, if it was borrowed, until own()), as completion
// based loops need it.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

#include "timtow/bytes.hpp"
#include "timtow/pool.hpp"

namespace timtow {

class Outbox {
 public:
  explicit Outbox(Pool& pool) noexcept : pool_(&pool) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  ~Outbox() { clear(); }

  Pool& pool() const noexcept { return *pool_; }

  // Bytes that wait.
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  // Room for `size` contiguous bytes at the end, to be written and then committed; null when there
  // is no memory.
  std::byte* reserve(std::size_t size) noexcept {
    std::byte* const room = reserve_free(size);
    return room != nullptr ? room : reserve_in_new_chunk(size);
  }
  // As reserve(), but without asking the system: null when no block of the usual size is free.
  std::byte* reserve_free(std::size_t size) noexcept {
    if ((tail_ == nullptr || tail_->room < size) && !add_free_chunk(size)) [[unlikely]]
      return nullptr;
    return tail_->room_begin();
  }
  void commit(std::size_t size) noexcept {
    tail_->room -= size;
    tail_->end += size;
    size_ += size;
  }
  bool append(Bytes bytes) noexcept;

  // Queues a copy of `head` and, behind it, `body` without copying it: that must stay until own(),
  // or until it is sent. Both or, when there is no memory, none.
  bool append_and_borrow(Bytes head, Bytes body) noexcept;
  // Copies what is still borrowed. False when there is no memory: what was borrowed is still so.
  bool own() noexcept;

  // The bytes to write next.
  Gather output() const noexcept {
    Gather gather;
    for (const Chunk* chunk = head_; chunk != nullptr && !gather.full(); chunk = chunk->next) {
      if (chunk->begin != chunk->end)
        gather.add({chunk->begin, static_cast<std::size_t>(chunk->end - chunk->begin)});
    }
    return gather;
  }
  // The first `size` bytes of the output have been written.
  void sent(std::size_t size) noexcept {
    if (size == size_)
      clear();
    else
      sent_in_part(size);
  }

  void clear() noexcept {
    while (head_ != nullptr) release(std::exchange(head_, head_->next));
    tail_ = nullptr;
    size_ = 0;
  }

 private:
  struct Chunk {
    Chunk* next;
    const std::byte* begin;  // what waits: behind this header, or elsewhere if borrowed
    const std::byte* end;
    std::size_t room;  // bytes that may be written from `end` on
    std::size_t block_size;
    bool borrowed;

    std::byte* room_begin() const noexcept { return const_cast<std::byte*>(end); }
  };

  // Blocks of the one size that nearly all output fits are had, and given back, without a search
  // and without a call.
  static constexpr std::size_t usual_block = 4096;

  bool add_free_chunk(std::size_t payload) noexcept {
    if (payload > usual_block - sizeof(Chunk)) return false;
    const Block block = pool_->allocate_free(usual_block);
    if (!block) return false;
    push(make_chunk(block));
    return true;
  }
  static Chunk* make_chunk(Block block) noexcept {
    std::byte* const data = block.data + sizeof(Chunk);
    return new (block.data) Chunk{.next = nullptr,
                                  .begin = data,
                                  .end = data,
                                  .room = block.size - sizeof(Chunk),
                                  .block_size = block.size,
                                  .borrowed = false};
  }
  void push(Chunk* chunk) noexcept {
    (tail_ == nullptr ? head_ : tail_->next) = chunk;
    tail_ = chunk;
  }
  void release(Chunk* chunk) noexcept {
    auto* const data = reinterpret_cast<std::byte*>(chunk);
    if (chunk->block_size == usual_block) [[likely]]
      pool_->release({data, usual_block});
    else
      pool_->release({data, chunk->block_size});
  }
  [[gnu::noinline]] std::byte* reserve_in_new_chunk(std::size_t size) noexcept;
  [[gnu::noinline]] void sent_in_part(std::size_t size) noexcept;
  Chunk* make_chunk(std::size_t payload) noexcept;

  Pool* pool_;
  Chunk* head_ = nullptr;
  Chunk* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace timtow
