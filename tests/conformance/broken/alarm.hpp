// An adapter whose timers never fire.
#pragma once

#include "select_loop.hpp"

namespace this_loop {

class Loop final : public port::SelectLoop {
 private:
  void arm(timtow::TimePoint) noexcept override {}
};

}  // namespace this_loop
