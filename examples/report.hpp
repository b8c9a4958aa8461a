// What an example says of itself: where it listens, who comes and goes, and what goes wrong.
#pragma once

#include <cstdio>

#include "timtow/server.hpp"

namespace example {

inline void announce(const char* loop, const timtow::Server& server, const char* scheme = "http") {
  std::printf("echo-%s listening on %s://%s/\n", loop, scheme,
              to_string(server.endpoints().front()).c_str());
  std::fflush(stdout);
}

inline void report(timtow::Handlers& handlers) {
  handlers.on_open = [](timtow::Connection& peer) {
    std::printf("%llu: open\n", static_cast<unsigned long long>(peer.id()));
  };
  handlers.on_close = [](timtow::Connection& peer, const timtow::Closed& closed) {
    std::printf("%llu: closed, %u%s%s\n", static_cast<unsigned long long>(peer.id()),
                unsigned{closed.code}, closed.error != nullptr ? ": " : "",
                closed.error != nullptr ? closed.error->text.c_str() : "");
  };
  handlers.on_error = [](const timtow::Error& error) {
    std::fprintf(stderr, "%s\n", error.text.c_str());
  };
}

}  // namespace example
