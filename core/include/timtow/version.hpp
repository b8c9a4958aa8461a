#pragma once

namespace timtow {

inline constexpr char version[] = "0.1.0";

}  // namespace timtow
