#include "timtow/libevent.hpp"

#include <event2/event.h>
#include <event2/event_struct.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "timtow/posix/stream.hpp"
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

class Loop::Watch : public posix::Watcher {
 public:
  Watch(event_base& base, int fd, posix::Interest wanted)
      : Watcher(fd, wanted), event_{base, watched(), events(), found, this} {
    if (event_add(&event_, nullptr) != 0) throw std::system_error(posix::last_error(), "event_add");
  }

 private:
  // Without interest it waits to read nothing: that tells nothing, and keeps the base running.
  int watched() const noexcept { return wanted() == posix::Interest::none ? -1 : fd(); }
  short events() const noexcept {
    return static_cast<short>(EV_PERSIST | posix::flags_of(wanted(), EV_READ, EV_WRITE));
  }

  void changed() noexcept override {
    event_base& base = *event_get_base(&event_);
    // Another event bridges the change, so that the system is called once for it.
    Event bridge{base, watched(), events(), found, this};
    event_add(&bridge, nullptr);
    event_del(&event_);
    event_assign(&event_, &base, watched(), events(), found, this);
    event_add(&event_, nullptr);
  }

  static void found(evutil_socket_t, short events, void* watch) noexcept {
    static_cast<Watch*>(watch)->tell(posix::interest_in(events, EV_READ, EV_WRITE));
  }

  Event event_;
};

Loop::Loop() : state_(std::make_unique<State>(*this, new_base())) {}

Loop::Loop(event_base& base) : state_(std::make_unique<State>(*this, lent(base))) {}

Loop::~Loop() = default;

std::unique_ptr<posix::Watcher> Loop::watch(int fd, posix::Interest wanted, posix::Ready& whom) {
  return std::make_unique<posix::Telling<Watch>>(whom, *state_->base, fd, wanted);
}

Transport* Loop::make_transport(posix::Descriptor& fd, TransportEvents& events) {
  return new posix::Stream<Watch>{fd, events, *state_->base};
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
