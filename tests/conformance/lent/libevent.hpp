// timtow on a base of the application's, which has a timer of its own, and gets back what it lent.
#pragma once

#include <event2/event.h>
#include <timtow/libevent.hpp>
#include <timtow/posix/socket.hpp>

#include <cstdio>
#include <cstdlib>

namespace this_loop {

inline void require(bool holds, const char* otherwise) {
  if (holds) return;
  std::fprintf(stderr, "the lent event_base: %s\n", otherwise);
  std::abort();
}

class LentBase {
 protected:
  LentBase() { require(base_ != nullptr, "none could be made"); }
  LentBase(const LentBase&) = delete;
  LentBase& operator=(const LentBase&) = delete;
  ~LentBase() {
    constexpr unsigned all =
        EVENT_BASE_COUNT_ACTIVE | EVENT_BASE_COUNT_ADDED | EVENT_BASE_COUNT_VIRTUAL;
    const auto one = [](const event_base*, const event*, void*) { return 1; };
    require(event_base_get_num_events(base_, all) == 0, "an event was left in it");
    // Which sees those as well that keep no base running.
    require(event_base_foreach_event(base_, one, nullptr) == 0, "an event was left in it, hidden");
    event_base_free(base_);
  }

  event_base* const base_ = make();

 private:
  static event_base* make() {
    timtow::posix::require_descriptors(4);  // or libevent ends the process
    return event_base_new();
  }
};

class Loop : private LentBase, public timtow::libevent::Loop {
 public:
  Loop() : timtow::libevent::Loop(*base_) {}
  ~Loop() override {
    require(event_base_get_num_events(base_, EVENT_BASE_COUNT_ADDED) == 0,
            "with nothing left to do it is kept running");
  }

  void run() override {
    event* const timer = event_new(
        base_, -1, EV_PERSIST, [](int, short, void*) {}, nullptr);
    const timeval hour{.tv_sec = 3600, .tv_usec = 0};
    event_add(timer, &hour);
    event_base_dispatch(base_);
    event_free(timer);
  }
  void stop() noexcept override { event_base_loopbreak(base_); }
  bool goes_on() { return event_base_loop(base_, EVLOOP_NONBLOCK) == 0; }
};

}  // namespace this_loop

#include "cases.hpp"
