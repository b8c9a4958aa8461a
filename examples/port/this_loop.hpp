// What the conformance suite, and echo.cpp, are told about the loop.
#pragma once

#include "select_loop.hpp"

namespace this_loop {

using Loop = port::SelectLoop;
inline constexpr char name[] = "select";

}  // namespace this_loop
