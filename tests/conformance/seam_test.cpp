// Transport and Listener as they are, without the core that is careful with them.
#include <array>
#include <memory>
#include <set>

#include "support/accepts.hpp"
#include "support/client.hpp"
#include "support/waits.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Client;
using test::run_for;
using test::run_until;

// Writes down what it is told. A test may add what to do then.
struct Recorder final : TransportEvents {
  Transport* transport = nullptr;
  std::string received_text;
  int receives = 0;
  int ends = 0;
  int writtens = 0;
  std::error_code failure;
  int failures = 0;
  std::function<void()> on_written;
  std::function<void()> on_received;
  std::function<void()> on_ended;

  void opened(Transport& its) noexcept override { transport = &its; }
  MutableBytes read_space() noexcept override { return space; }
  void received(MutableBytes bytes) noexcept override {
    ++receives;
    received_text += as_text(bytes);
    if (on_received) on_received();
  }
  void ended() noexcept override {
    ++ends;
    if (on_ended) on_ended();
  }
  void written(std::size_t) noexcept override {
    ++writtens;
    if (on_written) on_written();
  }
  void failed(std::error_code cause) noexcept override {
    ++failures;
    failure = cause;
  }

  // Makes it the end of a pair of sockets, and returns the other one.
  Client on(test::Loop& loop) {
    std::array<int, 2> ends_of_pair{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_of_pair.data()) == 0);
    Error error;
    transport = loop->adopt(ends_of_pair[0], *this, error);
    REQUIRE(transport != nullptr);
    return Client{ends_of_pair[1]};
  }
  void close(How how = How::graceful) { std::exchange(transport, nullptr)->close(how); }
  // Fills what the system holds, and asks for written().
  void fill() {
    Gather bytes;
    bytes.add(as_bytes(much));
    std::error_code error;
    while (transport->write(bytes, error) == bytes.size_bytes())
      ;
    REQUIRE_FALSE(error);
    transport->write_later(bytes);
  }

  std::array<std::byte, 1000> space{};
  const std::string much = std::string(1'000'000, 'x');  // write_later() keeps a view of it
};

}  // namespace

TEST_CASE("want_read(false) holds what comes back, want_read(true) lets it come") {
  test::Loop loop;
  Recorder recorder;
  Client client = recorder.on(loop);
  recorder.transport->want_read(false);
  recorder.transport->want_read(false);
  client.send("hello");
  run_for(loop, 5ms);
  CHECK(recorder.receives == 0);
  recorder.transport->want_read(true);
  run_until(loop, [&] { return recorder.received_text == "hello"; });
  recorder.close();
}

TEST_CASE("a read brings as much as there is space for, and the rest comes with the next") {
  test::Loop loop;
  Recorder recorder;
  Client client = recorder.on(loop);
  client.send(std::string(2500, 'x'));
  run_until(loop, [&] { return recorder.received_text.size() == 2500; });
  CHECK(recorder.receives == 3);
  recorder.close();
}

TEST_CASE("the end is told once, behind what came before it, however much reading is wanted") {
  test::Loop loop;
  Recorder recorder;
  Client client = recorder.on(loop);
  client.send("last");
  client.end_writing();
  run_until(loop, [&] { return recorder.ends == 1; });
  CHECK(recorder.received_text == "last");
  const unsigned long before = test::waits();
  run_for(loop, 20ms);
  recorder.transport->want_read(true);
  run_for(loop, 20ms);
  CHECK(test::waits() - before < 10);
  CHECK(recorder.ends == 1);
  // Writing goes on.
  Gather bytes;
  bytes.add(as_bytes("still"));
  bytes.add(as_bytes(" here"));
  std::error_code error;
  CHECK(recorder.transport->write(bytes, error) == 10);
  recorder.transport->shutdown_write();
  run_until(loop, [&] { return client.pump(), client.ended; });
  CHECK(client.got == "still here");
  recorder.close();
}

TEST_CASE("written() comes once for each write_later()") {
  test::Loop loop;
  Recorder recorder;
  Client client = recorder.on(loop);
  recorder.fill();
  run_for(loop, 5ms);
  CHECK(recorder.writtens == 0);
  run_until(loop, [&] { return client.pump(), recorder.writtens == 1; });
  const unsigned long before = test::waits();
  run_for(loop, 20ms);
  CHECK(test::waits() - before < 10);
  CHECK(recorder.writtens == 1);
  recorder.close();
}

TEST_CASE("what written() makes unwanted is not read in the same wake-up") {
  test::Loop loop;
  for (const bool read_wanted_last : {false, true}) {
    CAPTURE(read_wanted_last);
    Recorder recorder;
    Client client = recorder.on(loop);
    int receives = 0;  // before written(): there are loops that read first
    recorder.on_written = [&] {
      recorder.transport->want_read(false);
      receives = recorder.receives;
    };
    recorder.fill();
    if (read_wanted_last) {
      recorder.transport->want_read(false);
      recorder.transport->want_read(true);
    }
    client.pump();         // there is room again ...
    client.send("hello");  // ... and something to read
    run_until(loop, [&] { return client.pump(), recorder.writtens == 1; });
    run_for(loop, 5ms);
    CHECK(recorder.writtens == 1);
    CHECK(recorder.receives == receives);
    recorder.close();
  }
}

TEST_CASE("a transport may be closed inside each event") {
  test::Loop loop;
  for (const How how : {How::graceful, How::abortive}) {
    for (const bool in_written : {false, true}) {
      CAPTURE(in_written);
      Recorder recorder;
      Client client = recorder.on(loop);
      (in_written ? recorder.on_written : recorder.on_received) = [&] { recorder.close(how); };
      if (in_written) {
        recorder.fill();
        client.pump();  // there is room again, and something to read as well
      }
      client.send("hello");
      run_until(loop, [&] { return client.pump(), recorder.transport == nullptr; });
      const int told = recorder.receives + recorder.writtens;
      run_for(loop, 2ms);
      CHECK(recorder.receives + recorder.writtens == told);
      CHECK((in_written ? recorder.writtens : recorder.receives) == 1);
    }
  }
}

TEST_CASE("a write to a peer that is gone is an error, not a signal") {
  test::Loop loop;
  for (const int parts : {1, 2}) {
    Recorder recorder;
    recorder.on(loop);  // and the other end is closed
    Gather bytes;
    for (int i = 0; i < parts; ++i) bytes.add(as_bytes("hello"));
    std::error_code error;
    CHECK(recorder.transport->write(bytes, error) == 0);
    CHECK(error == std::errc::broken_pipe);
    recorder.close();
  }
}

TEST_CASE("a graceful close lets arrive what was taken, and an abortive one is a reset") {
  for (const How how : {How::graceful, How::abortive}) {
    test::EchoServer echo;
    echo.start();
    Client client{echo.where()};
    client.open(*echo.loop);
    if (how == How::graceful) {
      client.send(test::opcode::close, test::close_payload(1000));
      run_until(*echo.loop, [&] { return client.pump(), client.ended || client.error != 0; });
      CHECK(client.error == 0);
      CHECK(test::frames(client.got) == test::Lines{"> close 1000"});
    } else {
      echo.server->find(1)->abort();
      run_until(*echo.loop, [&] { return client.pump(), client.ended || client.error != 0; });
      CHECK(client.error == ECONNRESET);
    }
  }
}

TEST_CASE("the peer of a socket that has no name, nor has its other end, is a Unix socket's") {
  test::Loop loop;
  Recorder recorder;
  const Client other = recorder.on(loop);
  CHECK(recorder.transport->peer().is_unix());
  recorder.close();
}

TEST_CASE("a listener tells where a peer comes from") {
  struct Host final : AcceptEvents {
    TransportEvents* accepted(Bytes address) noexcept override {
      from.emplace_back(as_text(address));
      return nullptr;
    }
    void accept_failed(const Error&) noexcept override {}
    std::vector<std::string> from;
  } host;
  const std::string unix_path = "/tmp/timtow-seam-" + std::to_string(getpid());
  test::Loop loop;
  for (const Endpoint& where : {Endpoint{.host = "127.0.0.1", .port = 0, .path = {}},
                                Endpoint{.host = "::1", .port = 0, .path = {}},
                                Endpoint{.host = {}, .port = 0, .path = unix_path}}) {
    Error error;
    Listener* const listener = loop->listen(where, host, error);
    REQUIRE_MESSAGE(listener != nullptr, error.text);
    const std::size_t before = host.from.size();
    const Client client{listener->endpoint()};
    run_until(loop, [&] { return host.from.size() > before; });
    listener->close();
  }
  CHECK(host.from == std::vector<std::string>{{'\x7F', 0, 0, 1}, std::string(15, '\0') + '\1', ""});
}

TEST_CASE("a listener may be closed inside accepted(), and paused and resumed") {
  struct Host final : AcceptEvents {
    TransportEvents* accepted(Bytes) noexcept override {
      ++count;
      if (on_accepted) on_accepted();
      return nullptr;
    }
    void accept_failed(const Error&) noexcept override { ++failures; }
    int count = 0;
    int failures = 0;
    std::function<void()> on_accepted;
  } host;
  test::Loop loop;
  Error error;
  Listener* listener = loop->listen({.host = "127.0.0.1", .port = 0, .path = {}}, host, error);
  REQUIRE(listener != nullptr);
  listener->want_accept(false);
  Client first{listener->endpoint()};
  Client second{listener->endpoint()};
  run_for(loop, 5ms);
  CHECK(host.count == 0);
  host.on_accepted = [&] { listener->want_accept(false); };
  listener->want_accept(true);
  run_for(loop, 5ms);
  CHECK(host.count == 1);
  run_until(loop, [&] { return first.pump(), first.ended || first.error != 0; });  // unseen
  Client third{listener->endpoint()};
  host.on_accepted = [&] { listener->close(); };
  listener->want_accept(true);
  run_for(loop, 5ms);
  CHECK(host.count == 2);
  CHECK(host.failures == 0);
}

TEST_CASE("peers that come alone are not looked for in vain, and many at once come together") {
  struct Host final : AcceptEvents {
    TransportEvents* accepted(Bytes) noexcept override {
      ++count;
      turns.insert(test::waits());
      return nullptr;
    }
    void accept_failed(const Error&) noexcept override {}
    unsigned long count = 0;
    std::set<unsigned long> turns;
  } host;
  constexpr unsigned long peers = 100;
  test::Loop loop;
  Error error;
  Listener* const listener =
      loop->listen({.host = "127.0.0.1", .port = 0, .path = {}}, host, error);
  REQUIRE(listener != nullptr);
  const unsigned long before = test::accepts();
  for (unsigned long i = 1; i <= peers; ++i) {
    const Client client{listener->endpoint()};
    run_until(loop, [&] { return host.count == i; });
  }
  CHECK(test::accepts() - before < peers * 12 / 10);

  std::vector<Client> all;
  for (unsigned long i = 0; i < peers; ++i) all.emplace_back(listener->endpoint());
  host.turns.clear();
  run_until(loop, [&] { return host.count == 2 * peers; });
  CHECK(host.turns.size() < peers / 2);
  listener->close();
}

TEST_CASE("a connect that starts in the place of a connection that has ended is not told its end") {
  // Nobody accepts and the queue is full, so the connect goes on.
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(bind(listener, any, size) == 0);
  REQUIRE(listen(listener, 0) == 0);
  REQUIRE(getsockname(listener, any, &size) == 0);
  std::array<int, 3> waiting{};
  for (int& fd : waiting) {
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    REQUIRE((connect(fd, any, size) == 0 || errno == EINPROGRESS));
  }
  struct Host final : ConnectEvents {
    TransportEvents* connected() noexcept override { return ++told, nullptr; }
    void connect_failed(std::error_code) noexcept override { ++told; }
    int told = 0;
  } host;

  test::Loop loop;
  std::unique_ptr<Pending> pending;
  std::array<Recorder, 2> both;
  for (Recorder& each : both) {
    Recorder& other = &each == &both[0] ? both[1] : both[0];
    each.on_ended = [&] {
      other.close();
      std::error_code error;
      pending = loop->connect({.host = "127.0.0.1", .port = ntohs(address.sin_port), .path = {}},
                              host, error);
      CHECK_FALSE(error);
    };
  }
  {
    const Client a = both[0].on(loop);
    const Client b = both[1].on(loop);
  }  // they end together
  run_for(loop, 20ms);
  CHECK(both[0].ends + both[1].ends == 1);
  CHECK(host.told == 0);
  pending.reset();
  (both[0].ends == 1 ? both[0] : both[1]).close();
  for (const int fd : waiting) close(fd);
  close(listener);
}

TEST_CASE("watches that ended leave no place behind") {
  test::EchoServer echo;
  echo.start();
  for (int i = 0; i < 100; ++i) {
    std::array<Client, 3> clients{Client{echo.where()}, Client{echo.where()}, Client{echo.where()}};
    run_until(*echo.loop, [&] { return echo.server->size() == 3; });
    for (Client& each : clients) each.close();
    echo.run_until_empty();
  }
  run_for(*echo.loop, 1ms);
  CHECK(test::poll_size() <= 2);  // the loop's own, and the listener
}
