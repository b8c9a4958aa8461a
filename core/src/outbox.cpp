#include "timtow/outbox.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace timtow {

Outbox::Chunk* Outbox::make_chunk(std::size_t payload) noexcept {
  const Block block = pool_->allocate(sizeof(Chunk) + payload);
  return block ? make_chunk(block) : nullptr;
}

std::byte* Outbox::reserve_in_new_chunk(std::size_t size) noexcept {
  Chunk* const chunk = make_chunk(std::max(size, usual_block - sizeof(Chunk)));
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

void Outbox::sent_in_part(std::size_t size) noexcept {
  size_ -= size;
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

}  // namespace timtow
