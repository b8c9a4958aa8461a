#include "timtow/libev.hpp"

#include <ev++.h>

#include <chrono>
#include <system_error>

#include "timtow/posix/stream.hpp"
#include "timtow/posix/wake_up.hpp"

namespace timtow::libev {
namespace {

struct Destroy {
  void operator()(struct ev_loop* loop) const noexcept { ev_loop_destroy(loop); }
};

// What the system did not let it watch, libev tells of, and stops. What was lacking then may be
// there the next time.
void watch_on(ev::io& io) noexcept {
  if (io.is_active()) return;
  io.set(io.fd, io.events);  // or libev believes that the system has it
  io.start();
}

}  // namespace

// The watchers stop themselves when they go.
struct Loop::State {
  explicit State(struct ev_loop* lent)
      : own(lent == nullptr ? ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV) : nullptr),
        native(lent == nullptr ? own.get() : lent) {
    if (native == nullptr) throw std::system_error(posix::last_error(), "ev_loop_new");
  }

  const std::unique_ptr<struct ev_loop, Destroy> own;
  struct ev_loop* const native;
  // Not an ev_async: the first one aborts the program if there is no descriptor left for it, and
  // what it opens stays in the loop.
  posix::WakeUp wake_up;
  ev::io woken{native};
  ev::timer alarm{native};
};

class Loop::Watch : public posix::Watcher {
 public:
  Watch(struct ev_loop* native, int fd, posix::Interest wanted) : Watcher(fd, wanted), io_(native) {
    io_.set<Watch, &Watch::found>(this);
    io_.start(fd, events());
  }

 private:
  // With no interest it is still started, and keeps the loop running.
  void changed() noexcept override { io_.set(events()); }

  int events() const noexcept { return posix::flags_of(wanted(), ev::READ, ev::WRITE); }

  void found(ev::io&, int events) noexcept {
    watch_on(io_);
    tell(posix::interest_in(events, ev::READ, ev::WRITE));
  }

  ev::io io_;
};

Loop::Loop(struct ev_loop* lent) : state_(std::make_unique<State>(lent)) {
  State& state = *state_;
  // The order of one wake-up is that of all loops: what was posted, what came, what is due.
  ev_set_priority(&state.woken, EV_MAXPRI);
  ev_set_priority(&state.alarm, EV_MINPRI);
  state.woken.set<Loop, &Loop::woken>(this);
  state.woken.start(state.wake_up.fd(), ev::READ);
  ev_unref(state.native);  // what may be posted some day keeps no loop running
  state.alarm.set<timtow::Loop, &Loop::alarm>(this);
}

Loop::Loop() : Loop(nullptr) {}

Loop::Loop(struct ev_loop& native) : Loop(&native) {}

Loop::~Loop() {
  ev_ref(state_->native);  // which the wake-up that is stopped now gives back
}

std::unique_ptr<posix::Watcher> Loop::watch(int fd, posix::Interest wanted, posix::Ready& whom) {
  return std::make_unique<posix::Telling<Watch>>(whom, state_->native, fd, wanted);
}

Transport* Loop::make_transport(posix::Descriptor& fd, TransportEvents& events) {
  return new posix::Stream<Watch>{fd, events, state_->native};
}

void Loop::arm(TimePoint at) noexcept {
  State& state = *state_;
  state.alarm.stop();
  if (at == never) return;
  // libev counts from the time it has noted. Noted after ours was read: late rather than early.
  const std::chrono::duration<double> left = at - Clock::now();
  ev_now_update(state.native);
  state.alarm.start(left.count());
}

void Loop::wake() noexcept { state_->wake_up.signal(); }

void Loop::woken() noexcept {
  watch_on(state_->woken);
  state_->wake_up.clear();
  run_posted();
}

void Loop::run() {
  ev_ref(state_->native);
  ev_run(state_->native, 0);
  ev_unref(state_->native);
}

void Loop::stop() noexcept { ev_break(state_->native, EVBREAK_ONE); }

}  // namespace timtow::libev
