// What several attacks send.
#pragma once

#include <string>

#include "support/wire.hpp"

namespace attack {

inline std::string repeated(const std::string& what, std::size_t times) {
  std::string all;
  all.reserve(what.size() * times);
  for (std::size_t i = 0; i < times; ++i) all += what;
  return all;
}

// A valid upgrade request with these lines added.
inline std::string request_with(const std::string& lines) {
  std::string request{test::upgrade_request};
  return request.insert(request.size() - 2, lines);
}

}  // namespace attack
