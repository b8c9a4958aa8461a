// Compression for an example's --deflate: there where timtow::deflate is built, and a refusal
// elsewhere.
#pragma once

#include <memory>

#include "arguments.hpp"
#include "timtow/compression.hpp"

namespace example {

std::shared_ptr<const timtow::Compression> deflate(const Arguments& arguments,
                                                   bool context_takeover = false);

}  // namespace example
