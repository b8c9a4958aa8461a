#include "timtow/server.hpp"

#include <new>
#include <utility>

namespace timtow {
// What lives as long as the server or one of its connections.
class Server::Core final : public Connection::Owner,
                           public AcceptEvents,
                           public std::enable_shared_from_this<Core> {
 public:
  Core(Loop& on, Handlers handlers, ServerOptions options)
      : Owner(std::move(handlers)),
        loop_(on),
        compression_(std::move(options.compression)),
        session_options_{.limits = options.limits, .compression = compression_.get()} {}

  Loop& loop() noexcept { return loop_; }
  std::vector<Listener*>& listeners() noexcept { return listeners_; }
  using Owner::size;

  TransportEvents* accepted() noexcept override {
    try {
      return &add(shared_from_this(), loop_, Role::server, session_options_).events();
    } catch (const std::bad_alloc&) {
      accept_failed(make_error(errc::no_memory, "no memory for one more connection: it was cut"));
      return nullptr;
    }
  }

  void accept_failed(const Error& error) noexcept override {
    const auto self = shared_from_this();  // the handler may destroy the server
    if (handlers_.on_error) handlers_.on_error(error);
  }

  // `make` asks the loop for a listener.
  template <typename Make>
  Error listen(Make make) {
    if (shutdown_timer_) return was_shut_down();
    Error error;
    if (Listener* listener = make(error)) listeners_.push_back(listener);
    return error;
  }

  Error adopt(Socket socket, const Request* request, Bytes already_read) {
    if (shutdown_timer_) return was_shut_down();
    const Loop::Batch batch{loop_};
    std::vector<std::byte> input{already_read.begin(), already_read.end()};  // unmasked in place
    Connection& connection = add(shared_from_this(), loop_, Role::server, session_options_);
    Error error;
    if (Transport* transport = loop_.adopt(socket, connection.events(), error))
      connection.start(*transport, request, input);
    else
      remove(connection.id());
    return error;
  }

  void shutdown(Duration deadline, std::function<void()> done) {
    const Loop::Batch batch{loop_};
    if (done) shutdown_done_.push_back(std::move(done));
    if (!shutdown_timer_) {
      stop_accepting();
      shutdown_timer_ = std::make_unique<Timer>(loop_, [this] { abort_all(); });
      shutdown_timer_->start(deadline);
      for_all([](Connection& connection) { connection.go_away(); });
    }
    // Not from inside this call, even if there is nothing to wait for.
    if (size() == 0) {
      loop_.post([weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->finish_shutdown();
      });
    }
  }

  void stop_accepting() noexcept {
    for (Listener* listener : std::exchange(listeners_, {})) listener->close();
  }
  void for_each(const std::function<void(Connection&)>& function) {
    const Loop::Batch batch{loop_};
    for_all([&](Connection& connection) {
      if (connection.is_open()) function(connection);
    });
  }
  std::size_t broadcast(const PreparedMessage& message,
                        const std::function<bool(Connection&)>& to) {
    const Loop::Batch batch{loop_};
    std::size_t count = 0;
    for_all([&](Connection& connection) {
      if (connection.is_open() && (!to || to(connection)) && connection.send(message) == errc::ok)
        ++count;
    });
    return count;
  }
  // Cuts all that is left, and says nothing any more.
  void abandon() noexcept {
    const Loop::Batch batch{loop_};
    stop_accepting();
    mute();
    abort_all();
  }

 private:
  static Error was_shut_down() noexcept {
    return make_error(errc::cancelled, "the server was shut down: make another one");
  }
  // Called inside a batch: before that ends, no handler is called and no connection released.
  void abort_all() noexcept {
    for_all([](Connection& connection) { connection.abort(); });
  }
  void released() noexcept override {
    if (shutdown_timer_ && size() == 0) finish_shutdown();
  }
  void finish_shutdown() {
    shutdown_timer_->stop();
    for (const auto& done : std::exchange(shutdown_done_, {}))
      if (!is_muted()) done();
  }

  Loop& loop_;
  std::shared_ptr<const Compression> compression_;
  SessionOptions session_options_;
  std::vector<Listener*> listeners_;
  std::unique_ptr<Timer> shutdown_timer_;
  std::vector<std::function<void()>> shutdown_done_;
};

Server::Server(Loop& loop, Handlers handlers, ServerOptions options)
    : core_(std::make_shared<Core>(loop, std::move(handlers), std::move(options))) {}

Server::~Server() { core_->abandon(); }

Error Server::listen(const Endpoint& endpoint) {
  return core_->listen([&](Error& error) { return core_->loop().listen(endpoint, *core_, error); });
}

Error Server::adopt_listener(Socket socket) {
  return core_->listen(
      [&](Error& error) { return core_->loop().adopt_listener(socket, *core_, error); });
}

std::vector<Endpoint> Server::endpoints() const {
  std::vector<Endpoint> all;
  for (const Listener* listener : core_->listeners()) all.push_back(listener->endpoint());
  return all;
}

Error Server::adopt(Socket socket, Bytes already_read) {
  return core_->adopt(socket, nullptr, already_read);
}

Error Server::adopt(Socket socket, const Request& request, Bytes already_read) {
  return core_->adopt(socket, &request, already_read);
}

void Server::shutdown(Duration deadline, std::function<void()> done) {
  core_->shutdown(deadline, std::move(done));
}

std::size_t Server::size() const noexcept { return core_->size(); }

std::shared_ptr<Connection> Server::find(std::uint64_t id) const { return core_->find(id); }

void Server::for_each(const std::function<void(Connection&)>& function) {
  core_->for_each(function);
}

std::size_t Server::broadcast(const Message& message, const std::function<bool(Connection&)>& to) {
  return broadcast(PreparedMessage{message}, to);
}

std::size_t Server::broadcast(const PreparedMessage& message,
                              const std::function<bool(Connection&)>& to) {
  return core_->broadcast(message, to);
}

}  // namespace timtow
