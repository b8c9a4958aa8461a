#include "timtow/libevent.hpp"

#include <event2/event.h>
#include <event2/event_struct.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <system_error>
#include <utility>

#include "timtow/posix/wake_up.hpp"

namespace timtow::libevent {
namespace {

using Base = std::unique_ptr<event_base, void (*)(event_base*)>;

Base new_base() {
  posix::require_descriptors(4);  // or libevent ends the process
  // Its clock is coarse: a precise one takes a call of the system's each time it waits.
  Base base{event_base_new(), event_base_free};
  if (!base) throw std::system_error(posix::last_error(), "event_base_new");
  return base;
}

Base lent(event_base& base) noexcept {
  return {&base, [](event_base*) {}};
}

// An event of libevent's that ends with its owner.
struct Event : event {
  Event(event_base& base, int fd, short events, event_callback_fn tell, void* whom) noexcept {
    event_assign(this, &base, fd, events, tell, whom);
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() {
    event_del(this);
    event_debug_unassign(this);
  }
};

}  // namespace

struct Loop::State {
  State(Loop& loop, Base its)
      : base(std::move(its)),
        wake_up_event(*base, wake_up.fd(), EV_READ | EV_PERSIST, woken, &loop),
        alarm_event(*base, -1, 0, rung, &loop) {
    // libevent has no call for it: so are its own events marked, which keep no base running.
    wake_up_event.ev_evcallback.evcb_flags |= EVLIST_INTERNAL;
    if (event_add(&wake_up_event, nullptr) != 0)
      throw std::system_error(posix::last_error(), "event_add");
  }

  static void woken(evutil_socket_t, short, void* whom) noexcept {
    auto& loop = *static_cast<Loop*>(whom);
    loop.state_->wake_up.clear();
    loop.run_posted();
  }

  static void rung(evutil_socket_t, short, void* whom) noexcept {
    auto& loop = *static_cast<Loop*>(whom);
    const TimePoint at = loop.state_->alarm;
    // libevent counts from when it last looked at its clock, and may ring early.
    if (Clock::now() < at) return loop.arm(at);
    loop.alarm();
  }

  Base base;
  posix::WakeUp wake_up;
  Event wake_up_event;
  Event alarm_event;
  TimePoint alarm = never;
};

class Loop::Watch final : public posix::Watcher {
 public:
  Watch(event_base& base, int fd, posix::Interest interest, posix::Ready& ready)
      : fd_(fd), events_{Event{base, -1, 0, tell, &ready}, Event{base, -1, 0, tell, &ready}} {
    if (!add(interest)) throw std::system_error(posix::last_error(), "event_add");
  }

  void want(posix::Interest interest) noexcept override { add(interest); }

 private:
  // The next event comes before the last one goes, so that the system is called once for both.
  bool add(posix::Interest interest) noexcept {
    event* const last = std::exchange(now_, now_ == &events_[0] ? &events_[1] : &events_[0]);
    // Without interest it waits to read nothing: that tells nothing, and keeps the base running.
    const int fd = interest == posix::Interest{} ? -1 : fd_;
    const int events =
        EV_PERSIST | (interest.write ? EV_WRITE : EV_READ) | (interest.read ? EV_READ : 0);
    event_assign(now_, event_get_base(last), fd, static_cast<short>(events), tell,
                 event_get_callback_arg(last));
    const bool added = event_add(now_, nullptr) == 0;
    event_del(last);
    return added;
  }

  static void tell(evutil_socket_t, short found, void* whom) noexcept {
    static_cast<posix::Ready*>(whom)->ready(
        {.read = (found & EV_READ) != 0, .write = (found & EV_WRITE) != 0});
  }

  int fd_;
  std::array<Event, 2> events_;
  event* now_ = events_.data();
};

Loop::Loop() : state_(std::make_unique<State>(*this, new_base())) {}

Loop::Loop(event_base& base) : state_(std::make_unique<State>(*this, lent(base))) {}

Loop::~Loop() = default;

std::unique_ptr<posix::Watcher> Loop::watch(int fd, posix::Interest interest, posix::Ready& ready) {
  return std::make_unique<Watch>(*state_->base, fd, interest, ready);
}

void Loop::arm(TimePoint at) noexcept {
  using namespace std::chrono;
  state_->alarm = at;
  event_del(&state_->alarm_event);
  if (at == never) return;
  const auto left = std::max(ceil<microseconds>(at - Clock::now()), 0us);
  const timeval timeout{.tv_sec = left / 1s, .tv_usec = left % 1s / 1us};
  event_add(&state_->alarm_event, &timeout);
}

void Loop::wake() noexcept { state_->wake_up.signal(); }

void Loop::run() {
  if (event_base_loop(state_->base.get(), EVLOOP_NO_EXIT_ON_EMPTY) < 0)
    throw std::system_error(posix::last_error(), "event_base_loop");
}

void Loop::stop() noexcept { event_base_loopbreak(state_->base.get()); }

}  // namespace timtow::libevent
