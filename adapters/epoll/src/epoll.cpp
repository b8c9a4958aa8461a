#include "timtow/epoll.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <system_error>

#include "timtow/posix/timeout.hpp"
#include "timtow/posix/wake_up.hpp"

namespace timtow::epoll {

struct Loop::State {
  posix::Descriptor epoll{epoll_create1(EPOLL_CLOEXEC)};
  posix::WakeUp wake_up;
  std::array<epoll_event, 256> found;
  std::span<epoll_event> untold;  // of those found, the ones whose watches have not been told yet
  TimePoint alarm = never;
  bool stopped = false;
};

class Loop::Watch final : public posix::Watcher {
 public:
  Watch(State& state, int fd, posix::Interest interest, posix::Ready& ready)
      : state_(state), ready_(ready), fd_(fd) {
    if (!control(EPOLL_CTL_ADD, interest))
      throw std::system_error(posix::last_error(), "epoll_ctl");
  }

  ~Watch() override {
    control(EPOLL_CTL_DEL, {});
    for (epoll_event& event : state_.untold)
      if (event.data.ptr == this) event.data.ptr = nullptr;
  }

  void want(posix::Interest interest) noexcept override { control(EPOLL_CTL_MOD, interest); }

  void tell(std::uint32_t found) noexcept {
    const bool failed = (found & (EPOLLERR | EPOLLHUP)) != 0;
    ready_.ready({.read = interest_.read && (failed || (found & EPOLLIN) != 0),
                  .write = interest_.write && (failed || (found & EPOLLOUT) != 0)});
  }

 private:
  bool control(int operation, posix::Interest interest) noexcept {
    interest_ = interest;
    std::uint32_t events = (interest.read ? EPOLLIN : 0U) | (interest.write ? EPOLLOUT : 0U);
    // Errors are found whether they are wanted or not: here once, and not at every wait.
    if (events == 0) events = EPOLLET;
    epoll_event event{.events = events, .data = {.ptr = this}};
    return epoll_ctl(state_.epoll.get(), operation, fd_, &event) == 0;
  }

  State& state_;
  posix::Ready& ready_;
  int fd_;
  posix::Interest interest_;
};

Loop::Loop() : state_(std::make_unique<State>()) {
  epoll_event wake_up{.events = EPOLLIN, .data = {.ptr = state_.get()}};
  if (!state_->epoll ||
      epoll_ctl(state_->epoll.get(), EPOLL_CTL_ADD, state_->wake_up.fd(), &wake_up) != 0)
    throw std::system_error(posix::last_error(), "epoll");
}

Loop::~Loop() = default;

std::unique_ptr<posix::Watcher> Loop::watch(int fd, posix::Interest interest, posix::Ready& ready) {
  return std::make_unique<Watch>(*state_, fd, interest, ready);
}

void Loop::arm(TimePoint at) noexcept { state_->alarm = at; }

void Loop::wake() noexcept { state_->wake_up.signal(); }

void Loop::stop() noexcept { state_->stopped = true; }

void Loop::run() {
  State& state = *state_;
  state.stopped = false;
  keep_time(Clock::now());
  while (!state.stopped) {
    const int count =
        epoll_wait(state.epoll.get(), state.found.data(), static_cast<int>(state.found.size()),
                   posix::timeout_until(state.alarm, now()));
    if (count < 0 && errno != EINTR) throw std::system_error(posix::last_error(), "epoll_wait");
    keep_time(Clock::now());
    state.untold = {state.found.data(), static_cast<std::size_t>(std::max(count, 0))};
    while (!state.untold.empty() && !state.stopped) {
      const epoll_event event = state.untold.front();
      state.untold = state.untold.subspan(1);
      if (event.data.ptr == &state) {
        state.wake_up.clear();
        run_posted();
      } else if (event.data.ptr != nullptr) {
        static_cast<Watch*>(event.data.ptr)->tell(event.events);
      }
    }
    state.untold = {};
    if (state.alarm <= now()) {
      state.alarm = never;
      alarm();
    }
  }
  keep_no_time();
}

}  // namespace timtow::epoll
