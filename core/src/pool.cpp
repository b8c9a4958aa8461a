#include "timtow/pool.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "masking_key_source.hpp"

namespace timtow {

Pool::Pool(std::size_t budget, std::size_t keep) noexcept
    : budget_(budget), budget_left_(budget), keep_left_(keep) {}

Pool::~Pool() {
  spare_.reset();  // its buffers may be this pool's
  idle_codecs_.reset();
  std::free(tray_);
  for (Free* each : free_) {
    while (each != nullptr) std::free(std::exchange(each, each->next));
  }
  while (large_free_ != nullptr) std::free(std::exchange(large_free_, large_free_->next));
}

void Pool::limit(std::size_t budget, Strain* strain) noexcept {
  const std::size_t used = in_use();
  strain_ = strain;
  is_strained_ = false;
  reserve_ = strain == nullptr ? 0 : budget / 8;
  budget_ = std::max(budget - reserve_, used);
  budget_left_ = budget_ - used;
}

bool Pool::draw(std::size_t size) noexcept {
  if (strain_ == nullptr) return false;
  if (!is_strained_) {
    is_strained_ = true;
    budget_ += reserve_;
    budget_left_ += reserve_;
  }
  strain_->strained();
  return size <= budget_left_;
}

void Pool::settle() noexcept {
  if (!is_strained_ || budget_left_ < reserve_) return;
  is_strained_ = false;
  budget_ -= reserve_;
  budget_left_ -= reserve_;
}

Block Pool::allocate_from_system(std::size_t size) noexcept {
  const std::size_t index = class_of(size);
  if (index < classes)
    size = size_of(index);
  else if (const Block free = allocate_large_free(size))
    return free;
  if (!has_left(size)) return {};
  auto* const data = static_cast<std::byte*>(std::malloc(size));
  if (data == nullptr) return {};
  budget_left_ -= size;
  return {data, size};
}

MaskingKeySource* Pool::masking_keys() noexcept {
  if (masking_keys_ == nullptr) masking_keys_.reset(new (std::nothrow) MaskingKeySource);
  return masking_keys_.get();
}

Block Pool::allocate_large_free(std::size_t size) noexcept {
  for (LargeFree** link = &large_free_; *link != nullptr; link = &(*link)->next) {
    LargeFree* const free = *link;
    const std::size_t found = free->size;
    if (found < size || found / 4 >= size || found > budget_left_) continue;
    *link = free->next;
    budget_left_ -= found;
    keep_left_ += found;
    return {reinterpret_cast<std::byte*>(free), found};
  }
  return {};
}

void Pool::give_back(Block block) noexcept {
  if (block.size > keep_left_) return std::free(block.data);
  keep_left_ -= block.size;
  large_free_ = new (block.data) LargeFree{.next = large_free_, .size = block.size};
}

// Or wherever the system finds it best.
Block Pool::grow_in_place(Block block, std::size_t size) noexcept {
  if (!has_left(size - block.size)) return {};
  auto* const data = static_cast<std::byte*>(std::realloc(block.data, size));
  if (data == nullptr) return {};
  budget_left_ -= size - block.size;
  return {data, size};
}

Block Pool::grow(Block block, std::size_t used, std::size_t size) noexcept {
  if (size <= block.size) return block;
  Block larger;
  if (class_of(block.size) == classes) {
    larger = allocate_large_free(size);
    if (!larger) return grow_in_place(block, size);
  } else {
    larger = allocate(size);
    if (!larger) return {};
  }
  if (used != 0) std::memcpy(larger.data, block.data, used);
  if (block) release(block);
  return larger;
}

std::byte* Buffer::reserve(std::size_t size) noexcept {
  if (room() < size) {
    // By doubling, so that a byte is copied at most about once more than it has to be.
    const std::size_t wanted = std::max(size_ + size, 2 * block_.size);
    Block larger = pool_->grow(block_, size_, wanted);
    if (!larger && wanted != size_ + size) larger = pool_->grow(block_, size_, size_ + size);
    if (!larger) return nullptr;
    block_ = larger;
  }
  return block_.data + size_;
}

bool Buffer::append(const std::byte* from, std::size_t size) noexcept {
  if (size == 0) return true;
  std::byte* const to = reserve(size);
  if (to == nullptr) return false;
  std::memcpy(to, from, size);
  size_ += size;
  return true;
}

void Buffer::drop(std::size_t size) noexcept {
  size_ -= size;
  std::memmove(block_.data, block_.data + size, size_);
}

void Buffer::release() noexcept {
  if (!block_) return;
  pool_->release(block_);
  block_ = {};
  size_ = 0;
}

}  // namespace timtow
