#include "timtow/server.hpp"

#include <new>
#include <utility>

#include "connection_proxied.hpp"
#include "server_caps.hpp"

namespace timtow {
namespace {

// The two ways to a listener.
auto listen_at(Loop& loop, const Endpoint& endpoint) {
  return [&](AcceptEvents& events, Error& error) { return loop.listen(endpoint, events, error); };
}
auto take_over(Loop& loop, Socket socket) {
  return [&loop, socket](AcceptEvents& events, Error& error) {
    return loop.adopt_listener(socket, events, error);
  };
}

// How often the application is told at most that peers are turned away.
constexpr std::chrono::seconds turned_away_time{10};

}  // namespace

// What lives as long as the server or one of its connections.
class Server::Core final : public Connection::Owner,
                           public AcceptEvents,
                           public std::enable_shared_from_this<Core> {
 public:
  Core(Loop& on, Handlers handlers, ServerOptions options)
      : Owner(on, std::move(handlers)),
        loop_(on),
        options_(std::move(options)),
        plain_{.limits = options_.limits,
               .drafts = options_.drafts,
               .compression = options_.compression.get()},
        secured_(plain_),
        fault_(check_options()),
        turned_away_timer_(on, [this] { tell_turned_away(); }) {
    secured_.secure = true;
  }

  static Error has_no_security() noexcept {
    return make_error(errc::tls_needed,
                      "there is no TLS context (its make() says why), and plain text is no "
                      "substitute");
  }

  Loop& loop() noexcept { return loop_; }
  std::vector<Listener*>& listeners() noexcept { return listeners_; }
  using Owner::size;
  Metrics metrics() const noexcept { return Owner::metrics({&plain_, &secured_}, loop_); }

  TransportEvents* accepted(Bytes address) noexcept override { return accepted(address, nullptr); }

  TransportEvents* accepted(Bytes address, ServerSecurity* security) noexcept {
    ++metrics_.accepted;
    try {
      const ServerCaps::Tag tag = caps_.tag_of(address_of(address), trusted_);
      Refusal refusal = caps_.judge(size());
      if (!refusal) refusal = caps_.judge_address(tag);
      if (refusal) return turn_away(refusal, security);
      if (loop_.pool().is_strained()) return turn_away_for_memory();
      Connection& connection = add_connection(security, tag);
      Way way = way_to(connection, security);
      return &way.release();
    } catch (const std::bad_alloc&) {
      ++metrics_.refused.memory;
      report(make_error(errc::no_memory, "no memory for one more connection: it was cut"));
      return nullptr;
    }
  }

  void accept_failed(const Error& error) noexcept override {
    const bool no_descriptors = error.code == std::errc::too_many_files_open ||
                                error.code == std::errc::too_many_files_open_in_system;
    ++(no_descriptors ? metrics_.accepts_without_descriptors : metrics_.accepts_failed);
    report(error);
  }
  void report(const Error& error) noexcept override {
    const auto self = shared_from_this();  // the handler may destroy the server
    Owner::report(error);
  }

  // `make` asks the loop for a listener, that tells these events.
  template <typename Make>
  Error listen(AcceptEvents& events, Make make) {
    if (Error error = cannot_serve()) return error;
    if (Error error = caps_.settle(options_, loop_.most_descriptors())) return error;
    listeners_.reserve(listeners_.size() + 1);  // one that is made has to be known
    Error error;
    if (Listener* listener = make(events, error)) listeners_.push_back(listener);
    return error;
  }

  template <typename Make>
  Error listen_secured(std::shared_ptr<ServerSecurity> security, Make make) {
    if (security == nullptr) return has_no_security();
    auto door = std::make_unique<SecuredDoor>(*this, std::move(security));
    doors_.reserve(doors_.size() + 1);
    Error error = listen(*door, make);
    if (!error) doors_.push_back(std::move(door));
    return error;
  }

  // With a request, everything that stands before one has come already.
  Error adopt(Socket socket, ServerSecurity* security, const Request* request, Bytes already_read) {
    if (Error error = cannot_serve()) return error;
    if (!caps_.is_settled())
      if (Error error = caps_.settle(options_, loop_.most_descriptors())) return error;
    if (Refusal refusal = caps_.judge(size())) return std::move(refusal.error);
    const Loop::Batch batch{loop_};
    std::vector<std::byte> input{already_read.begin(), already_read.end()};  // unmasked in place
    Connection& connection = add_connection(security, ServerCaps::uncounted);
    Way way = request == nullptr ? way_to(connection, security) : Way{connection, nullptr, nullptr};
    Error error;
    Transport* const transport = loop_.adopt(socket, way.begin(), error);
    if (transport == nullptr) {
      drop(connection);
      return error;
    }
    ++metrics_.accepted;
    if (const Refusal refusal = count(connection, transport->peer()))
      connection.refuse(refusal, security != nullptr);
    way.start(*transport, request, input);
    return error;
  }

  void shutdown(Duration deadline, std::function<void()> done) {
    const Loop::Batch batch{loop_};
    // What needs memory comes first: where there is none, all is as it was.
    std::unique_ptr<Timer> timer;
    if (!shutdown_timer_) {
      timer = std::make_unique<Timer>(loop_, [this] { abort_all(); });
      timer->start(deadline);
    }
    // Not from inside this call, even if there is nothing to wait for.
    if (size() == 0) {
      loop_.post([weak = weak_from_this()] {
        const auto self = weak.lock();
        if (self && self->shutdown_timer_) self->finish_shutdown();
      });
    }
    if (done) shutdown_done_.push_back(std::move(done));
    if (timer == nullptr) return;
    stop_accepting();
    shutdown_timer_ = std::move(timer);
    for_all([](Connection& connection) { connection.go_away(); });
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
    turned_away_timer_.stop();
    mute();
    abort_all();
  }

 private:
  // Where a listener's connections get what secures them.
  class SecuredDoor final : public AcceptEvents {
   public:
    SecuredDoor(Core& core, std::shared_ptr<ServerSecurity> security) noexcept
        : core_(core), security_(std::move(security)) {}

    TransportEvents* accepted(Bytes address) noexcept override {
      return core_.accepted(address, security_.get());
    }
    void accept_failed(const Error& error) noexcept override { core_.accept_failed(error); }

   private:
    Core& core_;
    std::shared_ptr<ServerSecurity> security_;
  };

  Error check_options() {
    if (Error error = Networks::parse(options_.trusted_proxies, trusted_)) return error;
    if (options_.proxy_protocol && trusted_.empty())
      return make_error(errc::bad_address,
                        "ServerOptions::proxy_protocol is on, and trusted_proxies are none");
    for (const std::string& each : options_.subprotocols)
      if (!is_token(each))
        return make_error(errc::invalid_header, "the subprotocol \"%.64s\" is no token",
                          each.c_str());
    return options_.origins.check();
  }
  Error cannot_serve() const {
    if (shutdown_timer_)
      return make_error(errc::cancelled, "the server was shut down: make another one");
    return fault_;
  }

  Connection& add_connection(const ServerSecurity* security, ServerCaps::Tag tag) {
    Connection& connection =
        add(shared_from_this(), loop_, Role::server, security == nullptr ? plain_ : secured_);
    try {
      caps_.add(tag);
    } catch (const std::bad_alloc&) {
      remove(connection.id());
      throw;
    }
    connection.set_tag(tag);
    return connection;
  }
  // Takes back what add_connection() gave.
  void drop(Connection& connection) noexcept {
    caps_.remove(connection.tag());
    remove(connection.id());
  }

  // -- Who is turned away -------------------------------------------------------------------------

  static std::optional<IpAddress> address_of(Bytes bytes) noexcept {
    if (bytes.empty()) return std::nullopt;
    return bytes.size() == 4 ? IpAddress::of_v4(bytes) : IpAddress::of_v6(bytes);
  }

  // Counts a connection as this client's, if it is not yet anybody's, or says why it cannot stay.
  Refusal count(Connection& connection, const Endpoint& client) {
    if (connection.tag() != ServerCaps::uncounted) return {};
    std::optional<IpAddress> address = IpAddress::of_host(client.host);
    if (!address && !client.host.empty()) address.emplace();  // "unknown": all those are as one
    const ServerCaps::Tag tag = caps_.tag_of(address, trusted_);
    Refusal refusal = caps_.judge_address(tag);
    if (refusal) {
      note_turned_away(refusal);
    } else {
      caps_.add(tag);
      connection.set_tag(tag);
    }
    return refusal;
  }
  Refusal meet(Connection& connection) override { return count(connection, connection.peer()); }

  // Whom to tell of a peer that cannot stay: it is answered, or closed at once. To say a word over
  // TLS takes a handshake, which costs us more than all else, and that is what a flood wants.
  TransportEvents* turn_away(const Refusal& refusal, const ServerSecurity* security) {
    note_turned_away(refusal);
    if (security != nullptr || !caps_.may_refuse()) return nullptr;
    Connection& connection = add_connection(nullptr, ServerCaps::refused);
    connection.refuse(refusal, false);
    return &connection.events();
  }

  // An answer takes some, too.
  TransportEvents* turn_away_for_memory() noexcept {
    ++turned_away_.for_memory;
    ++metrics_.refused.memory;
    tell_turned_away_soon();
    return nullptr;
  }

  void note_turned_away(const Refusal& refusal) noexcept {
    const bool of_all = refusal.error.code == errc::too_many_connections;
    ++(of_all ? turned_away_.all : turned_away_.of_one);
    ++(of_all ? metrics_.refused.connections : metrics_.refused.of_one_address);
    tell_turned_away_soon();
  }

  void tell_turned_away_soon() noexcept {
    const Loop::Batch batch{loop_};
    if (turned_away_timer_.is_running()) return;
    try {
      turned_away_timer_.start(turned_away_time);
    } catch (const std::bad_alloc&) {  // it is told with the next
    }
  }

  // Tells the application how many that were, of late.
  void tell_turned_away() noexcept {
    const auto self = shared_from_this();  // the handler may destroy the server
    const TurnedAway sum = std::exchange(turned_away_, {});
    if (sum.all != 0)
      report(make_error(errc::too_many_connections,
                        "%llu peers were turned away: there were %zu connections, which is "
                        "ServerOptions::connections; raise it, and the limit on open files?",
                        sum.all, caps_.most()));
    if (sum.of_one != 0)
      report(make_error(errc::too_many_of_one_address,
                        "%llu peers were turned away: their address had %zu connections, "
                        "which is ServerOptions::connections_per_address; if it is a "
                        "proxy's, name that in trusted_proxies",
                        sum.of_one, caps_.most_of_one()));
    if (sum.for_memory != 0)
      report(make_error(errc::memory_budget,
                        "%llu peers were turned away: over seven eighths of the %zu bytes of "
                        "Loop::limit_memory() were in use",
                        sum.for_memory, loop_.pool().budget()));
  }

  // What stands between a transport and its connection: who takes the PROXY header off the stream,
  // and TLS above. Each owns itself once the transport is there.
  struct Way {
    Connection& connection;
    std::unique_ptr<Filter> tls;
    std::unique_ptr<Proxied> proxied;

    TransportEvents& above_proxied() { return tls != nullptr ? *tls : connection.events(); }
    TransportEvents& begin() { return proxied != nullptr ? *proxied : above_proxied(); }
    TransportEvents& release() {
      TransportEvents& events = begin();
      static_cast<void>(tls.release());
      static_cast<void>(proxied.release());
      return events;  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): they own themselves now
    }
    // For a transport that adopt() made: opened(), and what was read from it before.
    void start(Transport& transport, const Request* request, MutableBytes already_read) noexcept {
      Filter* const secures = tls.release();
      if (Proxied* const first = proxied.release()) {
        first->start(transport, already_read);
      } else if (secures != nullptr) {
        secures->opened(transport);
        if (!already_read.empty()) secures->received(already_read);
      } else {
        connection.start(transport, request, already_read);
      }
    }
  };

  // To a connection that has not begun, and goes if there is no memory for it.
  Way way_to(Connection& connection, ServerSecurity* security) {
    try {
      Way way{connection, nullptr, nullptr};
      if (security != nullptr) way.tls = security->secure(loop_, connection.events());
      if (options_.proxy_protocol)
        way.proxied = std::make_unique<Proxied>(way.above_proxied(), connection, loop_, trusted_);
      return way;
    } catch (const std::bad_alloc&) {
      drop(connection);
      throw;
    }
  }
  Refusal admit(const Request& request, Connection& connection,
                std::optional<Forwarded>& told) override {
    Destination destination{request.host(), connection.security() == nullptr ? "" : "https"};
    if (!trusted_.empty())
      told = parse_forwarded(request, connection.peer(), trusted_, options_.forwarded_header);
    if (told) {
      if (Refusal refusal = count(connection, told->client)) return refusal;
      if (!told->host.empty()) destination.host = told->host;
      if (!told->scheme.empty()) destination.scheme = told->scheme;
    }
    return request.is_upgrade() ? check_origin(options_.origins, request, destination) : Refusal{};
  }
  Refusal choose(const Request& request, std::string_view& subprotocol) override {
    subprotocol = options_.choose_subprotocol ? options_.choose_subprotocol(request)
                                              : choose_subprotocol(request, options_.subprotocols);
    if (!subprotocol.empty() || !options_.needs_subprotocol) return {};
    return {400, make_error(errc::no_subprotocol,
                            "the client offers no subprotocol that is spoken here")};
  }
  // Called inside a batch: before that ends, no handler is called and no connection released.
  void abort_all() noexcept {
    for_all([](Connection& connection) { connection.abort(); });
  }
  void released(ServerCaps::Tag tag) noexcept override {
    caps_.remove(tag);
    if (shutdown_timer_ && size() == 0) finish_shutdown();
  }
  void finish_shutdown() {
    shutdown_timer_->stop();
    turned_away_timer_.stop();
    tell_turned_away();
    for (const auto& done : std::exchange(shutdown_done_, {})) {
      if (is_muted()) return;
      try {
        done();
      } catch (...) {
        report(make_error(errc::handler_threw, "what waited for the server's shutdown threw"));
      }
    }
  }

  Loop& loop_;
  const ServerOptions options_;
  SessionOptions plain_;
  SessionOptions secured_;
  Networks trusted_;
  const Error fault_;
  ServerCaps caps_;
  struct TurnedAway {
    unsigned long long all = 0;
    unsigned long long of_one = 0;
    unsigned long long for_memory = 0;
  } turned_away_;  // since the application was told
  Timer turned_away_timer_;
  std::vector<Listener*> listeners_;
  std::vector<std::unique_ptr<SecuredDoor>> doors_;
  std::unique_ptr<Timer> shutdown_timer_;
  std::vector<std::function<void()>> shutdown_done_;
};

Server::Server(Loop& loop, Handlers handlers, ServerOptions options)
    : core_(std::make_shared<Core>(loop, std::move(handlers), std::move(options))) {}

Server::~Server() { core_->abandon(); }

Error Server::listen(const Endpoint& endpoint) {
  return core_->listen(*core_, listen_at(core_->loop(), endpoint));
}

Error Server::listen(const Endpoint& endpoint, std::shared_ptr<ServerSecurity> security) {
  return core_->listen_secured(std::move(security), listen_at(core_->loop(), endpoint));
}

Error Server::adopt_listener(Socket socket) {
  return core_->listen(*core_, take_over(core_->loop(), socket));
}

Error Server::adopt_listener(Socket socket, std::shared_ptr<ServerSecurity> security) {
  return core_->listen_secured(std::move(security), take_over(core_->loop(), socket));
}

std::vector<Endpoint> Server::endpoints() const {
  std::vector<Endpoint> all;
  for (const Listener* listener : core_->listeners()) all.push_back(listener->endpoint());
  return all;
}

Error Server::adopt(Socket socket, Bytes already_read) {
  return core_->adopt(socket, nullptr, nullptr, already_read);
}

Error Server::adopt(Socket socket, const std::shared_ptr<ServerSecurity>& security,
                    Bytes already_read) {
  if (security == nullptr) return Core::has_no_security();
  return core_->adopt(socket, security.get(), nullptr, already_read);
}

Error Server::adopt(Socket socket, const Request& request, Bytes already_read) {
  return core_->adopt(socket, nullptr, &request, already_read);
}

void Server::shutdown(Duration deadline, std::function<void()> done) {
  core_->shutdown(deadline, std::move(done));
}

Metrics Server::metrics() const noexcept { return core_->metrics(); }

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
