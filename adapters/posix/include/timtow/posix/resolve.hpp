// Looking up a name with getaddrinfo(), which waits: on a thread of its own, so that the loop does
// not.
#pragma once

#include <memory>

#include "timtow/loop.hpp"

namespace timtow::posix {

// As Loop::resolve().
std::unique_ptr<Pending> resolve(Loop& loop, const Endpoint& name, ResolveEvents& events);

}  // namespace timtow::posix
