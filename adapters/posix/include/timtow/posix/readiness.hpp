// What loops that tell "this descriptor is ready" have in common: everything but the telling.
//
// An adapter derives ReadinessLoop and says how its loop watches a descriptor; listening,
// accepting, connecting, reading, writing and closing are here, once.
#pragma once

#include <memory>

#include "timtow/loop.hpp"
#include "timtow/posix/socket.hpp"

namespace timtow::posix {

struct Interest {
  bool read = false;
  bool write = false;

  bool operator==(const Interest&) const = default;
};

// Who is told that a descriptor is ready.
class Ready {
 public:
  // What of the watcher's interest can be done now; after an error, all of it. The watcher may be
  // destroyed inside this call.
  virtual void ready(Interest now) noexcept = 0;

 protected:
  ~Ready() = default;
};

// A loop's watch over one descriptor. Destroying it ends the watch: nothing is told any more, even
// if the descriptor was found ready before. That may happen inside any call of ready().
class Watcher {
 public:
  virtual ~Watcher() = default;
  // What is to be told from now on. With no interest nothing is told, not even of an error.
  virtual void want(Interest interest) noexcept = 0;
};

class ReadinessLoop : public Loop {
 public:
  Listener* listen(const Endpoint& endpoint, AcceptEvents& events, Error& error) override;
  Listener* adopt_listener(Socket socket, AcceptEvents& events, Error& error) override;
  Transport* adopt(Socket socket, TransportEvents& events, Error& error) override;
  std::unique_ptr<Pending> connect(const Endpoint& address, ConnectEvents& events,
                                   std::error_code& error) override;
  std::unique_ptr<Pending> resolve(const Endpoint& name, ResolveEvents& events) override;

  // What the adapter provides: a watch, level-triggered. Throws std::bad_alloc, or
  // std::system_error when the loop refuses the descriptor.
  virtual std::unique_ptr<Watcher> watch(int fd, Interest interest, Ready& ready) = 0;
  // Makes a connected socket, which is non-blocking, a Transport, and takes it over. Throws as
  // watch() does, and then the descriptor is left alone. For loops whose streams are more than a
  // watched descriptor to override.
  virtual Transport* make_transport(Descriptor& fd, TransportEvents& events);
};

}  // namespace timtow::posix
