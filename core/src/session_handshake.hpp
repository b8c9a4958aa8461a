// What a session knows only while its opening handshake lasts.
#pragma once

#include <string>
#include <vector>

#include "timtow/session.hpp"

namespace timtow {

inline Error out_of_memory() noexcept {
  return make_error(errc::no_memory, "out of memory, or of the pool's budget");
}

struct Session::Handshake {
  HeadScanner scanner;
  std::string key;  // client: the one we sent; server: the one that came
  Request request;
  Response response;
  std::vector<std::string> subprotocols;  // that we offered, or were offered
  bool is_upgrade = false;

  std::vector<std::string_view> offered() const {
    return {subprotocols.begin(), subprotocols.end()};
  }
};

}  // namespace timtow
