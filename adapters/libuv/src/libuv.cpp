#include "timtow/libuv.hpp"

#include <uv.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <system_error>

namespace timtow::libuv {
namespace {

std::error_code error_of(long result) noexcept {
  return {static_cast<int>(-result), std::system_category()};
}

void check(int result) {
  if (result < 0) throw std::system_error(error_of(result), "libuv");
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
template <typename Native, typename Init, typename... Arguments>
Handle<Native> make_handle(void* data, Init init, uv_loop_t* loop, Arguments... arguments) {
  auto handle = std::make_unique<Native>();
  check(init(loop, handle.get(), arguments...));
  handle->data = data;
  return Handle<Native>{handle.release()};
}

// What uv_write() is given at once: it tells when all of it is gone, and until then the core cannot
// see that the peer takes any.
constexpr std::size_t most_under_way = 64 * 1024;

// libuv reads by itself, and writes by itself what the system did not take at once.
class Stream final : public Transport {
 public:
  Stream(uv_loop_t* loop, TransportEvents& events) : events_(events) {
    check(uv_tcp_init(loop, &tcp_));
    tcp_.data = this;
  }

  // Takes the descriptor over unless that fails. Of a Unix socket too.
  int open(posix::Descriptor& fd) noexcept {
    const int result = uv_tcp_open(&tcp_, fd.get());
    if (result == 0) fd_ = fd.release();
    want_read(result == 0);
    return result;
  }

  // As uv_try_write(), but that raises SIGPIPE.
  std::size_t write(const Gather& bytes, std::error_code& error) noexcept override {
    const std::size_t taken = posix::write_some(fd_, bytes, error);
    if (taken < bytes.size_bytes() && !error) {
      // What write_later() needs is got here, where a failure can be told.
      write_.reset(new (std::nothrow) uv_write_t);
      if (!write_) error = make_error_code(errc::no_memory);
    }
    return taken;
  }

  void write_later(const Gather& rest) noexcept override {
    under_way_ = std::min(rest.front().size(), most_under_way);
    auto* const bytes = reinterpret_cast<const char*>(rest.front().data());
    const uv_buf_t buffer{const_cast<char*>(bytes), under_way_};
    uv_write(write_.get(), stream(), &buffer, 1, on_written);
  }

  void want_read(bool wanted) noexcept override {
    wanted && !ended_ ? uv_read_start(stream(), on_room, on_read) : uv_read_stop(stream());
  }

  // uv_shutdown() waits for writes first, of which there are none.
  void shutdown_write() noexcept override { shutdown(fd_, SHUT_WR); }

  Endpoint peer() const override { return posix::peer_endpoint(fd_); }

  void close(How how) noexcept override {
    if (how == How::abortive) posix::reset_on_close(fd_);
    uv_close(handle(), [](uv_handle_t* closed) { delete static_cast<Stream*>(closed->data); });
  }

 private:
  ~Stream() = default;

  uv_handle_t* handle() noexcept { return reinterpret_cast<uv_handle_t*>(&tcp_); }
  uv_stream_t* stream() noexcept { return reinterpret_cast<uv_stream_t*>(&tcp_); }

  static void on_room(uv_handle_t* handle, std::size_t, uv_buf_t* room) {
    const MutableBytes space = static_cast<Stream*>(handle->data)->events_.read_space();
    *room = {reinterpret_cast<char*>(space.data()), space.size()};
  }

  static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* room) {
    Stream& us = *static_cast<Stream*>(stream->data);
    auto* const bytes = reinterpret_cast<std::byte*>(room->base);
    if (count > 0) return us.events_.received({bytes, static_cast<std::size_t>(count)});
    if (count == 0) return;  // there was nothing after all
    us.ended_ = true;
    us.want_read(false);
    count == UV_EOF ? us.events_.ended() : us.events_.failed(error_of(count));
  }

  static void on_written(uv_write_t* write, int status) {
    Stream& us = *static_cast<Stream*>(write->handle->data);
    if (uv_is_closing(us.handle())) return;
    us.write_.reset();
    status == 0 ? us.events_.written(us.under_way_) : us.events_.failed(error_of(status));
  }

  TransportEvents& events_;
  int fd_ = -1;  // the stream's
  bool ended_ = false;
  std::size_t under_way_ = 0;          // bytes that uv_write() has
  std::unique_ptr<uv_write_t> write_;  // while a peer does not take what it is sent
  uv_tcp_t tcp_;
};

// For listeners, and for connections that are not made yet. uv_listen() would not do: without
// descriptors it accepts those who wait, drops them, and says nothing.
class Watch : public posix::Watcher {
 public:
  Watch(uv_loop_t* loop, int fd, posix::Interest wanted)
      : Watcher(fd, wanted), poll_(make_handle<uv_poll_t>(this, uv_poll_init, loop, fd)) {
    Watch::changed();
  }

 private:
  void changed() noexcept override {
    uv_poll_start(poll_.get(), posix::flags_of(wanted(), UV_READABLE, UV_WRITABLE), found);
  }

  static void found(uv_poll_t* poll, int status, int events) {
    const auto now = posix::interest_in(events, UV_READABLE, UV_WRITABLE);
    static_cast<Watch*>(poll->data)->tell(status < 0 ? posix::Interest::both : now);
  }

  Handle<uv_poll_t> poll_;
};

}  // namespace

struct Loop::State {
  explicit State(uv_loop_t* lent) : loop(lent == nullptr ? &own : lent) {
    if (loop != &own) return;
    posix::require_descriptors(4);  // or libuv loses one
    check(uv_loop_init(&own));
  }
  State(Loop& us, uv_loop_t* lent) : State(lent) {
    posix::ignore_sigpipe();  // uv_write() raises it when the peer is gone
    wake_up = make_handle<uv_async_t>(&us, uv_async_init, loop, on_wake_up);
    uv_unref(reinterpret_cast<uv_handle_t*>(wake_up.get()));
    alarm = make_handle<uv_timer_t>(&us, uv_timer_init, loop);
  }
  ~State() {
    wake_up.reset();
    alarm.reset();
    // Until the last handle is closed.
    while (loop == &own && uv_loop_close(&own) == UV_EBUSY) uv_run(&own, UV_RUN_NOWAIT);
  }

  static void on_wake_up(uv_async_t* wake_up) { static_cast<Loop*>(wake_up->data)->run_posted(); }
  static void on_alarm(uv_timer_t* alarm) { static_cast<Loop*>(alarm->data)->alarm(); }

  uv_loop_t own;  // unless the loop is the application's
  uv_loop_t* const loop;
  Handle<uv_async_t> wake_up;
  Handle<uv_timer_t> alarm;
};

Loop::Loop() : state_(std::make_unique<State>(*this, nullptr)) {}

Loop::Loop(uv_loop_s& loop) : state_(std::make_unique<State>(*this, &loop)) {}

Loop::~Loop() = default;

std::unique_ptr<posix::Watcher> Loop::watch(int fd, posix::Interest wanted, posix::Ready& whom) {
  return std::make_unique<posix::Telling<Watch>>(whom, state_->loop, fd, wanted);
}

Transport* Loop::make_transport(posix::Descriptor& fd, TransportEvents& events) {
  auto* const stream = new Stream{state_->loop, events};
  const int result = stream->open(fd);
  if (result != 0) stream->close(How::graceful);
  check(result);
  return stream;
}

void Loop::arm(TimePoint at) noexcept {
  using std::chrono::milliseconds;
  if (at == never) {
    uv_timer_stop(state_->alarm.get());
    return;
  }
  // libuv's clock is cached, and rounded down: one more keeps the alarm from being early. It also
  // leaves the sockets their turn, for libuv calls timers until none is due.
  uv_update_time(state_->loop);
  const auto left = std::chrono::ceil<milliseconds>(std::max(at - Clock::now(), Duration{0}));
  uv_timer_start(state_->alarm.get(), State::on_alarm, static_cast<std::uint64_t>(left.count()) + 1,
                 0);
}

void Loop::wake() noexcept { uv_async_send(state_->wake_up.get()); }

void Loop::stop() noexcept { uv_stop(state_->loop); }

void Loop::run() {
  auto* const wake_up = reinterpret_cast<uv_handle_t*>(state_->wake_up.get());
  uv_ref(wake_up);
  uv_run(state_->loop, UV_RUN_DEFAULT);
  uv_unref(wake_up);
}

}  // namespace timtow::libuv
