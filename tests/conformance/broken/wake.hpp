// An adapter that does not wake up for what other threads post.
#pragma once

#include "select_loop.hpp"

namespace this_loop {

class Loop final : public port::SelectLoop {
 private:
  void wake() noexcept override {}
};

}  // namespace this_loop
