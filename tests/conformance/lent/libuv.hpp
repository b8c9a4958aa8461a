// timtow on a uv_loop_t that is the test's: run by libuv's own functions, beside a timer.
#pragma once

#include <uv.h>

#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <timtow/libuv.hpp>

namespace this_loop {

// Made before the adapter, and closed after it.
struct Native {
  Native() {
    timtow::posix::require_descriptors(4);  // or libuv loses one
    if (const int result = uv_loop_init(&native); result != 0)
      throw std::system_error(-result, std::system_category(), "uv_loop_init");
    uv_timer_init(&native, &timer);
  }
  Native(const Native&) = delete;
  Native& operator=(const Native&) = delete;
  ~Native() {
    uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
    uv_run(&native, UV_RUN_NOWAIT);
    if (uv_loop_close(&native) == 0) return;
    std::fputs("the adapter left something in the loop that it was lent:\n", stderr);
    uv_print_all_handles(&native, stderr);
    std::abort();
  }

  static void nothing(uv_timer_t*) {}

  uv_loop_t native;
  uv_timer_t timer;  // an application's own
};

class Loop final : private Native, public timtow::libuv::Loop {
 public:
  Loop() : timtow::libuv::Loop(native) {}

  void run() override {
    uv_timer_start(&timer, nothing, 3'600'000, 0);
    uv_run(&native, UV_RUN_DEFAULT);
    uv_timer_stop(&timer);
  }
  void stop() noexcept override { uv_stop(&native); }
  bool goes_on() { return uv_run(&native, UV_RUN_NOWAIT) != 0; }
};

}  // namespace this_loop

#include "cases.hpp"
