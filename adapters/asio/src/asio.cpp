// A watch waits with async_wait() and reads by itself, which costs an epoll_ctl() a wait. Asio's
// own reads cost as much, a read that finds nothing, and hold their buffer while they wait.
#include "timtow/asio.hpp"

#include <poll.h>

#include <array>
#include <asio/bind_allocator.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <atomic>
#include <cstddef>
#include <new>
#include <system_error>
#include <utility>

#include "timtow/posix/stream.hpp"

namespace timtow::asio {
namespace {

using Executor = ::asio::io_context::executor_type;
using StreamDescriptor = ::asio::posix::stream_descriptor::rebind_executor<Executor>::other;
using SteadyTimer = ::asio::steady_timer::rebind_executor<Executor>::other;

// Where one operation of Asio's lives at a time: to start the next takes no memory and cannot fail.
class Place {
 public:
  template <typename Function>
  auto bind(Function function) noexcept {
    return ::asio::bind_allocator(Allocator<char>{*this}, std::move(function));
  }

 private:
  template <typename T>
  struct Allocator {
    using value_type = T;  // NOLINT(readability-identifier-naming): allocators have that

    explicit Allocator(Place& its) noexcept : place(&its) {}
    template <typename Other>
    // NOLINTNEXTLINE(google-explicit-constructor): and are made of one another
    Allocator(const Allocator<Other>& other) noexcept : place(other.place) {}
    bool operator==(const Allocator&) const = default;

    T* allocate(std::size_t count) {
      if (count * sizeof(T) > sizeof bytes_) throw std::bad_alloc{};
      return reinterpret_cast<T*>(place->bytes_.data());
    }
    void deallocate(T*, std::size_t) noexcept {}

    Place* place;
  };

  alignas(void*) std::array<std::byte, 96> bytes_;
};

}  // namespace

// Shared by the loop and the operations that it has started, which may end after it.
struct Loop::State : std::enable_shared_from_this<State> {
  State(::asio::io_context& its_io, Loop& its_loop) : io(its_io), loop(&its_loop), timer(io) {}

  void set_timer() noexcept {
    timer_is_set = true;
    const auto handler = [this] {
      return timer_place.bind([self = shared_from_this()](const auto&...) { self->timer_ended(); });
    };
    try {
      timer.expires_at(alarm);
      timer.async_wait(handler());
    } catch (const std::bad_alloc&) {
      ::asio::post(io, handler());  // no memory for Asio's heap of timers: tried again
    }
  }

  void timer_ended() noexcept {
    timer_is_set = false;
    if (loop == nullptr || alarm == never) return;
    if (Clock::now() < alarm) return set_timer();
    alarm = never;
    loop->alarm();
  }

  ::asio::io_context& io;
  Loop* loop;  // null when it is gone
  SteadyTimer timer;
  Place timer_place;
  bool timer_is_set = false;
  TimePoint alarm = never;
  Place wake_place;
  std::atomic<bool> is_woken = false;
};

// Shared by a watch and the waits that it has started, which may end after it.
struct Loop::Waits {
  Waits(Watch& its, ::asio::io_context& io, int fd) : watch(&its), descriptor(io, fd) {}

  Watch* watch;  // null when it is gone
  StreamDescriptor descriptor;
  Place read{};
  Place write{};
};

class Loop::Watch : public posix::Watcher {
 public:
  Watch(::asio::io_context& io, int fd, posix::Interest wanted)
      : Watcher(fd, wanted), waits_(std::make_shared<Waits>(*this, io, fd)) {
    Watch::changed();
  }

  ~Watch() override {
    waits_->watch = nullptr;
    waits_->descriptor.release();
  }

 private:
  void changed() noexcept override {
    start<posix::Interest::write>();
    start<posix::Interest::read>();
  }

  template <posix::Interest what>
  void start() noexcept {
    if (has(under_way_, what) || !has(wanted(), what)) return;
    under_way_ = under_way_ | what;
    constexpr bool reads = what == posix::Interest::read;
    Place& place = reads ? waits_->read : waits_->write;
    waits_->descriptor.async_wait(
        reads ? StreamDescriptor::wait_read : StreamDescriptor::wait_write,
        place.bind([waits = waits_](const auto&) {
          if (waits->watch != nullptr && (reads || waits->watch->is_writable()))
            waits->watch->tell(what);
          if (waits->watch != nullptr) waits->watch->start_again<what>();
        }));
  }

  template <posix::Interest what>
  void start_again() noexcept {
    under_way_ = under_way_ - what;
    start<what>();
  }

  // Asio may tell a new descriptor what it has found of one that is gone. Reading finds that out by
  // itself; connecting would seem done.
  bool is_writable() const noexcept {
    pollfd polled{.fd = fd(), .events = POLLOUT, .revents = 0};
    return ::poll(&polled, 1, 0) > 0;
  }

  std::shared_ptr<Waits> waits_;
  posix::Interest under_way_ = posix::Interest::none;
};

Loop::Loop()
    : own_io_(std::make_unique<::asio::io_context>(1)),
      state_(std::make_shared<State>(*own_io_, *this)) {}

Loop::Loop(::asio::io_context& io) : state_(std::make_shared<State>(io, *this)) {}

Loop::~Loop() {
  state_->loop = nullptr;
  state_->timer.cancel();
}

std::unique_ptr<posix::Watcher> Loop::watch(int fd, posix::Interest wanted, posix::Ready& whom) {
  return std::make_unique<posix::Telling<Watch>>(whom, state_->io, fd, wanted);
}

Transport* Loop::make_transport(posix::Descriptor& fd, TransportEvents& events) {
  return new posix::Stream<Watch>{fd, events, state_->io};
}

void Loop::arm(TimePoint at) noexcept {
  state_->alarm = at;
  if (state_->timer_is_set)
    state_->timer.cancel();  // and set again when that is told
  else if (at != never)
    state_->set_timer();
}

void Loop::wake() noexcept {
  if (state_->is_woken.exchange(true)) return;
  ::asio::post(state_->io, state_->wake_place.bind([state = state_] {
    state->is_woken = false;
    if (state->loop != nullptr) state->loop->run_posted();
  }));
}

void Loop::stop() noexcept { state_->io.stop(); }

void Loop::run() {
  const auto work = ::asio::make_work_guard(state_->io);
  state_->io.restart();
  state_->io.run();
}

}  // namespace timtow::asio
