#include "fail.hpp"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace load {
namespace {

[[noreturn]] void quit(int code, const char* format, std::va_list values) {
  std::fputs("bench-load: ", stderr);
  std::vfprintf(stderr, format, values);
  std::fputc('\n', stderr);
  std::exit(code);
}

}  // namespace

void fail(const char* format, ...) {
  std::va_list values;
  va_start(values, format);
  quit(1, format, values);
}

void refuse(const char* format, ...) {
  std::va_list values;
  va_start(values, format);
  quit(2, format, values);
}

}  // namespace load
