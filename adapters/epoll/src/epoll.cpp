#include "timtow/epoll.hpp"

#include <sys/epoll.h>

#include <array>
#include <span>
#include <system_error>

namespace timtow::epoll {

struct Loop::State {
  posix::Descriptor epoll{epoll_create1(EPOLL_CLOEXEC)};
  std::array<epoll_event, 256> found;
  std::span<epoll_event> untold;  // of those found, the ones whose watches have not been told yet
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
    constexpr std::uint32_t failed = EPOLLERR | EPOLLHUP;
    ready_.ready({.read = interest_.read && (found & (EPOLLIN | failed)) != 0,
                  .write = interest_.write && (found & (EPOLLOUT | failed)) != 0});
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
  if (!state_->epoll || epoll_ctl(state_->epoll.get(), EPOLL_CTL_ADD, wake_up_fd(), &wake_up) != 0)
    throw std::system_error(posix::last_error(), "epoll");
}

Loop::~Loop() = default;

std::unique_ptr<posix::Watcher> Loop::watch(int fd, posix::Interest interest, posix::Ready& ready) {
  return std::make_unique<Watch>(*state_, fd, interest, ready);
}

int Loop::wait(int timeout) noexcept {
  return epoll_wait(state_->epoll.get(), state_->found.data(),
                    static_cast<int>(state_->found.size()), timeout);
}

void Loop::dispatch(int found) noexcept {
  State& state = *state_;
  state.untold = {state.found.data(), static_cast<std::size_t>(found)};
  while (!state.untold.empty() && !is_stopped()) {
    void* const whom = state.untold.front().data.ptr;
    const std::uint32_t what = state.untold.front().events;
    state.untold = state.untold.subspan(1);
    if (whom == &state)
      woken();
    else if (whom != nullptr)
      static_cast<Watch*>(whom)->tell(what);
  }
  state.untold = {};
}

}  // namespace timtow::epoll
