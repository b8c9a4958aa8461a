#include "timtow/epoll.hpp"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

#include "timtow/posix/stream.hpp"

namespace timtow::epoll {

// Descriptors are not taken out of the set before they are closed: the kernel does that, unless a
// child of this process has them too. So events name their watch by its descriptor and by a number
// of its own, and one that names none is of such a descriptor, or of a watch that has just ended.
struct Loop::State {
  posix::Descriptor epoll{epoll_create1(EPOLL_CLOEXEC)};
  std::array<epoll_event, 256> found;
  std::vector<Watch*> watches;  // by descriptor
  std::uint32_t last_number = 0;
  bool has_ended = false;  // one of them, while those of a wake-up are told

  Watch* find(epoll_data data) const noexcept;
  void renew(int wake_up_fd) noexcept;
};

namespace {

// Its descriptor below, its number above.
epoll_data name_of(int fd, std::uint32_t number) noexcept {
  return {.u64 = std::uint64_t{number} << 32U | static_cast<std::uint32_t>(fd)};
}

// No watch has the number 0.
constexpr epoll_event wake_up{.events = EPOLLIN, .data = {.u64 = 0}};

bool control(const posix::Descriptor& epoll, int operation, int fd, epoll_event event) noexcept {
  return epoll_ctl(epoll.get(), operation, fd, &event) == 0;
}

}  // namespace

class Loop::Watch : public posix::Watcher {
 public:
  Watch(State& state, int fd, posix::Interest wanted)
      : Watcher(fd, wanted), state_(state), number_(++state.last_number) {
    const auto at = static_cast<std::size_t>(fd);
    if (state.watches.size() <= at) state.watches.resize(at + 1);
    // It is there already when the watch before it ended without closing it.
    if (!control(state.epoll, EPOLL_CTL_ADD, fd, event()) &&
        (errno != EEXIST || !control(state.epoll, EPOLL_CTL_MOD, fd, event())))
      throw std::system_error(posix::last_error(), "epoll_ctl");
    state.watches[at] = this;
  }

  ~Watch() override {
    state_.watches[static_cast<std::size_t>(fd())] = nullptr;
    state_.has_ended = true;
  }

  std::uint32_t number() const noexcept { return number_; }

  epoll_event event() const noexcept {
    const int events = posix::flags_of(wanted(), EPOLLIN, EPOLLOUT);
    // Errors are found whether they are wanted or not: here once, and not at every wait.
    return {.events = events == 0 ? EPOLLET : static_cast<std::uint32_t>(events),
            .data = name_of(fd(), number_)};
  }

  void found(std::uint32_t events) noexcept {
    constexpr int failed = EPOLLERR | EPOLLHUP;
    tell(posix::interest_in(static_cast<int>(events), EPOLLIN | failed, EPOLLOUT | failed));
  }

 private:
  void changed() noexcept override { control(state_.epoll, EPOLL_CTL_MOD, fd(), event()); }

  State& state_;
  std::uint32_t number_;
};

Loop::Watch* Loop::State::find(epoll_data data) const noexcept {
  Watch* const watch = watches[static_cast<std::uint32_t>(data.u64)];
  return watch != nullptr && watch->number() == data.u64 >> 32U ? watch : nullptr;
}

// Without the descriptors that are not ours any more. When there is none for it, it is tried again
// after the next wait.
void Loop::State::renew(int wake_up_fd) noexcept {
  posix::Descriptor anew{epoll_create1(EPOLL_CLOEXEC)};
  bool is_whole = anew && control(anew, EPOLL_CTL_ADD, wake_up_fd, wake_up);
  for (const Watch* watch : watches)
    is_whole =
        is_whole && (watch == nullptr || control(anew, EPOLL_CTL_ADD, watch->fd(), watch->event()));
  if (is_whole) epoll = std::move(anew);
}

std::unique_ptr<posix::Watcher> Loop::watch(int fd, posix::Interest wanted, posix::Ready& whom) {
  return std::make_unique<posix::Telling<Watch>>(whom, *state_, fd, wanted);
}

Transport* Loop::make_transport(posix::Descriptor& fd, TransportEvents& events) {
  return new posix::Stream<Watch>{fd, events, *state_};
}

Loop::Loop() : state_(std::make_unique<State>()) {
  if (!state_->epoll || !control(state_->epoll, EPOLL_CTL_ADD, wake_up_fd(), wake_up))
    throw std::system_error(posix::last_error(), "epoll");
}

Loop::~Loop() = default;

int Loop::wait(int timeout) noexcept {
  return epoll_wait(state_->epoll.get(), state_->found.data(),
                    static_cast<int>(state_->found.size()), timeout);
}

void Loop::dispatch(int found) noexcept {
  State& state = *state_;
  bool is_foreign = false;
  state.has_ended = false;
  for (int i = 0; i < found && !is_stopped(); ++i) {
    const epoll_event& event = state.found[static_cast<std::size_t>(i)];
    if (event.data.u64 == wake_up.data.u64)
      woken();
    else if (Watch* const watch = state.find(event.data))
      watch->found(event.events);
    else if (!state.has_ended)
      is_foreign = true;
  }
  if (is_foreign) state.renew(wake_up_fd());
}

}  // namespace timtow::epoll
