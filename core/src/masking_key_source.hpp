// Masking keys that no one can predict (RFC 6455 section 5.3), from the system's own entropy.
#pragma once

#include <array>
#include <cstddef>
#include <exception>
#include <random>

#include "timtow/frame.hpp"

namespace timtow {

class MaskingKeySource {
 public:
  // False when the system gives no randomness.
  bool next(MaskingKey& key) noexcept {
    if (left_ == 0 && !refill()) return false;
    key = keys_[--left_];
    keys_[left_] = {};  // a key is used once, and not left lying about
    return true;
  }

 private:
  // Many at a time: to open the device costs more than to read it.
  bool refill() noexcept {
    try {
      std::random_device device;
      for (auto& key : keys_) {
        const unsigned random = device();
        static_assert(sizeof random >= sizeof key);
        std::memcpy(key.data(), &random, sizeof key);
      }
    } catch (const std::exception&) {
      return false;
    }
    left_ = keys_.size();
    return true;
  }

  std::array<MaskingKey, 64> keys_{};
  std::size_t left_ = 0;
};

}  // namespace timtow
