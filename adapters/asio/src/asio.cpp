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
#include <memory_resource>
#include <new>
#include <system_error>
#include <utility>

namespace timtow::asio {
namespace {

using Executor = ::asio::io_context::executor_type;
using StreamDescriptor = ::asio::posix::stream_descriptor::rebind_executor<Executor>::other;
using SteadyTimer = ::asio::steady_timer::rebind_executor<Executor>::other;

// Where one operation of Asio's lives at a time: to start the next takes no memory and cannot fail.
class Place final : public std::pmr::memory_resource {
 public:
  template <typename Function>
  auto bind(Function function) noexcept {
    return ::asio::bind_allocator(std::pmr::polymorphic_allocator<>{this}, std::move(function));
  }

 private:
  void* do_allocate(std::size_t size, std::size_t) override {
    return size <= bytes_.size() ? bytes_.data() : throw std::bad_alloc{};
  }
  void do_deallocate(void*, std::size_t, std::size_t) override {}
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  alignas(std::max_align_t) std::array<std::byte, 128> bytes_;
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
struct Loop::Waits : std::enable_shared_from_this<Waits> {
  struct Wait {
    bool posix::Interest::*what;
    StreamDescriptor::wait_type type;
    Place place{};
    bool is_under_way = false;
  };

  Waits(::asio::io_context& io, int fd, posix::Ready& its_ready)
      : descriptor(io, fd), ready(its_ready) {}

  void start(Wait& wait) noexcept {
    if (wait.is_under_way || !(interest.*wait.what)) return;
    wait.is_under_way = true;
    const auto handler = [self = shared_from_this(), &wait](const auto&) { self->ended(wait); };
    descriptor.async_wait(wait.type, wait.place.bind(handler));
  }

  void ended(Wait& wait) noexcept {
    posix::Interest now;
    now.*wait.what = interest.*wait.what;
    if (now.read || (now.write && is_writable())) ready.ready(now);
    wait.is_under_way = false;
    start(wait);
  }

  // Asio may tell a new descriptor what it has found of one that is gone. Reading finds that out by
  // itself; connecting would seem done.
  bool is_writable() noexcept {
    pollfd polled{.fd = descriptor.native_handle(), .events = POLLOUT, .revents = 0};
    return ::poll(&polled, 1, 0) > 0;
  }

  StreamDescriptor descriptor;
  posix::Ready& ready;
  posix::Interest interest;  // none when the watch is gone
  Wait read{&posix::Interest::read, StreamDescriptor::wait_read};
  Wait write{&posix::Interest::write, StreamDescriptor::wait_write};
};

class Loop::Watch final : public posix::Watcher {
 public:
  Watch(::asio::io_context& io, int fd, posix::Interest interest, posix::Ready& ready)
      : waits_(std::make_shared<Waits>(io, fd, ready)) {
    Watch::want(interest);
  }

  ~Watch() override {
    waits_->interest = {};
    waits_->descriptor.release();
  }

  void want(posix::Interest interest) noexcept override {
    waits_->interest = interest;
    waits_->start(waits_->write);
    waits_->start(waits_->read);
  }

 private:
  std::shared_ptr<Waits> waits_;
};

Loop::Loop()
    : own_io_(std::make_unique<::asio::io_context>(1)),
      state_(std::make_shared<State>(*own_io_, *this)) {}

Loop::Loop(::asio::io_context& io) : state_(std::make_shared<State>(io, *this)) {}

Loop::~Loop() {
  state_->loop = nullptr;
  state_->timer.cancel();
}

std::unique_ptr<posix::Watcher> Loop::watch(int fd, posix::Interest interest, posix::Ready& ready) {
  return std::make_unique<Watch>(state_->io, fd, interest, ready);
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
