#include "timtow/client.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <random>
#include <utility>

#include "connection_tunnel.hpp"
#include "timtow/cookie.hpp"
#include "timtow/http.hpp"
#include "timtow/url.hpp"

namespace timtow {
namespace {

// Whether to ask again would be answered alike.
bool is_final(const std::error_code& code, int status) noexcept {
  const bool is_proxys = code.category() == proxy_category();
  if (is_proxys) status = code.value();
  if (code == errc::bad_response || code == errc::handshake_too_large) return true;
  if (code == std::errc::permission_denied) return true;  // whom TLS did not let us talk to
  const bool may_pass = status == 408 || status == 425 || status == 429;
  return (code == errc::rejected || is_proxys) && status >= 300 && status < 500 && !may_pass;
}

// The way to the server, if not straight.
Error choose_proxy(const ClientOptions& options, const Url& url, std::optional<Proxy>& proxy) {
  const bool is_elsewhere = options.endpoint || url.is_unix();
  if (options.proxy.empty()) {
    if (!options.proxy_from_environment || is_elsewhere) return {};
    return proxy_from_environment(
        url, [](const char* name) { return std::getenv(name); }, proxy);
  }
  if (is_elsewhere)
    return make_error(errc::bad_address,
                      "a proxy leads to the URL's host and port, and not to another endpoint");
  return Proxy::parse(options.proxy, proxy.emplace());
}

// As good as forever, and far from where the clock ends.
constexpr Duration longest = std::chrono::hours{24 * 365};

constexpr const char* out_of_memory = "there is no memory for it";

}  // namespace

// What lives as long as the client or one of its connections.
class Client::Core final : public Connection::Owner,
                           public ConnectEvents,
                           public ResolveEvents,
                           private TimerQueue::Entry,
                           public std::enable_shared_from_this<Core> {
 public:
  Core(Loop& on, ClientOptions options, Handlers handlers)
      : Owner(on, handlers),
        loop_(on),
        options_(std::move(options)),
        session_options_{.limits = options_.limits, .compression = options_.compression.get()},
        theirs_(std::move(handlers)) {
    const auto clamp = [](Duration& time) { time = std::clamp(time, Duration{0}, longest); };
    clamp(options_.connect_time);
    if (options_.reconnect) {
      clamp(options_.reconnect->first);
      clamp(options_.reconnect->most);
    }
    // Ours come before theirs.
    handlers_.on_response = [this](Connection& c, const Response& r) { answered(c, r); };
    handlers_.on_open = [this](Connection& c) { opened(c); };
    handlers_.on_error = [this](const Error& error) { handshake_failed(error); };
    handlers_.on_close = [this](Connection& c, const Closed& closed) { lost(c, closed); };
  }

  bool is_active() const noexcept { return step_ != Step::idle; }

  std::shared_ptr<Connection> connection() const noexcept {
    return step_ == Step::open && current_->is_open() ? current_->keep() : nullptr;
  }

  Error connect() {
    const Loop::Batch batch{loop_};
    if (is_active())
      return make_error(errc::cancelled, "the client is connecting or connected: close() it first");
    Url url;
    if (Error error = Url::parse(options_.url, url)) return error;
    if (url.is_secure && options_.tls == nullptr)
      return make_error(errc::tls_needed,
                        "for %.*s a TLS context is needed: set ClientOptions::tls", shown_size(),
                        options_.url.c_str());
    std::optional<Proxy> proxy;
    if (Error error = choose_proxy(options_, url, proxy)) return error;
    url_ = std::move(url);
    proxy_ = std::move(proxy);
    std::string cookies;
    for (const auto& [name, value] : options_.cookies) {
      if (!is_token(name) || !is_cookie_value(value))
        return make_error(errc::invalid_header, "the cookie \"%.64s\" cannot be sent as it is",
                          name.c_str());
      cookies.append(cookies.empty() ? "" : "; ").append(name).append("=").append(value);
    }
    const bool has_header =
        std::any_of(options_.headers.begin(), options_.headers.end(),
                    [](const auto& header) { return equal_ignoring_case(header.first, "Cookie"); });
    if (has_header && !cookies.empty())
      return make_error(errc::invalid_header, "cookies are given twice: as such, and as a header");
    cookies_ = std::move(cookies);
    host_ = url_.authority();
    if (Error error = check_client_request(request())) return error;
    failures_in_a_row_ = 0;
    wait(Duration{0});
    return {};
  }

  errc close(CloseCode code, std::string_view reason) {
    const Loop::Batch batch{loop_};
    if (step_ == Step::closing) return errc::ok;
    Connection* const connection = current_;
    if (step_ == Step::open) {
      const errc result = connection->close(code, reason);
      if (result != errc::ok && result != errc::not_open) return result;  // not_open: it is closing
      step_ = Step::closing;
      return errc::ok;
    }
    rest();
    if (connection != nullptr) connection->abort();
    return errc::ok;
  }

  Metrics metrics() const noexcept { return Owner::metrics({&session_options_}, loop_); }

  // Cuts all that is left, and says nothing any more.
  void abandon() noexcept {
    const Loop::Batch batch{loop_};
    mute();
    rest();
    for_all([](Connection& connection) { connection.abort(); });
  }

  // ResolveEvents
  void resolved(std::vector<Endpoint> addresses, const Error& error) noexcept override {
    const auto self = shared_from_this();
    const Loop::Batch batch{loop_};
    pending_.reset();
    if (error) return attempt_failed(error.code, error.text.c_str());
    start_connecting(std::move(addresses));
  }

  // ConnectEvents
  TransportEvents* connected() noexcept override {
    const auto self = shared_from_this();
    const Loop::Batch batch{loop_};
    pending_.reset();
    call_never();
    ++metrics_.accepted;
    try {
      const ClientRequest ours = request();
      Connection& connection = add(self, loop_, Role::client, session_options_);
      if (const Error error = connection.request(ours)) {
        remove(connection.id());
        attempt_failed(error.code, error.text.c_str());
        return nullptr;
      }
      TransportEvents* const events = events_of(connection);
      step_ = Step::opening;
      current_ = &connection;
      return events;
    } catch (const std::bad_alloc&) {
      attempt_failed(errc::no_memory, out_of_memory);
      return nullptr;
    }
  }
  void connect_failed(std::error_code cause) noexcept override {
    const auto self = shared_from_this();
    const Loop::Batch batch{loop_};
    pending_.reset();
    address_failed(cause);
  }

 private:
  enum class Step {
    idle,
    waiting,  // for the time of the next attempt
    resolving,
    connecting,  // to addresses_[next_address_ - 1]
    opening,     // current_, by its handshake
    open,
    closing  // for good
  };

  // -- An attempt, step by step -------------------------------------------------------------------

  // Whom the transport tells: the connection, or what stands between: the tunnel, and TLS in it.
  TransportEvents* events_of(Connection& connection) {
    try {
      std::unique_ptr<Filter> tls;
      if (url_.is_secure) tls = options_.tls->secure(loop_, connection.events(), url_.host);
      TransportEvents* events = tls != nullptr ? tls.get() : &connection.events();
      if (proxy_) events = new Tunnel{*events, loop_, format_connect(*proxy_, url_)};
      static_cast<void>(tls.release());  // it owns itself now
      return events;
    } catch (const std::bad_alloc&) {
      remove(connection.id());
      throw;
    }
  }

  void wait(Duration time) {
    call_in(time);
    step_ = Step::waiting;
  }

  void call_in(Duration time) { loop_.timers().set(*this, loop_.now() + time); }
  void call_never() noexcept { loop_.timers().set(*this, never); }

  void released(std::uint32_t) noexcept override {}
  void report(const Error& error) noexcept override {
    if (!is_muted()) tell(theirs_.on_error, error);
  }

  void due(TimePoint) noexcept override {
    const auto self = shared_from_this();
    if (step_ == Step::waiting) return start();
    to_be_heard_ = loop_.was_held_up() && !to_be_heard_;
    if (to_be_heard_) {
      deadline_ = loop_.now() + Loop::hearing;
      return call_in(Loop::hearing);  // there is memory: it was queued
    }
    pending_.reset();
    if (step_ == Step::resolving)
      return attempt_failed(errc::connect_timeout, "its name was not found in time");
    address_failed(errc::connect_timeout);
  }

  void start() noexcept {
    deadline_ = loop_.now() + options_.connect_time;
    try {
      Endpoint name = options_.endpoint.value_or(
          Endpoint{.host = url_.host, .port = url_.port, .path = url_.path});
      if (proxy_) name = {.host = proxy_->host, .port = proxy_->port, .path = {}};
      if (name.is_unix()) return start_connecting({name});
      step_ = Step::resolving;
      call_in(options_.connect_time);
      pending_ = loop_.resolve(name, *this);
    } catch (const std::bad_alloc&) {
      attempt_failed(errc::no_memory, out_of_memory);
    }
  }

  void start_connecting(std::vector<Endpoint> addresses) noexcept {
    addresses_ = std::move(addresses);
    next_address_ = 0;
    failures_.clear();
    step_ = Step::connecting;
    connect_to_next();
  }

  void connect_to_next() noexcept {
    const auto left = static_cast<Duration::rep>(addresses_.size() - next_address_);
    if (left == 0) return attempt_failed(last_failure_, failures_.c_str());
    const Endpoint& address = addresses_[next_address_++];
    std::error_code error;
    try {
      call_in((deadline_ - loop_.now()) / left);
      pending_ = loop_.connect(address, *this, error);
    } catch (const std::bad_alloc&) {
      error = errc::no_memory;
    }
    if (error) address_failed(error);
  }

  void address_failed(std::error_code cause) noexcept {
    last_failure_ = cause;
    try {
      failures_ += (failures_.empty() ? "" : ", ") + to_string(addresses_[next_address_ - 1]) +
                   ": " + cause.message();
    } catch (const std::bad_alloc&) {  // the sentence is shorter
    }
    connect_to_next();
  }

  // How much of the URL errors show: its query may have a token.
  int shown_size() const noexcept {
    return static_cast<int>(std::min<std::size_t>(options_.url.find('?'), 100));
  }

  // Before there was a connection.
  void attempt_failed(std::error_code code, const char* cause) noexcept {
    failed(true, make_error(code, "cannot connect to %.*s%s: %s", shown_size(),
                            options_.url.c_str(), proxy_ ? " (through its proxy)" : "", cause));
  }

  // -- What the connection tells ------------------------------------------------------------------

  void answered(Connection& connection, const Response& response) {
    status_ = response.status;
    if (theirs_.on_response) theirs_.on_response(connection, response);
  }

  void opened(Connection& connection) {
    step_ = Step::open;
    failures_in_a_row_ = 0;
    if (theirs_.on_open) theirs_.on_open(connection);
  }

  void handshake_failed(const Error& error) {
    if (current_ == nullptr) return;  // it was given up, and what has begun since is another one
    failed(!is_final(error.code, status_),
           make_error(error.code, "the opening handshake with %.*s failed: %s", shown_size(),
                      options_.url.c_str(), error.text.c_str()));
  }

  void lost(Connection& connection, const Closed& closed) {
    settle(step_ != Step::closing);
    if (theirs_.on_close) theirs_.on_close(connection, closed);
  }

  // -- What comes next ----------------------------------------------------------------------------

  void failed(bool may_try_again, const Error& error) noexcept {
    settle(may_try_again);
    tell(theirs_.on_error, error);
  }

  // The next attempt, or none. Before the application is told, which may close() or connect() then.
  void settle(bool may_try_again) noexcept {
    rest();
    if (!may_try_again || !options_.reconnect) return;
    try {
      wait(next_wait());
    } catch (const std::bad_alloc&) {  // without memory for a timer there is no next attempt
    }
  }

  void rest() noexcept {
    step_ = Step::idle;
    status_ = 0;
    current_ = nullptr;
    pending_.reset();
    call_never();
  }

  Duration next_wait() {
    const auto& [first, most] = *options_.reconnect;
    Duration whole = std::min(first, most);
    for (unsigned i = 0; i < failures_in_a_row_ && whole < most; ++i)
      whole = std::min(2 * whole, most);
    ++failures_in_a_row_;
    return Duration{std::uniform_int_distribution{whole.count() / 2, whole.count()}(random_)};
  }

  ClientRequest request() const {
    ClientRequest request{.host = host_, .target = url_.target, .subprotocols = {}, .headers = {}};
    for (const auto& each : options_.subprotocols) request.subprotocols.push_back(each);
    for (const auto& [name, value] : options_.headers) request.headers.push_back({name, value});
    if (!cookies_.empty()) request.headers.push_back({"Cookie", cookies_});
    request.version = options_.version;
    request.secure = url_.is_secure;
    return request;
  }

  Loop& loop_;
  ClientOptions options_;
  SessionOptions session_options_;
  Handlers theirs_;

  Url url_;
  std::optional<Proxy> proxy_;
  std::string host_;
  std::string cookies_;

  Step step_ = Step::idle;
  TimePoint deadline_;        // of looking up and connecting
  bool to_be_heard_ = false;  // it has come, and is put off (Loop::was_held_up())
  std::unique_ptr<Pending> pending_;
  std::vector<Endpoint> addresses_;
  std::size_t next_address_ = 0;
  std::string failures_;  // of each address that was tried
  std::error_code last_failure_;

  Connection* current_ = nullptr;  // one of these
  int status_ = 0;                 // that answered the upgrade

  unsigned failures_in_a_row_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

Client::Client(Loop& loop, ClientOptions options, Handlers handlers)
    : core_(std::make_shared<Core>(loop, std::move(options), std::move(handlers))) {}

Client::~Client() { core_->abandon(); }

Error Client::connect() { return core_->connect(); }

errc Client::close(CloseCode code, std::string_view reason) { return core_->close(code, reason); }

bool Client::is_active() const noexcept { return core_->is_active(); }

std::shared_ptr<Connection> Client::connection() const noexcept { return core_->connection(); }

Metrics Client::metrics() const noexcept { return core_->metrics(); }

errc Client::send(const Message& message) {
  const auto connection = core_->connection();
  return connection ? connection->send(message) : errc::not_open;
}

}  // namespace timtow
