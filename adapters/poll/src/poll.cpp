#include "timtow/poll.hpp"

#include <poll.h>

#include <new>
#include <utility>
#include <vector>

namespace timtow::poll {
namespace {

short events_for(posix::Interest interest) noexcept {
  return static_cast<short>((interest.read ? POLLIN : 0) | (interest.write ? POLLOUT : 0));
}

}  // namespace

struct Loop::State {
  // Two arrays of one shape: what poll() is given, and whom it concerns. The first is the wake-up.
  std::vector<pollfd> polled;
  std::vector<Watch*> watches;
  bool has_gaps = false;  // a watch ended: its place has no descriptor until the gaps are closed

  void close_gaps() noexcept;
};

class Loop::Watch final : public posix::Watcher {
 public:
  Watch(State& state, int fd, posix::Interest interest, posix::Ready& ready)
      : state_(state), ready_(ready), fd_(fd), index_(state.watches.size()) {
    state.watches.push_back(this);
    try {
      state.polled.push_back({.fd = -1, .events = 0, .revents = 0});
    } catch (const std::bad_alloc&) {
      state.watches.pop_back();
      throw;
    }
    want(interest);
  }

  ~Watch() override {
    state_.watches[index_] = nullptr;
    state_.polled[index_].fd = -1;
    state_.has_gaps = true;
  }

  void want(posix::Interest interest) noexcept override {
    pollfd& polled = state_.polled[index_];
    polled.events = events_for(interest);
    polled.fd = polled.events == 0 ? -1 : fd_;  // poll() skips -1: not even errors are told
  }

  void move_to(std::size_t index) noexcept {
    state_.polled[index] = state_.polled[index_];
    state_.watches[index] = this;
    index_ = index;
  }

  void tell(short found) noexcept {
    const bool failed = (found & (POLLERR | POLLHUP | POLLNVAL)) != 0;
    ready_.ready(
        {.read = failed || (found & POLLIN) != 0, .write = failed || (found & POLLOUT) != 0});
  }

 private:
  State& state_;
  posix::Ready& ready_;
  int fd_;
  std::size_t index_;
};

void Loop::State::close_gaps() noexcept {
  std::size_t kept = 1;
  for (std::size_t i = 1; i < watches.size(); ++i)
    if (watches[i] != nullptr) watches[i]->move_to(kept++);
  watches.resize(kept);
  polled.resize(kept);
  has_gaps = false;
}

Loop::Loop() : state_(std::make_unique<State>()) {
  state_->watches.push_back(nullptr);
  state_->polled.push_back({.fd = wake_up_fd(), .events = POLLIN, .revents = 0});
}

Loop::~Loop() = default;

std::unique_ptr<posix::Watcher> Loop::watch(int fd, posix::Interest interest, posix::Ready& ready) {
  return std::make_unique<Watch>(*state_, fd, interest, ready);
}

int Loop::wait(int timeout) noexcept {
  return ::poll(state_->polled.data(), state_->polled.size(), timeout);
}

void Loop::dispatch(int found) noexcept {
  State& state = *state_;
  if (std::exchange(state.polled[0].revents, short{0}) != 0) {
    --found;
    woken();
  }
  for (std::size_t i = 1; found > 0 && !is_stopped(); ++i) {
    while (i < state.polled.size() && state.polled[i].revents == 0) ++i;
    if (i >= state.polled.size()) break;  // those that were found are gone
    --found;
    const short events = std::exchange(state.polled[i].revents, short{0});
    if (state.watches[i] != nullptr) state.watches[i]->tell(events);
  }
  if (state.has_gaps) state.close_gaps();
}

}  // namespace timtow::poll
