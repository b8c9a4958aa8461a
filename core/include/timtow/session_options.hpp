// What a session is told before it begins, and sessions share: a server has one of these for all.
#pragma once

#include "timtow/compression.hpp"
#include "timtow/limits.hpp"

namespace timtow {

struct SessionOptions {
  Limits limits = {};
  // Offered or accepted; null for none. Outlives the sessions.
  const Compression* compression = nullptr;
};

}  // namespace timtow
