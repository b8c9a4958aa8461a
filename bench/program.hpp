// What the servers of the comparison do alike, where they are C++: their command line, and the line
// that says they are ready. Nothing of timtow. None of them handles SIGTERM: it ends them.
#pragma once

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace bench {

constexpr std::size_t message_limit = 16 * 1024 * 1024;

struct Options {
  std::uint16_t port = 0;  // 0 for any free one
  bool fanout = false;     // what comes goes to every connection, and not only back
};

// Ends the program: something cannot be done.
[[noreturn]] inline void fail(std::string_view why, int status = 1) {
  std::fprintf(stderr, "%s: %.*s\n", program_invocation_short_name, static_cast<int>(why.size()),
               why.data());
  std::exit(status);
}

// --quiet is taken because every server is called with it: there is nothing to be quiet about.
inline Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--fanout") {
      options.fanout = true;
    } else if (option == "--port" && i + 1 < argc) {
      const std::string_view text = argv[++i];
      const char* const end = text.data() + text.size();
      const auto [stop, error] = std::from_chars(text.data(), end, options.port);
      if (error != std::errc{} || stop != end) fail("--port needs a number, up to 65535", 2);
    } else if (option != "--quiet") {
      fail("the options are --port PORT, --quiet and, where it is offered, --fanout", 2);
    }
  }
  return options;
}

inline void announce(unsigned port) {
  std::printf("%s listening on http://127.0.0.1:%u/\n", program_invocation_short_name, port);
  std::fflush(stdout);
}

}  // namespace bench
