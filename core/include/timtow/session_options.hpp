// What a session is told before it begins, and sessions share: a server has one of these for all.
#pragma once

#include "timtow/limits.hpp"

namespace timtow {

struct SessionOptions {
  Limits limits = {};
};

}  // namespace timtow
