// What the examples are told on their command line.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "timtow/limits.hpp"
#include "timtow/version.hpp"

namespace example {

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 9001;
  bool quiet = false;
  timtow::Limits limits;
};

// Ends the program: something cannot be done, and the sentence says why.
[[noreturn]] inline void refuse(const char* loop, const std::string& sentence) {
  std::fprintf(stderr, "echo-%s: %s\n", loop, sentence.c_str());
  std::exit(1);
}

inline void print_help(const char* loop) {
  std::printf(
      "echo-%s: a WebSocket server that sends back what it gets.\n\n"
      "  --host HOST          address or name to listen on (127.0.0.1)\n"
      "  --port PORT          0 for any free one (9001)\n"
      "  --max-message BYTES  the largest message taken (16777216)\n"
      "  --quiet              do not report connections\n"
      "  --help               print this\n"
      "  --version            print the version\n",
      loop);
}

// The options, or the end of the program: 0 after --help and --version, 1 with a sentence for what
// cannot be understood.
inline Options read_options(int argc, char** argv, const char* loop) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const auto value = [&]() -> std::string_view {
      if (++i == argc)
        refuse(loop, std::string{option} + " needs a value; --help lists the options");
      return argv[i];
    };
    const auto number = [&](auto& to) {
      const std::string_view text = value();
      const char* const end = text.data() + text.size();
      const auto [stop, failure] = std::from_chars(text.data(), end, to);
      if (failure != std::errc{} || stop != end)
        refuse(loop, '"' + std::string{text} + "\" is not a number that " + std::string{option} +
                         " can take; --help lists the options");
    };
    if (option == "--host") {
      options.host = value();
    } else if (option == "--port") {
      number(options.port);
    } else if (option == "--max-message") {
      number(options.limits.message_bytes);
    } else if (option == "--quiet") {
      options.quiet = true;
    } else if (option == "--help") {
      print_help(loop);
      std::exit(0);
    } else if (option == "--version") {
      std::printf("echo-%s %s\n", loop, timtow::version);
      std::exit(0);
    } else {
      refuse(loop, "unknown option \"" + std::string{option} + "\"; --help lists the options");
    }
  }
  return options;
}

}  // namespace example
