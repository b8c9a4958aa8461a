#include "timtow/posix/readiness.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "timtow/posix/resolve.hpp"

namespace timtow::posix {
namespace {

// How many connections one wake-up accepts before the others get their turn.
constexpr int accepts_per_wakeup = 64;
// How many wake-ups in a row accept one and look for no other.
constexpr int most_alone = 15;
// How long accepting rests when there is no descriptor or memory left.
constexpr std::chrono::milliseconds accept_pause{100};

// Why the loop does not watch a descriptor.
std::error_code code_of(const std::exception& cause) noexcept {
  const auto* const system = dynamic_cast<const std::system_error*>(&cause);
  return system != nullptr ? system->code() : make_error_code(errc::no_memory);
}

// Whether accepting has told what became of a peer, which is gone or out of reach: the others are
// still there. (accept(2): what the network has told of a connection before it is accepted.)
bool is_of_a_peer(const std::error_code& error) noexcept {
  if (error.category() != std::system_category()) return false;
  switch (error.value()) {
    case ECONNABORTED:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EPROTO:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

// Hands a new connection to whom it concerns.
void open(ReadinessLoop& loop, Descriptor fd, TransportEvents* events) noexcept {
  if (events == nullptr) return;
  Transport* transport = nullptr;
  try {
    transport = loop.make_transport(fd, *events);
  } catch (const std::exception& cause) {
    return events->failed(code_of(cause));
  }
  events->opened(*transport);
}

class Acceptor final : public Listener, private Ready {
 public:
  // Takes the descriptor over unless it throws. `path`: the Unix socket's file, when it is ours to
  // remove.
  Acceptor(ReadinessLoop& loop, Descriptor& fd, AcceptEvents& events, std::string path)
      : loop_(loop),
        path_(std::move(path)),
        events_(events),
        watcher_(loop.watch(fd.get(), Interest::read, *this)),
        rest_(loop, [this] { rested(); }) {
    fd_ = std::move(fd);
  }

  Endpoint endpoint() const override { return local_endpoint(fd_.get()); }

  void want_accept(bool wanted) noexcept override {
    wanted_ = wanted;
    if (!rest_.is_running()) watcher_->want(wanted ? Interest::read : Interest::none);
  }

  void close() noexcept override { delete this; }

 private:
  ~Acceptor() {
    if (destroyed_ != nullptr) *destroyed_ = true;
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  void rested() noexcept { watcher_->want(wanted_ ? Interest::read : Interest::none); }

  void ready(Interest) noexcept override {
    const Loop::Batch batch{loop_};
    bool destroyed = false;
    destroyed_ = &destroyed;
    const int most = alone_ > 0 ? 1 : accepts_per_wakeup;
    int count = 0;
    std::error_code error;
    while (count < most && !destroyed && wanted_ && accept_one(error)) ++count;
    if (error) failed(error);
    if (destroyed) return;
    destroyed_ = nullptr;
    // To look for another costs a call; who is overlooked is told at the next wake-up. So the more
    // often nobody was found, the longer it is not tried.
    if (alone_ > 0)
      --alone_;
    else
      alone_ = last_alone_ = count > 1 ? 0 : std::min(2 * last_alone_ + 1, most_alone);
  }

  // False when there was none, or none could be had.
  bool accept_one(std::error_code& error) noexcept {
    sockaddr_storage from{};
    Descriptor fd = accept_from(fd_.get(), from, error);
    if (!fd) {
      const bool next = is_of_a_peer(error);
      if (next || would_block(error)) error.clear();
      return next;
    }
    ReadinessLoop& loop = loop_;  // accepted() may close this
    open(loop, std::move(fd), events_.accepted(bytes_of(from)));
    return true;
  }

  void failed(std::error_code error) noexcept {
    Error report{error, {}};
    try {
      rest_.start(accept_pause);
      watcher_->want(Interest::none);
      const bool are_too_many = error.value() == EMFILE || error.value() == ENFILE;
      report = make_error(error, "accepting failed and rests for %lld ms: %s%s",
                          static_cast<long long>(accept_pause.count()), error.message().c_str(),
                          are_too_many ? "; raise the limit on open files?" : "");
    } catch (const std::bad_alloc&) {
      // Without memory for the timer it is tried again at once; without memory for the sentence the
      // code says what happened.
    }
    events_.accept_failed(report);
  }

  ReadinessLoop& loop_;
  Descriptor fd_;
  std::string path_;
  AcceptEvents& events_;
  bool wanted_ = true;
  int alone_ = 0;       // so many wake-ups from now on accept one and look for no other ...
  int last_alone_ = 0;  // ... of so many
  bool* destroyed_ = nullptr;
  std::unique_ptr<Watcher> watcher_;
  Timer rest_;
};

class Connecting final : public Pending, private Ready {
 public:
  Connecting(ReadinessLoop& loop, Descriptor fd, ConnectEvents& events)
      : loop_(loop),
        fd_(std::move(fd)),
        events_(events),
        watcher_(loop.watch(fd_.get(), Interest::write, *this)) {}

 private:
  void ready(Interest) noexcept override {
    const Loop::Batch batch{loop_};
    watcher_.reset();
    ReadinessLoop& loop = loop_;  // what follows may destroy this
    Descriptor fd = std::move(fd_);
    if (const std::error_code error = connect_result(fd.get()))
      events_.connect_failed(error);
    else
      open(loop, std::move(fd), events_.connected());
  }

  ReadinessLoop& loop_;
  Descriptor fd_;
  ConnectEvents& events_;
  std::unique_ptr<Watcher> watcher_;
};

Error cannot_watch(int fd, const std::exception& cause) noexcept {
  return make_error(code_of(cause), "the loop cannot watch descriptor %d: %s", fd, cause.what());
}

}  // namespace

Listener* ReadinessLoop::listen(const Endpoint& endpoint, AcceptEvents& events, Error& error) {
  Descriptor fd = listen_on(endpoint, error);
  if (!fd) return nullptr;
  try {
    return new Acceptor{*this, fd, events, endpoint.path};
  } catch (const std::exception& cause) {
    error = cannot_watch(fd.get(), cause);
    return nullptr;
  }
}

Listener* ReadinessLoop::adopt_listener(Socket socket, AcceptEvents& events, Error& error) {
  if (!is_listening(socket, error) || !make_ready(socket, error)) return nullptr;
  send_at_once(socket);
  Descriptor fd{socket};
  try {
    return new Acceptor{*this, fd, events, {}};
  } catch (const std::exception& cause) {
    error = cannot_watch(fd.release(), cause);
    return nullptr;
  }
}

Transport* ReadinessLoop::adopt(Socket socket, TransportEvents& events, Error& error) {
  if (!make_ready(socket, error)) return nullptr;
  send_at_once(socket);
  Descriptor fd{socket};
  try {
    return make_transport(fd, events);
  } catch (const std::exception& cause) {
    error = cannot_watch(fd.release(), cause);
    return nullptr;
  }
}

std::unique_ptr<Pending> ReadinessLoop::connect(const Endpoint& address, ConnectEvents& events,
                                                std::error_code& error) {
  Descriptor fd = connect_to(address, error);
  if (!fd) return nullptr;
  try {
    return std::make_unique<Connecting>(*this, std::move(fd), events);
  } catch (const std::exception& cause) {
    error = code_of(cause);
    return nullptr;
  }
}

std::unique_ptr<Pending> ReadinessLoop::resolve(const Endpoint& name, ResolveEvents& events) {
  return posix::resolve(*this, name, events);
}

}  // namespace timtow::posix
