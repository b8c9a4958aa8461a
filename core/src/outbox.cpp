#include "timtow/outbox.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace timtow {

Outbox::Chunk* Outbox::make_chunk(std::size_t payload) noexcept {
  const std::size_t size = sizeof(Chunk) + payload;
  const Block block = size == usual_block ? pool_->allocate(usual_block) : pool_->allocate(size);
  if (!block) return nullptr;
  std::byte* const data = block.data + sizeof(Chunk);
  return new (block.data) Chunk{.next = nullptr,
                                .begin = data,
                                .end = data,
                                .room = block.size - sizeof(Chunk),
                                .block_size = block.size,
                                .borrowed = false};
}

void Outbox::push(Chunk* chunk) noexcept {
  (tail_ == nullptr ? head_ : tail_->next) = chunk;
  tail_ = chunk;
}

void Outbox::release(Chunk* chunk) noexcept {
  auto* const data = reinterpret_cast<std::byte*>(chunk);
  if (chunk->block_size == usual_block)
    pool_->release({data, usual_block});
  else
    pool_->release({data, chunk->block_size});
}

std::byte* Outbox::reserve_in_new_chunk(std::size_t size) noexcept {
  constexpr std::size_t usual = usual_block - sizeof(Chunk);
  Chunk* const chunk = size <= usual ? make_chunk(usual) : make_chunk(size);
  if (chunk == nullptr) return nullptr;
  push(chunk);
  return chunk->room_begin();
}

bool Outbox::append(Bytes bytes) noexcept {
  if (bytes.empty()) return true;
  std::byte* const to = reserve(bytes.size());
  if (to == nullptr) return false;
  std::memcpy(to, bytes.data(), bytes.size());
  commit(bytes.size());
  return true;
}

bool Outbox::append_and_borrow(Bytes head, Bytes body) noexcept {
  Chunk* const chunk = make_chunk(0);
  if (chunk == nullptr) return false;
  std::byte* const room = reserve(head.size());
  if (room == nullptr) {
    release(chunk);
    return false;
  }
  std::memcpy(room, head.data(), head.size());
  commit(head.size());
  chunk->begin = body.data();
  chunk->end = body.data() + body.size();
  chunk->room = 0;
  chunk->borrowed = true;
  push(chunk);
  size_ += body.size();
  return true;
}

bool Outbox::own() noexcept {
  for (Chunk** link = &head_; *link != nullptr; link = &(*link)->next) {
    Chunk* const borrowed = *link;
    if (!borrowed->borrowed) continue;
    const auto size = static_cast<std::size_t>(borrowed->end - borrowed->begin);
    Chunk* const owned = make_chunk(size);
    if (owned == nullptr) return false;
    std::memcpy(owned->room_begin(), borrowed->begin, size);
    owned->room -= size;
    owned->end += size;
    owned->next = borrowed->next;
    if (tail_ == borrowed) tail_ = owned;
    *link = owned;
    release(borrowed);
  }
  return true;
}

void Outbox::sent(std::size_t size) noexcept {
  size_ -= size;
  if (size_ == 0) return clear();
  while (size > 0) {
    const auto waiting = static_cast<std::size_t>(head_->end - head_->begin);
    if (size < waiting) {
      head_->begin += size;
      return;
    }
    size -= waiting;
    release(std::exchange(head_, head_->next));
  }
}

void Outbox::clear() noexcept {
  while (head_ != nullptr) release(std::exchange(head_, head_->next));
  tail_ = nullptr;
  size_ = 0;
}

}  // namespace timtow
