// Sockets are watched with uv_poll_t, and not handed to libuv's streams, for three reasons:
// - uv_write() raises SIGPIPE when the peer is gone, and what the application does with signals is
//   not ours to change.
// - A uv_stream_t reads, up to 32 times, before it writes.
// - Without descriptors uv_listen() accepts those who wait, drops them, and says nothing. We let
//   them wait, and report it.
#include "timtow/libuv.hpp"

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <system_error>
#include <type_traits>

namespace timtow::libuv {
namespace {

void check(int result) {
  if (result < 0) throw std::system_error(-result, std::system_category(), "libuv");
}

// A handle is libuv's until its close callback, where it frees itself.
struct CloseHandle {
  template <typename Native>
  void operator()(Native* handle) const noexcept {
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* closed) { delete reinterpret_cast<Native*>(closed); });
  }
};
template <typename Native>
using Handle = std::unique_ptr<Native, CloseHandle>;

// `init` is the handle's uv_..._init().
template <typename Native, typename... Arguments>
Handle<Native> make_handle(void* data, int (*init)(uv_loop_t*, Native*, Arguments...),
                           uv_loop_t* loop, std::type_identity_t<Arguments>... arguments) {
  auto handle = std::make_unique<Native>();
  check(init(loop, handle.get(), arguments...));
  handle->data = data;
  return Handle<Native>{handle.release()};
}

// Runs until the last handle is closed.
struct CloseLoop {
  void operator()(uv_loop_t* loop) const noexcept {
    while (uv_loop_close(loop) == UV_EBUSY) uv_run(loop, UV_RUN_NOWAIT);
    delete loop;
  }
};
using OwnLoop = std::unique_ptr<uv_loop_t, CloseLoop>;

OwnLoop make_loop() {
  auto loop = std::make_unique<uv_loop_t>();
  check(uv_loop_init(loop.get()));
  return OwnLoop{loop.release()};
}

int events_for(posix::Interest interest) noexcept {
  return (interest.read ? UV_READABLE : 0) | (interest.write ? UV_WRITABLE : 0);
}

}  // namespace

struct Loop::State {
  State(Loop& us, OwnLoop its_own, uv_loop_t* native)
      : own(std::move(its_own)),
        loop(native),
        wake_up(make_handle(&us, uv_async_init, loop, on_wake_up)),
        alarm(make_handle(&us, uv_timer_init, loop)) {
    uv_unref(reinterpret_cast<uv_handle_t*>(wake_up.get()));
  }

  static void on_wake_up(uv_async_t* wake_up) { static_cast<Loop*>(wake_up->data)->run_posted(); }
  static void on_alarm(uv_timer_t* alarm);

  OwnLoop own;  // null when the loop is the application's
  uv_loop_t* loop;
  Handle<uv_async_t> wake_up;
  Handle<uv_timer_t> alarm;
  std::uint64_t shortest_wait = 0;  // milliseconds
  int holds = 0;
};

// While there is one of these, uv_run() goes on. libuv itself counts only what is active, and so no
// watch without interest.
class Loop::Hold {
 public:
  explicit Hold(State& state) noexcept : state_(state) {
    if (state_.holds++ == 0) uv_ref(reinterpret_cast<uv_handle_t*>(state_.wake_up.get()));
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold() {
    if (--state_.holds == 0) uv_unref(reinterpret_cast<uv_handle_t*>(state_.wake_up.get()));
  }

 private:
  State& state_;
};

class Loop::Watch final : public posix::Watcher {
 public:
  Watch(State& state, int fd, posix::Interest interest, posix::Ready& ready)
      : hold_(state), ready_(ready), poll_(make_handle(this, uv_poll_init, state.loop, fd)) {
    want(interest);
  }

  void want(posix::Interest interest) noexcept override {
    interest_ = interest;
    uv_poll_start(poll_.get(), events_for(interest), on_events);
  }

 private:
  static void on_events(uv_poll_t* poll, int status, int events) {
    Watch& watch = *static_cast<Watch*>(poll->data);
    const posix::Interest interest = watch.interest_;
    if (status == 0)
      return watch.ready_.ready(
          {.read = (events & UV_READABLE) != 0, .write = (events & UV_WRITABLE) != 0});
    watch.want(interest);  // after an error libuv watches no more, but there may be more to read
    watch.ready_.ready(interest);
  }

  Hold hold_;
  posix::Ready& ready_;
  posix::Interest interest_;
  Handle<uv_poll_t> poll_;
};

Loop::Loop() {
  OwnLoop own = make_loop();
  uv_loop_t* const loop = own.get();
  state_ = std::make_unique<State>(*this, std::move(own), loop);
}

Loop::Loop(uv_loop_s& loop) : state_(std::make_unique<State>(*this, nullptr, &loop)) {}

Loop::~Loop() = default;

std::unique_ptr<posix::Watcher> Loop::watch(int fd, posix::Interest interest, posix::Ready& ready) {
  return std::make_unique<Watch>(*state_, fd, interest, ready);
}

void Loop::arm(TimePoint at) noexcept {
  using std::chrono::milliseconds, std::chrono::nanoseconds;
  State& state = *state_;
  if (at == never) {
    uv_timer_stop(state.alarm.get());
    return;
  }
  std::uint64_t wait = state.shortest_wait;
  if (const auto left = at - Clock::now(); left > Duration::zero()) {
    // libuv counts from uv_now(), which is as old as the event at hand, and rounded down.
    uv_update_time(state.loop);
    const auto behind = nanoseconds{uv_hrtime()} - milliseconds{uv_now(state.loop)};
    wait = static_cast<std::uint64_t>(std::chrono::ceil<milliseconds>(left + behind).count());
  }
  uv_timer_start(state.alarm.get(), State::on_alarm, wait, 0);
}

// libuv calls timers until none is due: one that is due at once, every time, would leave the
// sockets no turn.
void Loop::State::on_alarm(uv_timer_t* alarm) {
  Loop& us = *static_cast<Loop*>(alarm->data);
  us.state_->shortest_wait = 1;
  us.alarm();
  us.state_->shortest_wait = 0;
}

void Loop::wake() noexcept { uv_async_send(state_->wake_up.get()); }

void Loop::stop() noexcept { uv_stop(state_->loop); }

void Loop::run() {
  const Hold hold{*state_};
  uv_run(state_->loop, UV_RUN_DEFAULT);
}

}  // namespace timtow::libuv
