// A loop in memory: no sockets, no threads, and a clock that is set by hand.
//
// A test holds the Peer of each connection: the other end of its stream. It says what the peer does
// (sends, ends, breaks, takes) and what the transport does (how much a write takes, or how it
// fails), and reads what came out. The loop is as unkind as the seam allows: what was read is gone
// when received() returns, a transport is gone when it is closed, and whatever the core may not do
// with it fails the test.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/event_log.hpp"
#include "support/wire.hpp"
#include "timtow/ip_address.hpp"
#include "timtow/loop.hpp"

// So that a failed comparison of logs shows them.
template <>
struct doctest::StringMaker<test::Lines> {
  static String convert(const test::Lines& lines) { return ('\n' + test::joined(lines)).c_str(); }
};

namespace test {

class FakeLoop;

inline constexpr std::size_t any_number = std::numeric_limits<std::size_t>::max();

class Peer {
 public:
  // -- How the transport behaves ------------------------------------------------------------------

  enum class Style {
    readiness,  // a write copies what fits, and is told when to try again
    completion  // write_later() borrows what it is shown, and tells how much of it went out
  };
  Style style = Style::readiness;
  std::size_t room = any_number;        // bytes that writes take before they block
  std::size_t write_size = any_number;  // bytes that one write takes at most
  std::size_t read_size = any_number;   // bytes that one read brings at most
  std::error_code write_error;          // what the next write fails with
  timtow::Endpoint address;

  // -- What the core did with it ------------------------------------------------------------------

  std::string written;  // what was taken and not yet read here
  int writes = 0;
  bool reads = true;  // as want_read() said last
  int pauses = 0;     // how often that became false
  bool shut_down = false;
  std::optional<timtow::How> closed;

  bool is_blocked() const { return blocked_; }
  bool was_opened() const { return events_ != nullptr; }

  // -- What the peer does -------------------------------------------------------------------------

  void sends(std::string_view bytes);
  void sends(unsigned opcode, std::string_view payload) { sends(client_frame(opcode, payload)); }
  // FIN, behind what was sent.
  void ends();
  // A close frame, and the end.
  void closes(unsigned code = 1000) {
    sends(opcode::close, close_payload(code));
    ends();
  }
  // RST: heard by the next read or write.
  void breaks(std::error_code cause = std::make_error_code(std::errc::connection_reset));
  // Takes so many bytes more than it has.
  void takes(std::size_t size);
  void takes_all() { takes(any_number); }
  // The opening handshake, whole.
  Peer& opens(std::string_view request = upgrade_request);

  // What came since the last call, read as frames ...
  Lines frames() { return OutputLog{timtow::Role::server, true}.read(std::exchange(written, {})); }
  // ... or the status line of the answer to a request, with the whole answer taken off.
  std::string status() {
    const std::string answer = std::exchange(written, {});
    return answer.substr(0, answer.find("\r\n"));
  }

 private:
  friend class FakeLoop;
  class Stream;

  explicit Peer(FakeLoop& loop) : loop_(loop) {}
  // Lets one event happen, if one is due.
  bool step();
  bool read_step();
  void take_now(const timtow::Gather& bytes, std::size_t size);

  FakeLoop& loop_;
  timtow::TransportEvents* events_ = nullptr;
  timtow::Transport* stream_ = nullptr;
  std::string inbox_;
  bool fin_ = false;
  bool end_told_ = false;
  std::error_code broken_;
  bool blocked_ = false;
  std::optional<timtow::Gather> shown_;  // completion: the write that is under way
};

// The Transport: separate, and deleted when it is closed, so that a late call does not pass.
class Peer::Stream final : public timtow::Transport {
 public:
  explicit Stream(Peer& peer) : peer_(peer) {}

  std::size_t write(const timtow::Gather& bytes, std::error_code& error) noexcept override {
    CHECK_MESSAGE(!peer_.blocked_, "write() before written()");
    CHECK_MESSAGE(!peer_.shut_down, "write() after shutdown_write()");
    CHECK_MESSAGE(!bytes.empty(), "write() of nothing");
    ++peer_.writes;
    if (peer_.broken_ || peer_.write_error) {
      error = peer_.write_error ? peer_.write_error : peer_.broken_;
      return 0;
    }
    if (peer_.style == Style::completion) return 0;
    const std::size_t size = std::min({bytes.size_bytes(), peer_.room, peer_.write_size});
    peer_.take_now(bytes, size);
    return size;
  }

  void write_later(const timtow::Gather& rest) noexcept override {
    CHECK_MESSAGE(!peer_.blocked_, "write_later() before written()");
    CHECK_MESSAGE(!rest.empty(), "write_later() of nothing");
    peer_.blocked_ = true;
    if (peer_.style == Style::completion) peer_.shown_ = rest;
  }

  void want_read(bool wanted) noexcept override {
    if (!wanted && peer_.reads) ++peer_.pauses;
    peer_.reads = wanted;
  }

  void shutdown_write() noexcept override {
    CHECK_MESSAGE(!peer_.shut_down, "shutdown_write() twice");
    CHECK_MESSAGE(!peer_.blocked_, "shutdown_write() with a write under way");
    peer_.shut_down = true;
  }

  timtow::Endpoint peer() const override { return peer_.address; }

  void close(timtow::How how) noexcept override {
    peer_.closed = how;
    peer_.stream_ = nullptr;
    delete this;
  }

 private:
  ~Stream() = default;

  Peer& peer_;
};

class FakeLoop final : public timtow::Loop {
 public:
  explicit FakeLoop(timtow::TimePoint start = timtow::Clock::now()) { set_time(start); }
  ~FakeLoop() override {
    for (const auto& peer : peers)
      CHECK_MESSAGE(peer->stream_ == nullptr, "a transport that was never closed");
    CHECK_MESSAGE(listeners_.empty(), "a listener that was never closed");
    CHECK_MESSAGE(pending_.empty(), "a connect() or resolve() that was neither told nor given up");
  }

  // -- What happens -------------------------------------------------------------------------------

  // A peer connects to the first listener.
  Peer& connects() {
    REQUIRE(!listeners_.empty());
    Peer& peer = make_peer();
    accept(peer);
    settle();
    return peer;
  }
  // The same for tests in which memory runs out: what belongs to the test was there before.
  void accept(Peer& peer) {
    const auto from = timtow::IpAddress::of_host(peer.address.host);
    const timtow::Bytes bytes = from ? std::as_bytes(std::span{from->bytes()}) : timtow::Bytes{};
    hand_over(peer, listeners_.front()->events.accepted(bytes));
  }

  // What resolve() finds, or fails with; while it waits, nothing is told.
  std::vector<timtow::Endpoint> addresses{{.host = "192.0.2.1", .port = 80, .path = {}}};
  timtow::Error resolve_error;
  bool resolve_waits = false;
  std::vector<timtow::Endpoint> resolved;  // what was looked up so far
  // The addresses that were connected to so far, and what becomes of each in turn: success for
  // those that are not named here.
  std::vector<timtow::Endpoint> connects_to;
  std::vector<std::error_code> connect_errors;
  bool connect_waits = false;
  // What has waited so far is told now.
  void waits_no_more() {
    for (Waiting* const each : pending_) each->waits = false;
  }
  std::function<void()> on_call;            // inside each connect() and resolve()
  std::function<void(Peer&)> on_connected;  // before the connection is opened
  timtow::ConnectEvents& connecting() { return *connecting_; }  // of the last connect()
  std::size_t pending() const { return pending_.size(); }
  // The same, with those that have been told but not been destroyed.
  std::size_t held() const { return held_; }

  // A peer whose socket is still to be adopted: its number.
  timtow::Socket connected_elsewhere() {
    make_peer();
    return static_cast<timtow::Socket>(peers.size() - 1);
  }
  Peer& make_peer() {
    peers.push_back(std::unique_ptr<Peer>{new Peer{*this}});
    peers.back()->address = peer_address;
    return *peers.back();
  }

  // Of those who connect from now on.
  timtow::Endpoint peer_address{.host = "192.0.2.7", .port = 4711, .path = {}};

  // Lets everything happen that is due, until nothing is.
  void settle() {
    if (settling_) return;
    settling_ = true;
    const std::unique_ptr<bool, void (*)(bool*)> settled{&settling_, [](bool* s) { *s = false; }};
    bool busy = true;
    while (busy) {
      busy = false;
      if (woken.exchange(0) != 0) {
        run_posted();
        busy = true;
      }
      busy = settle_pending() || busy;
      for (std::size_t i = 0; i < peers.size(); ++i) busy = peers[i]->step() || busy;
      if (alarm_at <= time_) {
        alarm_at = timtow::never;
        ++alarms;
        alarm();
        busy = true;
      }
    }
  }

  // Time passes, and the alarm rings when it should.
  void passes(timtow::Clock::duration time) {
    const timtow::TimePoint end = time_ + time;
    while (alarm_at > time_ && alarm_at < end) {
      set_time(alarm_at);
      settle();
    }
    set_time(end);
    settle();
  }
  // Time passes in which the loop does nothing, whatever its peers do. It then looks at its alarm
  // first, as some loops do.
  void is_held_up(
      timtow::Clock::duration time, const std::function<void()>& meanwhile = [] {}) {
    settling_ = true;
    meanwhile();
    settling_ = false;
    set_time(time_ + time);
    if (alarm_at <= time_) {
      alarm_at = timtow::never;
      ++alarms;
      alarm();
    }
    settle();
  }

  timtow::TimePoint time() const { return time_; }

  std::size_t descriptors = any_number;  // that the process may have
  std::size_t most_descriptors() const noexcept override { return descriptors; }

  // Fails the next listen() or adopt(), or the transport of the next connection.
  std::error_code fail_next;
  std::error_code fail_to_open;

  // -- What was done ------------------------------------------------------------------------------

  std::vector<std::unique_ptr<Peer>> peers;
  timtow::TimePoint alarm_at = timtow::never;
  int arms = 0;
  int alarms = 0;
  std::atomic<int> woken = 0;
  std::size_t listener_count() const { return listeners_.size(); }
  timtow::AcceptEvents& accept_events() { return listeners_.front()->events; }

  // -- Loop ---------------------------------------------------------------------------------------

  timtow::Listener* listen(const timtow::Endpoint& endpoint, timtow::AcceptEvents& events,
                           timtow::Error& error) override {
    if (fails(error)) return nullptr;
    listeners_.reserve(listeners_.size() + 1);
    listeners_.push_back(new Listening{*this, endpoint, events});
    if (endpoint.port == 0) listeners_.back()->where.port = 40'000;
    return listeners_.back();
  }

  timtow::Listener* adopt_listener(timtow::Socket, timtow::AcceptEvents& events,
                                   timtow::Error& error) override {
    return listen({.host = "adopted", .port = 1, .path = {}}, events, error);
  }

  timtow::Transport* adopt(timtow::Socket socket, timtow::TransportEvents& events,
                           timtow::Error& error) override {
    if (fails(error)) return nullptr;
    Peer& peer = *peers.at(static_cast<std::size_t>(socket));
    peer.events_ = &events;
    REQUIRE(open(peer));
    return peer.stream_;
  }

  std::unique_ptr<timtow::Pending> connect(const timtow::Endpoint& address,
                                           timtow::ConnectEvents& events,
                                           std::error_code& error) override {
    connects_to.push_back(address);
    if (on_call) on_call();
    if (fail_next) {
      error = std::exchange(fail_next, {});
      return nullptr;
    }
    const std::size_t turn = connects_to.size() - 1;
    const auto result = turn < connect_errors.size() ? connect_errors[turn] : std::error_code{};
    connecting_ = &events;
    return std::make_unique<Waiting>(*this, connect_waits, [this, &events, result] {
      if (result) return events.connect_failed(result);
      Peer& peer = make_peer();
      if (on_connected) on_connected(peer);
      peer.written.reserve(1000);  // here memory may run out; in a write it must not
      hand_over(peer, events.connected());
    });
  }

  std::unique_ptr<timtow::Pending> resolve(const timtow::Endpoint& name,
                                           timtow::ResolveEvents& events) override {
    resolved.push_back(name);
    if (on_call) on_call();
    return std::make_unique<Waiting>(*this, resolve_waits, [this, &events] {
      events.resolved(resolve_error ? std::vector<timtow::Endpoint>{} : addresses, resolve_error);
    });
  }

  // For tests with threads: calls what they post.
  void run() override {
    while (!stopped_) {
      {
        std::unique_lock lock{mutex_};
        wakes_.wait(lock, [this] { return woken != 0; });
        woken = 0;
      }
      run_posted();
    }
    stopped_ = false;
  }
  void stop() noexcept override { stopped_ = true; }

 private:
  struct Listening final : timtow::Listener {
    Listening(FakeLoop& on, timtow::Endpoint endpoint, timtow::AcceptEvents& whom)
        : loop(on), where(std::move(endpoint)), events(whom) {}
    timtow::Endpoint endpoint() const override { return where; }
    void want_accept(bool) noexcept override {}
    void close() noexcept override {
      std::erase(loop.listeners_, this);
      delete this;
    }
    FakeLoop& loop;
    timtow::Endpoint where;
    timtow::AcceptEvents& events;
  };

  // What connect() and resolve() return: gone from the loop's list when it is told or given up.
  struct Waiting final : timtow::Pending {
    Waiting(FakeLoop& on, bool forever, std::function<void()> what)
        : loop(on), waits(forever), tell(std::move(what)) {
      loop.pending_.push_back(this);
      ++loop.held_;
    }
    ~Waiting() override {
      std::erase(loop.pending_, this);
      --loop.held_;
    }
    FakeLoop& loop;
    bool waits;
    std::function<void()> tell;
  };

  bool settle_pending() {
    const auto found = std::find_if(pending_.begin(), pending_.end(),
                                    [](const Waiting* each) { return !each->waits; });
    if (found == pending_.end()) return false;
    const auto tell = std::move((*found)->tell);  // which may destroy it
    pending_.erase(found);
    tell();
    return true;
  }

  void arm(timtow::TimePoint at) noexcept override {
    // Not a CHECK, which takes memory, and there may be none just now.
    if (at == alarm_at) FAIL_CHECK("arm() for the time that is armed already");
    ++arms;
    alarm_at = at;
  }
  void wake() noexcept override {
    const std::lock_guard lock{mutex_};
    ++woken;
    wakes_.notify_one();
  }

  void hand_over(Peer& peer, timtow::TransportEvents* events) {
    peer.events_ = events;
    if (events != nullptr && !fail_to_open && open(peer)) return events->opened(*peer.stream_);
    peer.closed = timtow::How::abortive;
    if (events != nullptr)
      events->failed(fail_to_open ? std::exchange(fail_to_open, {})
                                  : std::make_error_code(std::errc::not_enough_memory));
  }
  static bool open(Peer& peer) {
    peer.stream_ = new (std::nothrow) Peer::Stream{peer};
    return peer.stream_ != nullptr;
  }

  bool fails(timtow::Error& error) {
    if (!fail_next) return false;
    error = {std::exchange(fail_next, {}), "as the test said"};
    return true;
  }
  void set_time(timtow::TimePoint time) {
    time_ = time;
    keep_time(time);
  }

  timtow::TimePoint time_;
  bool settling_ = false;
  std::vector<Listening*> listeners_;
  std::vector<Waiting*> pending_;
  std::size_t held_ = 0;
  timtow::ConnectEvents* connecting_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wakes_;
  bool stopped_ = false;
};

inline void Peer::take_now(const timtow::Gather& bytes, std::size_t size) {
  if (room != any_number) room -= size;
  for (std::size_t i = 0; size > 0; ++i) {
    const timtow::Bytes part = bytes[i].first(std::min(size, bytes[i].size()));
    written += timtow::as_text(part);
    size -= part.size();
  }
}

inline bool Peer::step() {
  if (stream_ == nullptr) return false;
  if (blocked_ && (room > 0 || broken_)) {
    blocked_ = false;
    if (style == Style::readiness) {
      events_->written(0);
      return true;
    }
    const timtow::Gather bytes = *std::exchange(shown_, std::nullopt);
    const std::size_t size = std::min({bytes.size_bytes(), room, write_size});
    take_now(bytes, size);
    broken_ ? events_->failed(broken_) : events_->written(size);
    return true;
  }
  return reads && !end_told_ && read_step();
}

inline bool Peer::read_step() {
  if (broken_) {
    end_told_ = true;
    events_->failed(broken_);
    return true;
  }
  if (inbox_.empty()) {
    if (!fin_) return false;
    end_told_ = true;
    events_->ended();
    return true;
  }
  const timtow::MutableBytes space = events_->read_space();
  CHECK_MESSAGE(!space.empty(), "a read into nothing");
  const std::size_t size = std::min({space.size(), inbox_.size(), read_size});
  std::memcpy(space.data(), inbox_.data(), size);
  inbox_.erase(0, size);
  const auto at = space.data() - loop_.scratch().data();  // if it is there
  const bool is_scratch = at >= 0 && static_cast<std::size_t>(at) < loop_.scratch().size();
  events_->received(space.first(size));
  if (is_scratch) std::memset(loop_.scratch().data() + at, 0xEE, size);
  return true;
}

inline void Peer::sends(std::string_view bytes) {
  inbox_ += bytes;
  loop_.settle();
}
inline void Peer::ends() {
  fin_ = true;
  loop_.settle();
}
inline void Peer::breaks(std::error_code cause) {
  broken_ = cause;
  loop_.settle();
}
inline void Peer::takes(std::size_t size) {
  room = size == any_number ? any_number : room + size;
  loop_.settle();
}
inline Peer& Peer::opens(std::string_view request) {
  sends(request);
  CHECK(status() == "HTTP/1.1 101 Switching Protocols");
  return *this;
}

}  // namespace test
