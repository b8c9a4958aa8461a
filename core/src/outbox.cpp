#include "timtow/outbox.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace timtow {
namespace {

// Room for a batch of many small answers, or of some that are not so small.
constexpr std::size_t tray_block = 64 * 1024;
// What is shared is copied all the same if it is not larger, and there is room.
constexpr std::size_t worth_sharing = 256;

// What a chunk has behind it that shows bytes elsewhere.
template <typename Held>
Held& held_by(OutputChunk* chunk) noexcept {
  return *std::launder(reinterpret_cast<Held*>(chunk->storage()));
}
struct SharedBytes {
  PreparedMessage::Shared bytes;
  std::size_t charged = 0;  // to the pool, once they stay
};
constexpr std::size_t held_size = std::max(sizeof(Block), sizeof(SharedBytes));

}  // namespace

void Outbox::lay_tray(Pool& pool) noexcept {
  if (pool.tray() != nullptr) return;
  const Block block{static_cast<std::byte*>(std::malloc(tray_block)), tray_block};
  if (block) pool.tray() = OutputChunk::make(block, Kind::tray);
}

OutputChunk* Outbox::make_chunk(std::size_t payload) noexcept {
  const Block block = pool_->allocate(sizeof(OutputChunk) + payload);
  return block ? OutputChunk::make(block, Kind::own) : nullptr;
}

void Outbox::release_block(OutputChunk* chunk) noexcept {
  if (chunk->kind == Kind::adopted) {
    pool_->release(held_by<Block>(chunk));
  } else if (chunk->kind == Kind::shared) {
    auto& shared = held_by<SharedBytes>(chunk);
    pool_->refund(shared.charged);
    std::destroy_at(&shared);
  }
  pool_->release({reinterpret_cast<std::byte*>(chunk), chunk->block_size});
}

OutputChunk* Outbox::add_free_chunk(std::size_t payload) noexcept {
  if (payload > usual_block - sizeof(OutputChunk)) return nullptr;
  const Block block = pool_->allocate_free(usual_block);
  if (!block) return nullptr;
  OutputChunk* const chunk = OutputChunk::make(block, Kind::own);
  push(chunk);
  return chunk;
}

OutputChunk* Outbox::add_chunk(std::size_t payload) noexcept {
  OutputChunk* const chunk = make_chunk(std::max(payload, usual_block - sizeof(OutputChunk)));
  if (chunk != nullptr) push(chunk);
  return chunk;
}

bool Outbox::append(Bytes bytes) noexcept {
  if (bytes.empty()) return true;
  OutputChunk* const chunk = reserve(bytes.size());
  if (chunk == nullptr) return false;
  std::memcpy(chunk->room_begin(), bytes.data(), bytes.size());
  commit(*chunk, bytes.size());
  return true;
}

bool Outbox::borrow(Bytes bytes) noexcept {
  OutputChunk* chunk = head_ == nullptr ? std::exchange(pool_->tray(), nullptr) : nullptr;
  if (chunk == nullptr) {
    chunk = make_chunk(held_size);
    if (chunk == nullptr) return false;
    chunk->kind = Kind::borrowed;
  }
  push_showing(chunk, bytes);
  return true;
}

bool Outbox::append_and_borrow(Bytes head, Bytes body) noexcept {
  OutputChunk* const chunk = make_chunk(held_size);
  if (chunk == nullptr) return false;
  if (!append(head)) {
    release(chunk);
    return false;
  }
  chunk->kind = Kind::borrowed;
  push_showing(chunk, body);
  return true;
}

bool Outbox::adopt(Buffer& source, Bytes bytes) noexcept {
  OutputChunk* const chunk = make_chunk(held_size);
  if (chunk == nullptr) return false;
  new (chunk->storage()) Block{source.detach()};
  chunk->kind = Kind::adopted;
  push_showing(chunk, bytes);
  return true;
}

bool Outbox::share(const PreparedMessage::Shared& bytes, std::size_t size) noexcept {
  if (size <= worth_sharing && head_ != nullptr && head_->last->room() >= size)
    return append({bytes.get(), size});
  OutputChunk* const chunk = make_chunk(held_size);
  if (chunk == nullptr) return false;
  auto& shared = *new (chunk->storage()) SharedBytes{bytes};
  chunk->kind = Kind::shared;
  if (head_ != nullptr && head_->stays) {
    if (!pool_->charge(size)) {
      release(chunk);
      return false;
    }
    shared.charged = size;
  }
  push_showing(chunk, {bytes.get(), size});
  return true;
}

// A chunk with the same bytes that is all ours: this one or another; null when there is no memory.
OutputChunk* Outbox::owned(OutputChunk* chunk, Buffer* source) noexcept {
  const std::size_t waiting = chunk->waiting();
  if (chunk->kind == Kind::shared) {
    auto& shared = held_by<SharedBytes>(chunk);
    if (shared.charged != 0 || waiting == 0) return chunk;
    if (!pool_->charge(waiting)) return nullptr;
    shared.charged = waiting;
    return chunk;
  }
  if (chunk->kind != Kind::borrowed && chunk->kind != Kind::tray) return chunk;
  if (chunk->kind == Kind::borrowed && source != nullptr && source->holds(chunk->begin) &&
      waiting >= source->size() / 2) {
    new (chunk->storage()) Block{source->detach()};
    chunk->kind = Kind::adopted;
    return chunk;
  }
  OutputChunk* const copy = make_chunk(waiting);
  if (copy == nullptr) return nullptr;
  std::memcpy(copy->room_begin(), chunk->begin, waiting);
  copy->end += waiting;
  return copy;
}

bool Outbox::own(Buffer* source) noexcept {
  if (head_ != nullptr) head_->stays = true;
  for (OutputChunk** link = &head_; *link != nullptr; link = &(*link)->next) {
    OutputChunk* const chunk = *link;
    // Only the last in line may take the source over: it is the last to be sent.
    OutputChunk* const ours = owned(chunk, chunk->next == nullptr ? source : nullptr);
    if (ours == nullptr) return false;
    if (ours == chunk) continue;
    ours->next = chunk->next;
    if (chunk == head_) {
      ours->stays = true;
      if (chunk->last != chunk) ours->last = chunk->last;
    }
    if (head_->last == chunk) head_->last = ours;
    *link = ours;
    release(chunk);
  }
  return true;
}

void Outbox::sent_in_part(std::size_t size) noexcept {
  if (size_ == 0) return;  // it was given up
  size_ -= size;
  while (size > 0) {
    const std::size_t waiting = head_->waiting();
    if (size < waiting) {
      head_->begin += size;
      return;
    }
    size -= waiting;
    OutputChunk* const done = std::exchange(head_, head_->next);
    head_->last = done->last;
    head_->stays = done->stays;
    release(done);
  }
}

}  // namespace timtow
