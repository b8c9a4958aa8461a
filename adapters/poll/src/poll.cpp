#include "timtow/poll.hpp"

#include <poll.h>

#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "timtow/posix/stream.hpp"

namespace timtow::poll {
struct Loop::State {
  // Two arrays of one shape: what poll() is given, and whom it concerns. The first is the wake-up.
  std::vector<pollfd> polled;
  std::vector<Watch*> watches;
  bool has_gaps = false;  // a watch ended: its place has no descriptor until the gaps are closed

  void close_gaps() noexcept;
};

class Loop::Watch : public posix::Watcher {
 public:
  Watch(State& state, int fd, posix::Interest wanted)
      : Watcher(fd, wanted),
        state_(state),
        index_(static_cast<std::uint32_t>(state.watches.size())) {
    state.watches.push_back(this);
    try {
      state.polled.push_back({.fd = -1, .events = 0, .revents = 0});
    } catch (const std::bad_alloc&) {
      state.watches.pop_back();
      throw;
    }
    Watch::changed();
  }

  ~Watch() override {
    state_.watches[index_] = nullptr;
    state_.polled[index_].fd = -1;
    state_.has_gaps = true;
  }

  void move_to(std::size_t index) noexcept {
    state_.polled[index] = state_.polled[index_];
    state_.watches[index] = this;
    index_ = static_cast<std::uint32_t>(index);
  }

  void found(short events) noexcept {
    constexpr int failed = POLLERR | POLLHUP | POLLNVAL;
    tell(posix::interest_in(events, POLLIN | failed, POLLOUT | failed));
  }

 private:
  void changed() noexcept override {
    pollfd& polled = state_.polled[index_];
    polled.events = static_cast<short>(posix::flags_of(wanted(), POLLIN, POLLOUT));
    polled.fd = polled.events == 0 ? -1 : fd();  // poll() skips -1: not even errors are told
  }

  State& state_;
  std::uint32_t index_;
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

std::unique_ptr<posix::Watcher> Loop::watch(int fd, posix::Interest wanted, posix::Ready& whom) {
  return std::make_unique<posix::Telling<Watch>>(whom, *state_, fd, wanted);
}

Transport* Loop::make_transport(posix::Descriptor& fd, TransportEvents& events) {
  return new posix::Stream<Watch>{fd, events, *state_};
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
    if (state.watches[i] != nullptr) state.watches[i]->found(events);
  }
  if (state.has_gaps) state.close_gaps();
}

}  // namespace timtow::poll
