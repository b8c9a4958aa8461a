// Views of bytes, and the short list of them that one gathered write takes.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace timtow {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

// Where what is read should go: some processors take half again as long to copy it, in the kernel,
// to an address that is no multiple of this.
inline constexpr std::size_t fast_to_read = 64;

inline Bytes as_bytes(std::string_view text) noexcept {
  return std::as_bytes(std::span{text.data(), text.size()});
}

inline std::string_view as_text(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What the next write should take, in order: at most `capacity` spans, none of them empty. The
// spans are views; whoever filled the list says how long they stay.
class Gather {
 public:
  static constexpr std::size_t capacity = 16;

  Gather() noexcept {}  // the parts beyond count_ are never read, and left as they are

  void add(Bytes part) noexcept {
    parts_.at[count_++] = {part.data(), part.size()};
    size_bytes_ += part.size();
  }
  bool full() const noexcept { return count_ == capacity; }
  bool empty() const noexcept { return count_ == 0; }
  std::size_t size() const noexcept { return count_; }
  std::size_t size_bytes() const noexcept { return size_bytes_; }

  Bytes operator[](std::size_t i) const noexcept { return {parts_.at[i].data, parts_.at[i].size}; }
  Bytes front() const noexcept { return (*this)[0]; }

 private:
  struct Part {
    const std::byte* data;
    std::size_t size;
  };
  union Parts {  // a union, so that nothing clears these 256 bytes for each write
    Parts() noexcept {}
    Part at[capacity];
  };

  Parts parts_;
  std::size_t count_ = 0;
  std::size_t size_bytes_ = 0;
};

}  // namespace timtow
