// What loops that tell "this descriptor is ready" have in common: everything but the telling.
//
// An adapter derives ReadinessLoop and says how its loop watches a descriptor; listening,
// accepting, connecting, reading, writing and closing are here, once.
#pragma once

#include <cstdint>
#include <memory>

#include "timtow/loop.hpp"
#include "timtow/posix/socket.hpp"

namespace timtow::posix {

// What is wanted of a descriptor, or can be done with it: a set.
enum class Interest : std::uint8_t { none, read, write, both };

constexpr Interest interest_in(bool reading, bool writing) noexcept {
  return static_cast<Interest>((reading ? 1U : 0U) | (writing ? 2U : 0U));
}
constexpr Interest operator|(Interest a, Interest b) noexcept {
  return static_cast<Interest>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr Interest operator&(Interest a, Interest b) noexcept {
  return static_cast<Interest>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
constexpr Interest operator-(Interest a, Interest b) noexcept {
  return static_cast<Interest>(static_cast<unsigned>(a) & ~static_cast<unsigned>(b));
}
constexpr bool has(Interest set, Interest what) noexcept { return (set & what) != Interest::none; }

// To and from a loop's own flags: those that it has for reading, and for writing.
constexpr int flags_of(Interest set, int reading, int writing) noexcept {
  return (has(set, Interest::read) ? reading : 0) | (has(set, Interest::write) ? writing : 0);
}
constexpr Interest interest_in(int flags, int reading, int writing) noexcept {
  return interest_in((flags & reading) != 0, (flags & writing) != 0);
}

// A loop's watch over one descriptor, level-triggered. An adapter derives it, and starts in its
// constructor, which throws std::bad_alloc, or std::system_error when the loop refuses the
// descriptor. Its destructor ends the watch: nothing is told any more, even if the descriptor was
// found ready before. That may happen inside tell(). What comes next is that the descriptor is
// closed, or watched anew.
class Watcher {
 public:
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  virtual ~Watcher() = default;

  int fd() const noexcept { return fd_; }
  Interest wanted() const noexcept { return wanted_; }
  // What is to be told from now on. With no interest nothing is told, not even of an error.
  void want(Interest wanted) noexcept {
    if (wanted_ == wanted) return;
    wanted_ = wanted;
    changed();
  }

 protected:
  Watcher(int fd, Interest wanted) noexcept : fd_(fd), wanted_(wanted) {}

  // For the loop to call: what can be done now; after an error, all. Of what is wanted one is told,
  // because that may destroy the watch. The other is still ready at the next wake-up.
  void tell(Interest found) noexcept {
    Interest now = found & wanted_;
    if (now == Interest::none) return;
    if (now == Interest::both) now = now - told_;
    told_ = now;
    ready(now);
  }

 private:
  // The adapter's: wanted() is another.
  virtual void changed() noexcept = 0;
  // The user's: to read, or to write.
  virtual void ready(Interest now) noexcept = 0;

  int fd_;
  Interest wanted_;
  Interest told_ = Interest::read;  // the last time
};

// Who is told by a watch that is not part of itself.
class Ready {
 public:
  virtual void ready(Interest now) noexcept = 0;

 protected:
  ~Ready() = default;
};

// `Watch` is an adapter's, and is made of the other arguments.
template <typename Watch>
class Telling final : public Watch {
 public:
  template <typename... Arguments>
  explicit Telling(Ready& whom, Arguments&&... arguments) : Watch(arguments...), whom_(whom) {}

 private:
  void ready(Interest now) noexcept override { whom_.ready(now); }

  Ready& whom_;
};

class ReadinessLoop : public Loop {
 public:
  Listener* listen(const Endpoint& endpoint, AcceptEvents& events, Error& error) override;
  Listener* adopt_listener(Socket socket, AcceptEvents& events, Error& error) override;
  Transport* adopt(Socket socket, TransportEvents& events, Error& error) override;
  std::unique_ptr<Pending> connect(const Endpoint& address, ConnectEvents& events,
                                   std::error_code& error) override;
  std::unique_ptr<Pending> resolve(const Endpoint& name, ResolveEvents& events) override;
  std::size_t most_descriptors() const noexcept override { return posix::most_descriptors(); }

  // What the adapter provides: a Telling<Watch>. Throws what its Watch does.
  virtual std::unique_ptr<Watcher> watch(int fd, Interest wanted, Ready& whom) = 0;
  // Makes a connected socket, which is non-blocking, a Transport, and takes it over: a
  // Stream<Watch>, unless the loop has streams of its own. Throws as watch() does, and then the
  // descriptor is left alone.
  virtual Transport* make_transport(Descriptor& fd, TransportEvents& events) = 0;
};

}  // namespace timtow::posix
