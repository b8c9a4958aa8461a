// What an example is told on its command line, option by option. What cannot be understood ends the
// program with a sentence.
#pragma once

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "timtow/version.hpp"

namespace example {

class Arguments {
 public:
  // `program` is its name, and `help` what --help prints.
  Arguments(int argc, char** argv, std::string program, std::string_view help)
      : argc_(argc), argv_(argv), program_(std::move(program)), help_(help) {}

  // Takes the next argument, if there is one, and answers --help and --version.
  bool next() {
    if (++at_ >= argc_) return false;
    option_ = argv_[at_];
    if (option_ != "--help" && option_ != "--version") return true;
    if (option_ == "--help")
      std::printf("%s: %.*s", program_.c_str(), static_cast<int>(help_.size()), help_.data());
    else
      std::printf("%s %s\n", program_.c_str(), timtow::version);
    std::exit(0);
  }
  std::string_view option() const { return option_; }

  std::string_view value() {
    if (++at_ == argc_) refuse(std::string{option_} + " needs a value; --help lists the options");
    return argv_[at_];
  }

  template <typename Number>
  void number(Number& to) {
    const std::string_view text = value();
    const char* const end = text.data() + text.size();
    const auto [stop, failure] = std::from_chars(text.data(), end, to);
    if (failure != std::errc{} || stop != end)
      refuse('"' + std::string{text} + "\" is not a number that " + std::string{option_} +
             " can take; --help lists the options");
  }

  [[noreturn]] void unknown() const {
    refuse("unknown option \"" + std::string{option_} + "\"; --help lists the options");
  }

  // Ends the program: something cannot be done, and the sentence says why.
  [[noreturn]] void refuse(const std::string& sentence) const {
    std::fprintf(stderr, "%s: %s\n", program_.c_str(), sentence.c_str());
    std::exit(1);
  }

 private:
  int argc_;
  char** argv_;
  std::string program_;
  std::string_view help_;
  int at_ = 0;
  std::string_view option_;
};

}  // namespace example
