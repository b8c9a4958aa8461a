// Connections on real sockets: adopted, many, slow, half closed, reset.
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <map>
#include <memory>

#include "support/client.hpp"
#include "support/waits.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Client;
using test::EchoServer;
using test::Lines;
using test::run_until;
namespace opcode = test::opcode;

struct Pair {
  Pair() { REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0); }
  std::array<int, 2> ends{};
};

}  // namespace

TEST_CASE("an adopted socket continues behind what was read from it") {
  EchoServer echo;
  echo.start();
  const Pair pair;
  Client client{pair.ends[1]};
  client.send(std::string{test::upgrade_request} + test::client_frame(opcode::text, "early"));
  std::array<char, 160> read{};  // which ends in the midst of something
  REQUIRE(recv(pair.ends[0], read.data(), read.size(), 0) == read.size());
  REQUIRE_FALSE(test::adopt(*echo.server, pair.ends[0], as_bytes({read.data(), read.size()})));
  CHECK(fcntl(pair.ends[0], F_GETFD) == FD_CLOEXEC);
  run_until(*echo.loop, [&] { return client.upgraded(); });
  client.send(opcode::text, "late");
  run_until(*echo.loop, [&] { return client.pump(), client.got.size() >= 13; });
  CHECK(test::frames(client.got) == Lines{"> text \"early\"", "> text \"late\""});
  client.end_writing();
  echo.run_until_empty();
  CHECK(echo.closed == std::vector<std::string>{"1006 connection_lost"});
}

TEST_CASE("a socket that cannot be adopted stays its owner's") {
  EchoServer echo;
  echo.start();
  CHECK(test::adopt(*echo.server, -1).code == std::errc::bad_file_descriptor);
  CHECK(echo.server->size() == 0);
}

TEST_CASE("what a connection sends leaves at once: of every listener, and of an adopted socket") {
  EchoServer echo;
  echo.start();
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(listen(listener, 1) == 0);
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const Client client{Endpoint{.host = "127.0.0.1", .port = ntohs(address.sin_port), .path = {}}};
  const int fd = accept(listener, nullptr, nullptr);
  REQUIRE_FALSE(test::adopt(*echo.server, fd));
  REQUIRE_FALSE(test::adopt_listener(*echo.server, listener));

  const auto before = test::descriptors();
  std::vector<int> all{fd};
  std::vector<Client> accepted;
  for (const Endpoint& each : echo.server->endpoints()) accepted.emplace_back(each);
  for (Client& each : accepted) each.open(*echo.loop);
  for (const int each : test::descriptors()) {
    const auto is_its = [&](const Client& its) { return its.fd() == each; };
    if (before.count(each) == 0 && std::ranges::none_of(accepted, is_its)) all.push_back(each);
  }
  CHECK(all.size() == 3);
  for (const int each : all) {
    int on = 0;
    size = sizeof on;
    REQUIRE(getsockopt(each, IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0);
    CHECK(on == 1);
  }
}

TEST_CASE("every descriptor is closed on exec") {
  EchoServer echo;
  echo.start();
  REQUIRE_FALSE(test::listen(*echo.server, {.host = "::1", .port = 0, .path = {}}));
  Client client{echo.where()};
  client.open(*echo.loop);
  int looked_at = 0;
  for (const int each : test::descriptors()) {
    if (echo.before.count(each) != 0) continue;
    CAPTURE(each);
    CHECK(fcntl(each, F_GETFD) == FD_CLOEXEC);
    ++looked_at;
  }
  CHECK(looked_at >= 4);  // two listeners, both ends of the connection, and what the loop has
}

TEST_CASE("a peer may end its side and still gets all its answers, and then the end") {
  EchoServer echo;
  echo.start();
  Client client{echo.where()};
  std::string input{test::upgrade_request};
  for (int i = 0; i < 100; ++i)
    input += test::client_frame(opcode::binary, std::string(10'000, 'x'));
  client.send(input);
  run_until(*echo.loop, [&] { return client.pump(), client.unsent() == 0; });
  client.end_writing();
  run_until(*echo.loop, [&] { return client.pump(), client.ended; });
  REQUIRE(client.upgraded());
  CHECK(test::frames(client.got) == Lines(100, "> binary \"x\"*10000"));
  echo.run_until_empty();
  CHECK(echo.closed == std::vector<std::string>{"1006 connection_lost"});
}

TEST_CASE("a protocol error is answered, and the answer survives what comes behind it") {
  EchoServer echo;
  echo.start();
  Client client{echo.where()};
  client.open(*echo.loop);
  client.send("\xFF\xFF" + std::string(500'000, 'x'));
  run_until(*echo.loop, [&] { return client.pump(), client.ended; });
  CHECK(client.error == 0);
  REQUIRE(client.got.size() > 4);
  CHECK(client.got.substr(2, 2) == test::close_payload(1002));
  CHECK(echo.server->size() == 1);  // until we end it too
  run_until(*echo.loop, [&] { return client.pump(), client.unsent() == 0; });
  client.close();
  echo.run_until_empty();
  CHECK(echo.closed == std::vector<std::string>{"1006 protocol_error"});
}

TEST_CASE("a peer may break off at any stage, and the server serves the next one") {
  struct Stage {
    const char* name;
    void (*reach)(EchoServer&, Client&);
  };
  const Stage stages[] = {
      {"before it is accepted", [](EchoServer&, Client&) {}},
      {"after it is accepted",
       [](EchoServer& e, Client&) { run_until(*e.loop, [&] { return e.server->size() == 1; }); }},
      {"inside the request",
       [](EchoServer& e, Client& c) {
         c.send(test::upgrade_request.substr(0, 40));
         test::run_for(*e.loop, 1ms);
       }},
      {"with the answer unread",
       [](EchoServer& e, Client& c) {
         c.send(test::upgrade_request);
         run_until(*e.loop, [&] { return e.opened == 1; });
       }},
      {"open", [](EchoServer& e, Client& c) { c.open(*e.loop); }},
      {"inside a message",
       [](EchoServer& e, Client& c) {
         c.open(*e.loop).send_half(test::client_frame(opcode::binary, test::noise(100'000)));
         test::run_for(*e.loop, 1ms);
       }},
      {"with output that it does not take",
       [](EchoServer& e, Client& c) {
         test::hold_little(c.fd());
         c.open(*e.loop).reads = false;
         c.send(opcode::text, "much");
         run_until(*e.loop, [&] { return e.server->find(1)->output_size() > 0; });
       }},
      {"after the closing handshake",
       [](EchoServer& e, Client& c) {
         c.open(*e.loop).send(opcode::close, test::close_payload(1000));
         run_until(*e.loop, [&] { return c.pump(), c.ended; });
       }},
      {"paused, then resumed",
       [](EchoServer& e, Client& c) {
         c.open(*e.loop);
         const auto connection = e.server->find(1);
         connection->pause();
         c.send(opcode::text, "unheard");
         e.loop->post(
             [connection, &loop = *e.loop] { loop.post([connection] { connection->resume(); }); });
       }},
      {"paused, then sent to",
       [](EchoServer& e, Client& c) {
         c.open(*e.loop);
         const auto connection = e.server->find(1);
         connection->pause();
         // Nobody reads, so only a write can find out; it may take a second one.
         c.reset();
         run_until(*e.loop, [&] { return connection->send("?") == errc::not_open; });
       }},
  };
  for (const Stage& stage : stages) {
    CAPTURE(stage.name);
    EchoServer echo;
    echo.handlers.on_message = [](Connection& c, const Message& m) {
      if (m.text() == "much")
        for (int i = 0; i < 4; ++i) c.send(as_bytes(test::noise(250'000)));
    };
    echo.start_with_little();
    Client client{echo.where()};
    stage.reach(echo, client);
    client.reset();
    echo.server->find(1);
    run_until(*echo.loop, [&] { return echo.server->size() == 0; });
    CHECK(echo.closed.size() == static_cast<std::size_t>(echo.opened));
    Client next{echo.where()};
    next.open(*echo.loop);
  }
}

TEST_CASE("a peer that does not read stops the reading from it, and loses nothing") {
  constexpr std::size_t messages = 16;
  constexpr std::size_t size = 1024 * 1024;
  // A quarter of it is noise, everywhere, and so much is left of it by compression.
  const auto message = [](std::size_t number) {
    const std::string noise = test::noise(size / 4, number);
    std::string payload(size, '\0');
    for (std::size_t i = 0; i < noise.size(); i += 1024)
      payload.replace(4 * i, 1024, noise, i, 1024);
    return payload;
  };
  EchoServer echo;
  std::size_t most = 0;
  std::size_t heard = 0;
  echo.handlers.on_message = [&](Connection& c, const Message& m) {
    ++heard;
    CHECK(c.send(m) == errc::ok);
    most = std::max(most, echo.loop->pool().in_use());
  };
  int drains = 0;
  echo.handlers.on_drain = [&](Connection&) { ++drains; };
  echo.start_with_little();
  Client client{echo.where()};
  test::hold_little(client.fd());
  client.open(*echo.loop);
  const std::size_t at_rest = echo.loop->pool().in_use();  // of TLS, if anything
  client.reads = false;
  for (std::size_t i = 0; i < messages; ++i)
    client.send(test::client_frame(opcode::binary, message(i)));
  const auto connection = echo.server->find(1);
  run_until(*echo.loop, [&] { return client.pump(), connection->is_congested(); });
  // No more is read, however often we try to send more.
  test::run_for(*echo.loop, 1ms);
  const std::size_t heard_when_full = heard;
  const unsigned long before = test::waits();
  test::run_for(*echo.loop, 200ms);
  CHECK(test::waits() - before < 20);
  std::size_t taken = 0;
  do {
    taken = client.taken;
    client.pump();
    test::run_for(*echo.loop, 5ms);
  } while (client.taken > taken);
  CHECK(heard == heard_when_full);
  CHECK(client.unsent() > 0);
  CHECK(drains == 0);

  client.reads = true;
  std::size_t received = 0;
  run_until(*echo.loop, [&] {
    client.pump();
    most = std::max(most, echo.loop->pool().in_use());
    std::string_view rest = client.got;
    while (const auto frame = test::decode(rest)) {
      CHECK((frame->payload == message(received)));
      ++received;
    }
    client.got.erase(0, client.got.size() - rest.size());
    return received == messages;
  });
  CHECK(heard == messages);
  CHECK(drains > 0);
  CHECK(most < 6 * size);  // the high water, a message more, and one that is coming
  CHECK(echo.loop->pool().in_use() == at_rest);
}

TEST_CASE("a thousand connections at once") {
  constexpr std::size_t clients = 1000;
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit usual = limit;
  limit.rlim_cur = std::max<rlim_t>(limit.rlim_cur, 2 * clients + 100);
  REQUIRE_MESSAGE(setrlimit(RLIMIT_NOFILE, &limit) == 0, "this needs 2,100 open files");
  {
    EchoServer echo;
    echo.start();
    std::vector<Client> all;
    all.reserve(clients);
    for (std::size_t i = 0; i < clients; ++i) {
      all.emplace_back(echo.where());
      all.back().send(test::upgrade_request);
    }
    run_until(*echo.loop, [&] { return echo.opened == clients; });
    CHECK(echo.server->size() == clients);
    for (std::size_t i = 0; i < clients; ++i) all[i].send(opcode::text, std::to_string(i));
    std::size_t answered = 0;
    run_until(*echo.loop, [&] {
      for (; answered < clients; ++answered) {
        Client& client = all[answered];
        client.pump();
        if (client.got.find("\r\n\r\n") == std::string::npos ||
            !client.got.ends_with(std::to_string(answered)))
          return false;
      }
      return true;
    });
    for (std::size_t i = 0; i < clients; ++i) {
      REQUIRE(all[i].upgraded());
      REQUIRE(test::frames(all[i].got) == Lines{"> text \"" + std::to_string(i) + '"'});
    }
    for (std::size_t i = 0; i < clients; i += 2) all[i].reset();  // half of them cut off at once
    run_until(*echo.loop, [&] { return echo.server->size() == clients / 2; });
    bool done = false;
    echo.server->shutdown(1h, [&] { done = true; });
    for (std::size_t i = 1; i < clients; i += 2) {
      all[i].send(opcode::close, test::close_payload(1001));
      all[i].end_writing();
    }
    run_until(*echo.loop, [&] { return done; });
    CHECK(echo.closed.size() == clients);
  }
  REQUIRE(setrlimit(RLIMIT_NOFILE, &usual) == 0);
}

TEST_CASE("a paused connection whose peer goes away costs nothing") {
  for (const bool resets : {false, true}) {
    CAPTURE(resets);
    EchoServer echo;
    echo.start();
    Client client{echo.where()};
    client.open(*echo.loop);
    const auto connection = echo.server->find(1);
    connection->pause();
    client.send(opcode::text, "unheard");
    resets ? client.reset() : client.close();
    test::run_for(*echo.loop, 1ms);
    const unsigned long before = test::waits();
    test::run_for(*echo.loop, 200ms);
    CHECK(test::waits() - before < 10);
    CHECK(echo.server->size() == 1);
    connection->resume();
    echo.run_until_empty();
  }
}

TEST_CASE("a descriptor that is closed here and open in a child tells nothing, and costs nothing") {
  for (const bool replaced : {false, true}) {
    CAPTURE(replaced);
    EchoServer echo;
    echo.start();
    const int place = dup(STDIN_FILENO);
    Client client{echo.where()};
    client.open(*echo.loop);
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {  // until its parent says so, or is gone
      close(ends[1]);
      char end = 0;
      _exit(static_cast<int>(read(ends[0], &end, 1)));
    }
    close(ends[0]);
    echo.server->find(1)->abort();
    echo.run_until_empty();
    close(place);  // for the next client: what the server has gets the number that it had
    std::optional<Client> next;
    if (replaced) next.emplace(echo.where()).open(*echo.loop);
    client.send("the child could read this");
    client.end_writing();
    test::run_for(*echo.loop, 5ms);
    const unsigned long before = test::waits();
    test::run_for(*echo.loop, 100ms);
    CHECK(test::waits() - before < 10);
    echo.still_echoes();
    close(ends[1]);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
  }
}

TEST_CASE("a connection at its end costs nothing while it waits for its peer") {
  EchoServer echo;
  echo.limits.output_high_water = 64 * 1024 * 1024;  // beyond it nothing is read, not even the end
  echo.start_with_little();
  Client half{echo.where()};
  test::hold_little(half.fd());
  half.open(*echo.loop).reads = false;
  // Much output, and then the peer ends its side: it is read no more, and written when it reads.
  bool sent = false;
  echo.loop->post([&] {
    for (int i = 0; i < 10; ++i) echo.server->find(1)->send(as_bytes(test::noise(100'000)));
    sent = true;
  });
  run_until(*echo.loop, [&] { return sent; });
  half.end_writing();
  run_until(*echo.loop, [&] { return echo.closed.size() == 1; });
  const unsigned long before = test::waits();
  test::run_for(*echo.loop, 200ms);
  CHECK(test::waits() - before < 10);
  half.reads = true;
  run_until(*echo.loop, [&] { return half.pump(), half.ended; });
  CHECK(half.got.size() == 10 * 100'010);
  echo.run_until_empty();
}

TEST_CASE("the events of one wake-up may undo each other") {
  // Two connections that are ready together, and the first to speak cuts the other, pauses it, or
  // destroys the server.
  for (int act = 0; act < 4; ++act) {
    CAPTURE(act);
    EchoServer echo;
    int heard = 0;
    std::map<std::uint64_t, std::shared_ptr<Connection>> all;
    echo.handlers.on_open = [&](Connection& c) { all[c.id()] = c.keep(), ++echo.opened; };
    echo.handlers.on_message = [&](Connection& c, const Message&) {
      ++heard;
      Connection& other = *all[3 - c.id()];
      if (act == 0) other.abort();
      if (act == 1) other.pause();
      if (act == 2) echo.server.reset();
      if (act == 3) {  // a new socket in the place of the old one
        other.abort();
        Pair pair;
        close(pair.ends[1]);
        CHECK_FALSE(test::adopt(*echo.server, pair.ends[0]));
      }
    };
    echo.start();
    Client a{echo.where()};
    Client b{echo.where()};
    a.open(*echo.loop);
    b.open(*echo.loop);
    a.send(opcode::text, "a");
    b.send(opcode::text, "b");
    test::run_for(*echo.loop, 20ms);
    CHECK(heard == 1);
    all.clear();
  }
}
