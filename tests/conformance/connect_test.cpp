// Connecting and looking up names: as the seam has them, and the Client on top of both.
#include "timtow/client.hpp"

#include <pthread.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "support/allocation.hpp"
#include "support/client.hpp"
#include "support/waits.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::EchoServer;
using test::Lines;
using test::run_for;
using test::run_until;

// A label has at most 63 bytes: nobody has to be asked for this one.
const std::string no_such_host(64, 'x');

// A folder that goes with the test.
struct Folder {
  Folder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const char* name) const { return path + '/' + name; }
  std::string path = "/tmp/timtow-test-XXXXXX";
};

Endpoint tcp(std::string host, std::uint16_t port) {
  return {.host = std::move(host), .port = port, .path = {}};
}
Endpoint unix_socket(std::string path) { return {.host = {}, .port = 0, .path = std::move(path)}; }

// An attempt to connect, and the transport that comes of it.
class Dial final : public ConnectEvents, private TransportEvents {
 public:
  ~Dial() { close(); }

  void start(Loop& loop, const Endpoint& to) {
    inside_ = true;
    pending = loop.connect(to, *this, error);
    inside_ = false;
    CHECK((pending == nullptr) == static_cast<bool>(error));
  }
  // Connected or failed, at once or later.
  bool is_over() const { return connections + failures > 0 || error; }
  void close() {
    if (transport != nullptr) std::exchange(transport, nullptr)->close(How::graceful);
  }

  std::unique_ptr<Pending> pending;
  std::error_code error;
  int connections = 0;
  int failures = 0;
  bool is_wanted = true;
  std::function<void()> on_connected;
  std::function<void()> on_failed;
  Transport* transport = nullptr;
  std::string got;
  bool has_ended = false;

 private:
  TransportEvents* connected() noexcept override {
    CHECK_FALSE(inside_);
    ++connections;
    if (on_connected) on_connected();
    return is_wanted ? this : nullptr;
  }
  void connect_failed(std::error_code cause) noexcept override {
    CHECK_FALSE(inside_);
    ++failures;
    error = cause;
    if (on_failed) on_failed();
  }

  void opened(Transport& its) noexcept override { transport = &its; }
  MutableBytes read_space() noexcept override { return space_; }
  void received(MutableBytes bytes) noexcept override { got += as_text(bytes); }
  void ended() noexcept override { has_ended = true; }
  void written(std::size_t) noexcept override {}
  void failed(std::error_code cause) noexcept override { error = cause; }

  bool inside_ = false;
  std::array<std::byte, 1000> space_{};
};

// A name that is looked up.
class Lookup final : public ResolveEvents {
 public:
  void start(Loop& loop, std::string host) {
    inside_ = true;
    pending = loop.resolve(tcp(std::move(host), 81), *this);
    inside_ = false;
    CHECK(pending != nullptr);
  }

  std::unique_ptr<Pending> pending;
  int calls = 0;
  Lines hosts;
  Error error;
  std::function<void()> on_resolved;

 private:
  void resolved(std::vector<Endpoint> addresses, const Error& failure) noexcept override {
    CHECK_FALSE(inside_);
    ++calls;
    CHECK(addresses.empty() == static_cast<bool>(failure));
    for (const Endpoint& each : addresses) {
      CHECK(each.port == 81);
      CHECK_FALSE(each.is_unix());
      hosts.push_back(each.host);
    }
    error = failure;
    if (on_resolved) on_resolved();
  }

  bool inside_ = false;
};

// A listener that accepts nobody, and whose queue is full.
class Full {
 public:
  explicit Full(const Endpoint& at) {
    sockaddr_storage address;
    socklen_t size = test::store(at, address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    const auto open = [&] {
      fds_.push_back(socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      return fds_.back();
    };
    REQUIRE(bind(open(), any, size) == 0);
    REQUIRE(listen(fds_.front(), 0) == 0);
    REQUIRE(getsockname(fds_.front(), any, &size) == 0);
    where = at;
    if (!at.is_unix()) where.port = ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
    for (int i = 0; i < 4; ++i) connect(open(), any, size);
  }
  ~Full() {
    for (const int fd : fds_) ::close(fd);
  }

  Endpoint where;

 private:
  std::vector<int> fds_;
};

// Where nobody listens.
Endpoint nowhere(Loop& loop) {
  Server server{loop, {}};
  REQUIRE_FALSE(server.listen(tcp("127.0.0.1", 0)));
  return server.endpoints().front();
}

std::size_t threads() {
  const std::filesystem::directory_iterator all{"/proc/self/task"};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::string url_of(const Endpoint& endpoint) { return test::scheme() + to_string(endpoint) + '/'; }

// A client whose handlers write down what they are told.
struct Caller {
  Caller(Loop& on, ClientOptions with) : loop(on), options(test::dressed(std::move(with))) {
    handlers.on_open = [this](Connection&) { log.push_back("open"); };
    handlers.on_message = [this](Connection&, const Message& m) {
      log.push_back(std::string{m.text()});
    };
    handlers.on_close = [this](Connection&, const Closed& closed) {
      log.push_back("closed " + std::to_string(closed.code));
    };
    handlers.on_error = [this](const Error& error) {
      log.push_back("error");
      code = error.code;
      text = error.text;
    };
  }
  Caller(Loop& on, const Endpoint& to) : Caller(on, ClientOptions{.url = url_of(to)}) {}

  Client& connect() {
    client.emplace(loop, options, handlers);
    const Error error = client->connect();
    REQUIRE_MESSAGE(!error, error.text);
    return *client;
  }
  void run_until_heard(std::size_t lines) {
    run_until(loop, [&] { return log.size() >= lines; });
  }

  Loop& loop;
  ClientOptions options;
  Handlers handlers;
  Lines log;
  std::error_code code;  // of the last error,
  std::string text;      // and its sentence
  std::optional<Client> client;
};

}  // namespace

// -- connect() ------------------------------------------------------------------------------------

TEST_CASE("connect: over IPv4, IPv6 and a Unix socket, and bytes go both ways") {
  const Folder folder;
  EchoServer echo;
  echo.start();
  echo.still_echoes();  // what a loop opens for its first connection it may keep
  echo.run_until_empty();
  REQUIRE_FALSE(echo.server->listen(tcp("::1", 0)));
  REQUIRE_FALSE(echo.server->listen(unix_socket(folder / "echo.sock")));
  for (const Endpoint& each : echo.server->endpoints()) {
    CAPTURE(to_string(each));
    Dial dial;
    const std::set<int> before = test::descriptors_without_loop();
    dial.start(*echo.loop, each);
    run_until(*echo.loop, [&] { return dial.is_over(); });
    CHECK(dial.connections == 1);
    REQUIRE(dial.transport != nullptr);
    for (const int fd : test::descriptors()) {
      if (before.contains(fd)) continue;
      CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
      CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    }
    dial.pending.reset();  // which changes nothing any more
    Gather bytes;
    bytes.add(as_bytes(test::upgrade_request));
    std::error_code error;
    CHECK(dial.transport->write(bytes, error) == bytes.size_bytes());
    run_until(*echo.loop, [&] { return dial.got.find("\r\n\r\n") != std::string::npos; });
    CHECK(dial.got.starts_with("HTTP/1.1 101 "));
    CHECK(dial.connections + dial.failures == 1);
    dial.close();
    echo.run_until_empty();
  }
}

TEST_CASE("connect: what cannot be connected to is an error with its cause, and leaves nothing") {
  const Folder folder;
  const std::set<int> before = test::descriptors_without_loop();
  {
    test::Loop loop;
    std::ofstream{folder / "file"} << "no socket";
    { Full left_behind{unix_socket(folder / "left.sock")}; }
    const std::pair<Endpoint, std::errc> all[] = {
        {nowhere(loop), std::errc::connection_refused},
        {unix_socket(folder / "none.sock"), std::errc::no_such_file_or_directory},
        {unix_socket(folder / "left.sock"), std::errc::connection_refused},
        {unix_socket(folder / "file"), std::errc::connection_refused},
        {unix_socket("/tmp/" + std::string(200, 'x')), std::errc::filename_too_long}};
    for (const auto& each : all) {
      const Endpoint& to = each.first;
      CAPTURE(to_string(to));
      Dial dial;
      dial.start(loop, to);
      run_until(loop, [&] { return dial.is_over(); });
      run_for(loop, 2ms);
      CHECK(dial.error == each.second);
      CHECK(dial.connections == 0);
      CHECK(dial.failures == (dial.pending == nullptr ? 0 : 1));
    }
  }
  CHECK(test::descriptors() == before);
}

TEST_CASE("connect: a host that is no address is refused") {
  test::Loop loop;
  for (const char* host : {"", "localhost", "no such host", "256.1.1.1", "1.2.3.4.5", "::g"}) {
    CAPTURE(host);
    Dial dial;
    dial.start(loop, tcp(host, 80));
    run_until(loop, [&] { return dial.is_over(); });
    CHECK(dial.error == errc::bad_address);
    CHECK(dial.connections == 0);
  }
}

TEST_CASE("connect: given up before it is told, nothing is told and nothing stays") {
  EchoServer echo;
  echo.start();
  echo.still_echoes();  // what a loop opens for its first connection it may keep
  echo.run_until_empty();
  const Endpoint refusing = nowhere(*echo.loop);
  const Full full{tcp("127.0.0.1", 0)};
  for (const Endpoint& to : {echo.where(), refusing, full.where}) {
    CAPTURE(to_string(to));
    const std::set<int> before = test::descriptors_without_loop();
    Dial dial;
    dial.start(*echo.loop, to);
    dial.pending.reset();
    run_for(*echo.loop, 10ms);
    CHECK(dial.connections + dial.failures == 0);
    echo.run_until_empty();
    CHECK(test::descriptors() == before);
  }
  echo.run_until_empty();
}

TEST_CASE("connect: given up inside connected(), which may want the connection or not") {
  EchoServer echo;
  echo.start();
  echo.still_echoes();  // what a loop opens for its first connection it may keep
  echo.run_until_empty();
  for (const bool is_wanted : {true, false}) {
    for (const bool gives_up : {true, false}) {
      CAPTURE(is_wanted);
      CAPTURE(gives_up);
      const std::set<int> before = test::descriptors_without_loop();
      Dial dial;
      dial.is_wanted = is_wanted;
      if (gives_up) dial.on_connected = [&] { dial.pending.reset(); };
      dial.start(*echo.loop, echo.where());
      run_until(*echo.loop, [&] { return dial.is_over(); });
      run_for(*echo.loop, 2ms);
      CHECK(dial.connections == 1);
      CHECK((dial.transport != nullptr) == is_wanted);
      dial.close();
      dial.pending.reset();
      echo.run_until_empty();
      CHECK(test::descriptors() == before);
    }
  }
}

TEST_CASE("connect: given up inside connect_failed(), and the next one begun there") {
  EchoServer echo;
  echo.start();
  const Endpoint refusing = nowhere(*echo.loop);
  Dial first;
  Dial second;
  first.on_failed = [&] {
    first.pending.reset();
    second.start(*echo.loop, echo.where());
  };
  first.start(*echo.loop, refusing);
  if (first.pending == nullptr) first.on_failed();
  run_until(*echo.loop, [&] { return second.is_over(); });
  CHECK(first.error == std::errc::connection_refused);
  CHECK(second.connections == 1);
  second.close();
  echo.run_until_empty();
}

TEST_CASE("connect: while nobody answers the loop waits, and does not spin") {
  test::Loop loop;
  const Full full{tcp("127.0.0.1", 0)};
  Dial dial;
  dial.start(loop, full.where);
  run_for(loop, 5ms);
  const unsigned long before = test::waits();
  run_for(loop, 30ms);
  CHECK(test::waits() - before < 10);
  CHECK_FALSE(dial.is_over());
  dial.pending.reset();
}

TEST_CASE("connect: a Unix socket whose queue is full is an error, not a wait") {
  const Folder folder;
  test::Loop loop;
  const Full full{unix_socket(folder / "full.sock")};
  Dial dial;
  dial.start(loop, full.where);
  run_until(loop, [&] { return dial.is_over(); });
  CHECK(dial.error == std::errc::resource_unavailable_try_again);
}

// -- resolve() ------------------------------------------------------------------------------------

TEST_CASE("resolve: what is an address already is told as it is, later") {
  test::Loop loop;
  for (const char* host : {"127.0.0.1", "192.0.2.1", "::1", "2001:db8::1"}) {
    CAPTURE(host);
    Lookup lookup;
    lookup.start(loop, host);
    CHECK(lookup.calls == 0);
    run_until(loop, [&] { return lookup.calls > 0; });
    CHECK(lookup.hosts == Lines{host});
    run_for(loop, 2ms);
    CHECK(lookup.calls == 1);
  }
}

TEST_CASE("thread: resolve: localhost, and a name that is unknown") {
  test::Loop loop;
  Lookup localhost;
  Lookup unknown;
  Lookup empty;
  localhost.start(loop, "localhost");
  unknown.start(loop, no_such_host);
  empty.start(loop, "");
  run_until(loop, [&] { return localhost.calls + unknown.calls + empty.calls == 3; });
  REQUIRE_FALSE(localhost.hosts.empty());
  for (const std::string& host : localhost.hosts)
    CHECK_MESSAGE((host == "127.0.0.1" || host == "::1"), host);
  CHECK(unknown.error.code == errc::host_not_found);
  CHECK(unknown.error.text.starts_with("looking up \"" + no_such_host + "\" failed: "));
  CHECK(empty.error.code == errc::host_not_found);
}

TEST_CASE("thread: resolve: given up at once, and inside resolved()") {
  test::Loop loop;
  for (const std::string& host :
       {std::string{"localhost"}, std::string{"127.0.0.1"}, no_such_host}) {
    CAPTURE(host);
    Lookup given_up;
    given_up.start(loop, host);
    given_up.pending.reset();
    Lookup lookup;
    lookup.on_resolved = [&] { lookup.pending.reset(); };
    lookup.start(loop, host);
    run_until(loop, [&] { return lookup.calls == 1; });
    run_for(loop, 5ms);
    CHECK(given_up.calls == 0);
    CHECK(lookup.calls == 1);
  }
}

TEST_CASE("thread: resolve: given up when it has been told, but not heard yet") {
  test::Loop loop;
  Lookup first;
  Lookup second;
  first.on_resolved = [&] { second.pending.reset(); };
  second.on_resolved = [&] { first.pending.reset(); };
  first.start(loop, "127.0.0.1");
  second.start(loop, "127.0.0.1");
  run_until(loop, [&] { return first.calls + second.calls > 0; });
  run_for(loop, 5ms);
  CHECK(first.calls + second.calls == 1);
}

TEST_CASE("thread: resolve: a lookup may outlast its loop, and ends") {
  std::size_t before = 0;
  {  // A loop's library may keep the threads of its first lookup.
    test::Loop loop;
    Lookup first;
    first.start(loop, "localhost");
    run_until(loop, [&] { return first.calls == 1; });
    before = threads();
  }
  for (int i = 0; i < 50; ++i) {
    Lookup lookup;
    test::Loop loop;
    lookup.start(loop, i % 2 == 0 ? std::string{"localhost"} : no_such_host);
    if (i % 5 == 0) run_for(loop, 1ms);
    lookup.pending.reset();
  }
  test::Loop loop;
  run_until(loop, [&] { return threads() <= before; });
}

TEST_CASE("thread: resolve: the signals of who asks are as they were, without memory too") {
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGUSR2);
  sigset_t usual;
  pthread_sigmask(SIG_SETMASK, &wanted, &usual);
  const std::set<int> before = test::descriptors_without_loop();
  {
    test::Loop loop;
    const std::string host = "localhost";
    bool failed = true;
    for (std::size_t n = 1; failed; ++n) {
      CAPTURE(n);
      REQUIRE(n < 100);
      Lookup lookup;
      failed = test::Allocation::fail_in(n, [&] {
        try {
          lookup.start(loop, host);
        } catch (const std::bad_alloc&) {
        }
      });
      sigset_t now;
      pthread_sigmask(SIG_SETMASK, nullptr, &now);
      for (const int each : {SIGINT, SIGTERM, SIGUSR1, SIGCHLD})
        REQUIRE_MESSAGE(sigismember(&now, each) == 0, each);
      REQUIRE(sigismember(&now, SIGUSR2) == 1);
      // Without memory it is an error, at once or later; what was thrown is told no more.
      if (lookup.pending != nullptr)
        run_until(loop, [&] { return lookup.calls == 1; });
      else
        run_for(loop, 10ms);
      CHECK(lookup.calls == (lookup.pending != nullptr ? 1 : 0));
    }
  }
  pthread_sigmask(SIG_SETMASK, &usual, nullptr);
  CHECK(test::descriptors() == before);
}

// -- The Client -----------------------------------------------------------------------------------

TEST_CASE("thread: client and server on one loop: echoes, and the closing handshake") {
  const Folder folder;
  EchoServer echo;
  echo.start();
  REQUIRE_FALSE(test::listen(*echo.server, unix_socket(folder / "echo.sock")));
  const std::string large = test::noise(1'000'000);
  for (const char* host : {"127.0.0.1", "localhost", "unix"}) {
    CAPTURE(host);
    Endpoint to = echo.where();
    to.host = host;
    Caller caller{*echo.loop, to};
    if (caller.options.url.find("unix") != std::string::npos)
      caller.options.endpoint = unix_socket(folder / "echo.sock");
    Client& client = caller.connect();
    caller.run_until_heard(1);
    CHECK(caller.log == Lines{"open"});
    CHECK(client.send("hello") == errc::ok);
    CHECK(client.send(as_bytes(large)) == errc::ok);
    caller.run_until_heard(3);
    CHECK(caller.log[1] == "hello");
    CHECK((caller.log[2] == large));
    client.close();
    caller.run_until_heard(4);
    CHECK(caller.log.back() == "closed 1000");
    echo.run_until_empty();
    CHECK(std::exchange(echo.closed, {}) == Lines{"1000"});
  }
}

TEST_CASE("client: connecting takes no longer than it may") {
  const std::set<int> before = test::descriptors_without_loop();
  {
    test::Loop loop;
    const Full full{tcp("127.0.0.1", 0)};
    Caller caller{loop, full.where};
    caller.options.connect_time = 20ms;
    caller.connect();
    const TimePoint start = Clock::now();
    caller.run_until_heard(1);
    CHECK(Clock::now() - start >= 20ms);
    CHECK(caller.code == errc::connect_timeout);
    CHECK(caller.text == "cannot connect to " + caller.options.url + ": " + to_string(full.where) +
                             ": connecting took too long");
  }
  CHECK(test::descriptors() == before);
}

TEST_CASE("thread: client: refused, and a name that is unknown") {
  test::Loop loop;
  Caller refused{loop, nowhere(loop)};
  refused.connect();
  Caller unknown{loop, tcp(no_such_host, 80)};
  unknown.connect();
  refused.run_until_heard(1);
  unknown.run_until_heard(1);
  CHECK(refused.text.ends_with(": Connection refused"));
  CHECK(unknown.code == errc::host_not_found);
}

TEST_CASE("client: made anew when its server is back") {
  EchoServer echo;
  echo.start();
  const Endpoint where = echo.where();
  Caller caller{*echo.loop, where};
  caller.options.reconnect = Reconnect{.first = 1ms, .most = 5ms};
  Client& client = caller.connect();
  caller.run_until_heard(1);
  // Which cuts it, and nobody listens.
  echo.server.emplace(*echo.loop, echo.handlers, test::dressed(ServerOptions{}));
  caller.run_until_heard(4);
  CHECK(caller.log[1] == "closed 1006");
  CHECK(client.is_active());
  REQUIRE_FALSE(test::listen(*echo.server, where));
  run_until(*echo.loop, [&] { return client.connection() != nullptr; });
  caller.log.clear();
  CHECK(client.send("back") == errc::ok);
  caller.run_until_heard(1);
  CHECK(caller.log == Lines{"back"});
  caller.client.reset();
  echo.run_until_empty();
}

TEST_CASE("client and server, each destroyed inside the other's handlers and its own") {
  const char* const places[] = {"client open", "client message", "client close", "server request",
                                "server open", "server message", "server close"};
  for (const std::string where : places) {
    for (const bool is_client : {true, false}) {
      CAPTURE(where);
      CAPTURE(is_client);
      EchoServer echo;
      Caller caller{*echo.loop, ClientOptions{}};
      caller.options.reconnect.emplace();
      bool destroyed = false;
      const auto at = [&](const std::string& place) {
        if (place != where || std::exchange(destroyed, true)) return;
        is_client ? caller.client.reset() : echo.server.reset();
      };
      const bool closes = where.ends_with("close");
      caller.handlers.on_open = [&](Connection& c) {
        c.send("hello");
        if (closes) c.close();
        at("client open");
      };
      caller.handlers.on_message = [&](Connection&, const Message&) { at("client message"); };
      caller.handlers.on_close = [&](Connection&, const Closed&) { at("client close"); };
      echo.handlers.on_request = [&](Connection& c, const Request&) {
        CHECK_FALSE(c.accept());
        at("server request");
      };
      echo.handlers.on_open = [&](Connection&) { at("server open"); };
      echo.handlers.on_message = [&](Connection& c, const Message& m) {
        c.send(m);
        at("server message");
      };
      echo.handlers.on_close = [&](Connection&, const Closed&) { at("server close"); };
      echo.start();
      caller.options.url = url_of(echo.where());
      caller.connect();
      run_until(*echo.loop, [&] { return destroyed; });
      run_for(*echo.loop, 5ms);
      caller.client.reset();
      echo.server.reset();
      run_for(*echo.loop, 1ms);
    }
  }
}

TEST_CASE("client: destroyed or closed while it connects, it leaves nothing") {
  EchoServer echo;
  echo.start();
  for (const bool is_destroyed : {true, false}) {
    for (int turns = 0; turns < 8; ++turns) {  // of the loop: each is one step further
      CAPTURE(turns);
      Caller caller{*echo.loop, echo.where()};
      caller.connect();
      int turn = 0;
      std::function<void()> next = [&] {
        if (turn++ < turns) return echo.loop->post(next);
        is_destroyed ? caller.client.reset() : static_cast<void>(caller.client->close());
        echo.loop->stop();
      };
      echo.loop->post(next);
      echo.loop->run();
      echo.run_until_empty();
    }
  }
  run_for(*echo.loop, 5ms);
  echo.run_until_empty();
}

TEST_CASE("200 clients at once") {
  EchoServer echo;
  echo.start();
  std::vector<std::unique_ptr<Caller>> all;
  for (int i = 0; i < 200; ++i) {
    all.push_back(std::make_unique<Caller>(*echo.loop, echo.where()));
    all.back()->connect();
  }
  const auto heard = [&](std::size_t lines) {
    return std::all_of(all.begin(), all.end(),
                       [&](const auto& each) { return each->log.size() == lines; });
  };
  run_until(*echo.loop, [&] { return heard(1); });
  CHECK(echo.server->size() == 200);
  for (std::size_t i = 0; i < all.size(); ++i)
    CHECK(all[i]->client->send(std::to_string(i)) == errc::ok);
  run_until(*echo.loop, [&] { return heard(2); });
  for (const auto& each : all) each->client->close();
  run_until(*echo.loop, [&] { return heard(3); });
  for (std::size_t i = 0; i < all.size(); ++i)
    CHECK(all[i]->log == Lines{"open", std::to_string(i), "closed 1000"});
  echo.run_until_empty();
}
