#include "timtow/poll.hpp"

#include <poll.h>

#include <cerrno>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include "timtow/posix/timeout.hpp"
#include "timtow/posix/wake_up.hpp"

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
  posix::WakeUp wake_up;
  TimePoint alarm = never;
  bool stopped = false;

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
  state_->polled.push_back({.fd = state_->wake_up.fd(), .events = POLLIN, .revents = 0});
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
    const int found =
        ::poll(state.polled.data(), state.polled.size(), posix::timeout_until(state.alarm, now()));
    if (found < 0 && errno != EINTR) throw std::system_error(posix::last_error(), "poll");
    keep_time(Clock::now());
    dispatch(found);
    if (state.alarm <= now()) {
      state.alarm = never;
      alarm();
    }
  }
  keep_no_time();
}

// Tells the first `found` watches that are ready.
void Loop::dispatch(int found) noexcept {
  State& state = *state_;
  if (found > 0 && state.polled[0].revents != 0) {
    --found;
    state.wake_up.clear();
    run_posted();
  }
  for (std::size_t i = 1; found > 0 && !state.stopped; ++i) {
    while (i < state.polled.size() && state.polled[i].revents == 0) ++i;
    if (i >= state.polled.size()) break;  // those that were found are gone
    --found;
    const short events = std::exchange(state.polled[i].revents, short{0});
    if (state.watches[i] != nullptr) state.watches[i]->tell(events);
  }
  if (state.has_gaps) state.close_gaps();
}

}  // namespace timtow::poll
