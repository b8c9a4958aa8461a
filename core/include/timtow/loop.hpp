// The seam between the core and an event loop: what an adapter provides, and what it is told.
//
// An adapter derives Loop, Transport and Listener, and calls the ...Events of the core. The rules:
// - Everything happens on the loop's thread. post() alone may be called from any thread.
// - Every operation may be called from inside every event, close() included. No event is called
//   from inside an operation.
// - Where a call takes a std::error_code& or Error&, that is set on failure and left alone
//   otherwise.
// - Events do not throw.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <system_error>
#include <vector>

#include "timtow/bytes.hpp"
#include "timtow/endpoint.hpp"
#include "timtow/error.hpp"
#include "timtow/pool.hpp"
#include "timtow/time.hpp"
#include "timtow/timer.hpp"

namespace timtow {

// A socket as the system names it.
using Socket = int;

class Loop;
class Security;
class Transport;

// What the core wants to hear of a transport.
class TransportEvents {
 public:
  // It is connected. Called once, as the first, unless adopt() made the transport.
  virtual void opened(Transport& transport) noexcept = 0;
  // Where the next read goes; never empty. Asked directly before a read, and valid until received()
  // or until this event returns to the loop.
  virtual MutableBytes read_space() noexcept = 0;
  // What was read. The bytes are the core's to change until it returns.
  virtual void received(MutableBytes bytes) noexcept = 0;
  // The peer has sent all it will send. Writing goes on. Nothing more is received.
  virtual void ended() noexcept = 0;
  // What write_later() asked for: so many bytes of the rest are taken (0 where the loop only tells
  // that there is room), and write() may be called again.
  virtual void written(std::size_t taken) noexcept = 0;
  // The stream is broken, or (before opened()) never came to be. The core answers with close(), if
  // it was opened.
  virtual void failed(std::error_code cause) noexcept = 0;

 protected:
  ~TransportEvents() = default;
};

enum class How {
  graceful,  // what was taken is still delivered, then FIN
  abortive   // RST; what was taken may be lost
};

// One connected byte stream. Its adapter owns it, from its making until close().
class Transport {
 public:
  // Takes what it can at once, and returns how many bytes that is; it keeps no view of them. An
  // error means that the stream is broken. A loop that can only start operations takes none.
  virtual std::size_t write(const Gather& bytes, std::error_code& error) noexcept = 0;
  // After a write() that did not take all: asks for written(), once. `rest` is what waits, and
  // stays where it is until written() has told that it is taken, for loops that write by
  // themselves. Until then neither of the two is called again.
  virtual void write_later(const Gather& rest) noexcept = 0;
  // Whether received() is welcome; at first it is. Idempotent.
  virtual void want_read(bool wanted) noexcept = 0;
  // FIN, after what was taken. Called at most once, with no write under way.
  virtual void shutdown_write() noexcept = 0;
  // The other end: its address and port, or the path of a Unix socket, whose client mostly has
  // none: then ours. Empty where the system does not tell, as when the peer is gone. Throws
  // std::bad_alloc.
  virtual Endpoint peer() const = 0;
  // Ends the stream and the Transport. No event comes after this.
  virtual void close(How how) noexcept = 0;
  // What secures the stream (security.hpp); null of a plain one, as every adapter's is.
  virtual const Security* security() const noexcept { return nullptr; }

 protected:
  ~Transport() = default;
};

class AcceptEvents {
 public:
  // A peer has connected, from this address: 4 bytes of IPv4, 16 of IPv6, the most significant
  // first; none of a Unix socket. Returns whom to tell, opened() first; null to close it unseen.
  virtual TransportEvents* accepted(Bytes address) noexcept = 0;
  // Accepting failed. Where descriptors or memory ran out, the adapter pauses and goes on by
  // itself.
  virtual void accept_failed(const Error& error) noexcept = 0;

 protected:
  ~AcceptEvents() = default;
};

// One listening socket. Its adapter owns it, until close().
class Listener {
 public:
  // Where it listens, with the port that port 0 became.
  virtual Endpoint endpoint() const = 0;
  // Whether accepted() is welcome; at first it is. Idempotent.
  virtual void want_accept(bool wanted) noexcept = 0;
  virtual void close() noexcept = 0;

 protected:
  ~Listener() = default;
};

// What the core wants to hear of an attempt to connect: one of the two, once.
class ConnectEvents {
 public:
  // Returns whom to tell, opened() first; null to close it unseen.
  virtual TransportEvents* connected() noexcept = 0;
  virtual void connect_failed(std::error_code cause) noexcept = 0;

 protected:
  ~ConnectEvents() = default;
};

// What the core wants to hear of a name that is looked up.
class ResolveEvents {
 public:
  // The addresses, in the order in which to try them, each an Endpoint whose host is no name. At
  // least one, or an error.
  virtual void resolved(std::vector<Endpoint> addresses, const Error& error) noexcept = 0;

 protected:
  ~ResolveEvents() = default;
};

// Something under way. Destroying it gives it up: nothing is told of it any more. It may be
// destroyed inside the event that tells how it went, and must be before its loop.
class Pending {
 public:
  Pending() = default;
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  virtual ~Pending() = default;
};

// Something that has work to do once the event at hand has been dealt with.
class Deferred {
 public:
  Deferred() = default;
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;

 protected:
  ~Deferred() = default;

 private:
  friend class Loop;
  virtual void run_deferred() noexcept = 0;

  Deferred* next_ = nullptr;  // itself: the last one; null: not queued
};

// Who holds connections of a loop, and gives back memory when that runs short.
class MemoryHolder {
 public:
  MemoryHolder(const MemoryHolder&) = delete;
  MemoryHolder& operator=(const MemoryHolder&) = delete;

 protected:
  explicit MemoryHolder(Loop& loop) noexcept;
  ~MemoryHolder();

 private:
  friend class Loop;
  // Bytes that its largest connection holds.
  virtual std::size_t largest() const noexcept = 0;
  // Ends connections that hold at least so much, until that is `wanted` bytes: returns how many.
  virtual std::size_t shed(std::size_t size, std::size_t wanted) noexcept = 0;

  Loop& loop_;
  MemoryHolder* next_;
};

class Loop : private Strain, private Deferred {
 public:
  virtual ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // -- What an adapter provides -----------------------------------------------------------------

  // Listens; null and an Error if that cannot be done.
  virtual Listener* listen(const Endpoint& endpoint, AcceptEvents& events, Error& error) = 0;
  // Takes over a socket that listens already.
  virtual Listener* adopt_listener(Socket socket, AcceptEvents& events, Error& error) = 0;
  // Takes over a connected socket. On failure it is still the caller's.
  virtual Transport* adopt(Socket socket, TransportEvents& events, Error& error) = 0;
  // Starts to connect to an address, or to the path of a Unix socket; the host is no name. Null and
  // an error if that cannot even be started.
  virtual std::unique_ptr<Pending> connect(const Endpoint& address, ConnectEvents& events,
                                           std::error_code& error) = 0;
  // Looks up the addresses of a host, without waiting for them.
  virtual std::unique_ptr<Pending> resolve(const Endpoint& name, ResolveEvents& events) = 0;
  // Runs until stop(). For a loop that the application runs itself, that is not needed.
  virtual void run() = 0;
  // Makes run() return soon. From the loop's thread, or post()ed, while run() is under way.
  virtual void stop() noexcept = 0;
  // How many descriptors the process may have; the largest number where that is not known.
  virtual std::size_t most_descriptors() const noexcept {
    return std::numeric_limits<std::size_t>::max();
  }

  // -- What an application uses -----------------------------------------------------------------

  // Calls the function on the loop's thread, in order, soon. Safe from any thread. What is posted
  // to a loop that runs no more is never called.
  void post(std::function<void()> function);

  // Bytes that all connections of this loop may use together: for what they gather, decompress, and
  // have not sent yet, and for TLS; at first 1 GiB. Over seven eighths of that no new connection is
  // let in, and those that hold most are ended, with 1013 and errc::memory_budget, until enough is
  // free; never beyond it: then whoever asks for more is ended, with errc::no_memory.
  void limit_memory(std::size_t bytes) noexcept { pool_.limit(bytes, this); }

  // The time at which the event at hand came.
  TimePoint now() const noexcept { return now_; }

  // -- What the core uses -----------------------------------------------------------------------

  // Around everything that may change a connection: when the outermost ends, what was deferred is
  // done, so that all that was sent to a connection leaves in one write.
  class Batch {
   public:
    explicit Batch(Loop& loop) noexcept : loop_(loop) {
      if (loop_.depth_++ == 0 && !loop_.keeps_time_) loop_.now_ = Clock::now();
    }
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;
    [[gnu::always_inline]] ~Batch() {
      const bool is_due = loop_.first_deferred_ != nullptr || loop_.timers_.next() != loop_.armed_;
      if (loop_.depth_ == 1 && is_due) loop_.finish_batch();
      --loop_.depth_;
    }

   private:
    Loop& loop_;
  };

  void defer(Deferred& deferred) noexcept;

  TimerQueue& timers() noexcept { return timers_; }
  Pool& pool() noexcept { return pool_; }
  // Where reads go that nobody wants elsewhere; valid until the next event.
  MutableBytes scratch() noexcept { return scratch_->bytes; }
  // The message that the handler at hand was called with, if any.
  void show(const std::byte* payload) noexcept { shown_ = payload; }
  // Whether this is that message, and stays where it is until the event is over, with so many bytes
  // in front of it that were read with it. (It may have been read without its header.) True once.
  bool stays(Bytes payload, std::size_t in_front) noexcept;
  // Inside of due(): whether the loop was held up, by a handler that took long or by the system
  // that let others run, so that what has come since is still to be read. Who ends something for
  // its silence gives it `hearing` first, once.
  bool was_held_up() const noexcept { return was_held_up_; }
  static constexpr Duration hearing = std::chrono::seconds{1};
  // Where the result of a write goes, so that nobody has to make one for each.
  std::error_code& write_error() noexcept { return write_error_; }

 protected:
  Loop();

  // -- What an adapter provides, and calls ------------------------------------------------------

  // The one alarm: call alarm() once, at `at` or soon after, never before. It replaces the one
  // before; `never` cancels it.
  virtual void arm(TimePoint at) noexcept = 0;
  // Makes the loop's thread call run_posted() soon. Called from any thread.
  virtual void wake() noexcept = 0;

  void alarm() noexcept;
  void run_posted() noexcept;
  // For adapters that see each wake-up themselves: sets the time for all its events, which then
  // need not read the clock one by one.
  void keep_time(TimePoint now) noexcept {
    keeps_time_ = true;
    now_ = now;
  }
  void keep_no_time() noexcept { keeps_time_ = false; }

 private:
  friend class MemoryHolder;

  void finish_batch() noexcept;
  void strained() noexcept override;
  void run_deferred() noexcept override;

  Pool pool_;
  struct alignas(fast_to_read) Scratch {
    // As much as a socket usually holds: what has come is read at once.
    std::array<std::byte, 256UL * 1024> bytes;
  };
  std::unique_ptr<Scratch> scratch_;
  const std::byte* shown_ = nullptr;
  std::error_code write_error_;
  TimerQueue timers_;
  TimePoint armed_ = never;
  TimePoint now_;
  bool keeps_time_ = false;
  bool was_held_up_ = false;
  unsigned depth_ = 0;
  Deferred* first_deferred_ = nullptr;
  Deferred* last_deferred_ = nullptr;
  MemoryHolder* holders_ = nullptr;

  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
};

}  // namespace timtow
