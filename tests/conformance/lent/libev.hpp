// The adapter on a loop of libev that an application runs.
#pragma once

#include <ev++.h>

#include <cstdio>
#include <cstdlib>
#include <timtow/libev.hpp>

namespace this_loop {

// The application's loop. It is made before the adapter, and looked at when that is gone.
class Application {
 protected:
  Application() = default;
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;
  ~Application() {
    check_idle("has left watchers, or references that are not its own");
    // Whoever still watches a descriptor is found with it.
    for (int fd = 0; fd < 10'000; ++fd) ev_feed_fd_event(native_, fd, EV_READ | EV_WRITE);
    if (ev_pending_count(native_) != 0) give_up("has left a watch");
    ev_loop_destroy(native_);
  }

  // ev_run() would return at once.
  void check_idle(const char* otherwise) {
    if (ev_run(native_, EVRUN_NOWAIT) != 0) give_up(otherwise);
  }

  struct ev_loop* const native_ = ev_loop_new(EVFLAG_AUTO);

 private:
  static void give_up(const char* why) {
    std::fprintf(stderr, "timtow %s: the application's loop is not as it was\n", why);
    std::abort();
  }
};

class Loop final : private Application, public timtow::libev::Loop {
 public:
  Loop() : timtow::libev::Loop(*native_) { check_idle("keeps a loop running for nothing"); }

  void run() override {
    ev::timer own{native_};  // what the application has to do: it keeps the loop running
    own.set<Loop, &Loop::ring>(this);
    own.start(3600., 3600.);
    ev_run(native_, 0);
  }
  void stop() noexcept override { ev_break(native_, EVBREAK_ONE); }
  bool goes_on() { return ev_run(native_, EVRUN_NOWAIT) != 0; }

 private:
  void ring() noexcept {}
};

}  // namespace this_loop

#include "cases.hpp"
