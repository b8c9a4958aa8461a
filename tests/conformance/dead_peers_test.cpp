// Peers that are gone without a word, and peers that do not end: each is let go of in its time.
#include <poll.h>
#include <sys/wait.h>

#include <csignal>

#include "support/client.hpp"
#include "support/noise.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Client;
using test::EchoServer;
using test::run_until;
namespace opcode = test::opcode;

const std::string megabyte(1'000'000, 'x');

// Pings soon, and gives up soon.
struct Impatient : EchoServer {
  Impatient() {
    limits.ping_interval = 30ms;
    limits.idle_time = 100ms;
    limits.close_time = 50ms;
  }
  void run_until_closed(const char* why) {
    run_until(*loop, [&] { return !closed.empty() || !errors.empty(); });
    run_until_empty();
    CHECK(errors.empty());
    CHECK(closed == std::vector<std::string>{why});
  }
};

// A process that answers pings, until it is stopped.
class OtherProcess {
 public:
  explicit OtherProcess(const Endpoint& server) : id_(fork()) {
    REQUIRE(id_ >= 0);
    if (id_ != 0) return;
    alarm(60);  // whatever happens, it ends
    Client client{server};
    client.send(test::upgrade_request);
    for (bool open = false; !client.ended && client.error == 0;) {
      pollfd polled{.fd = client.fd(), .events = POLLIN, .revents = 0};
      poll(&polled, 1, 1);
      client.pump();
      open = open || client.upgraded();
      std::string_view rest = client.got;
      while (const auto frame = open ? test::decode(rest) : std::nullopt)
        if (frame->opcode == opcode::ping) client.send(opcode::pong, frame->payload);
      client.got.erase(0, client.got.size() - rest.size());
    }
    _exit(0);
  }
  OtherProcess(const OtherProcess&) = delete;
  OtherProcess& operator=(const OtherProcess&) = delete;
  ~OtherProcess() {
    kill(id_, SIGKILL);
    waitpid(id_, nullptr, 0);
  }
  void stop() const { kill(id_, SIGSTOP); }

 private:
  pid_t id_;
};

const std::string much = test::noise(megabyte.size());  // compressed or not

}  // namespace

TEST_CASE("a peer that vanished without a word is closed after idle_time") {
  Impatient echo;
  echo.start();
  Client client{echo.where()};
  client.open(*echo.loop);
  echo.run_until_closed("1006 idle_timeout");
}

TEST_CASE("a peer that is silent is pinged") {
  Impatient echo;
  echo.limits.idle_time = 0s;
  echo.start();
  Client client{echo.where()};
  client.open(*echo.loop);
  run_until(*echo.loop, [&] { return client.pump(), !client.got.empty(); });
  CHECK(test::frames(client.got) == test::Lines{"> ping"});
}

TEST_CASE("a peer that vanished is closed after idle_time also while it is sent to") {
  Impatient echo;
  Timer* again = nullptr;
  Timer tick{*echo.loop, [&] {
               echo.server->for_each([](Connection& peer) { peer.send("tick"); });
               again->start(1ms);
             }};
  again = &tick;
  echo.start();
  Client client{echo.where()};
  client.open(*echo.loop);
  client.reads = false;
  tick.start(0ms);
  echo.run_until_closed("1006 idle_timeout");
}

TEST_CASE("a peer that vanished is closed after idle_time also while output waits for it") {
  Impatient echo;
  echo.handlers.on_open = [](Connection& peer) {
    for (int i = 0; i < 30; ++i) peer.send(as_bytes(much));  // more than sockets hold
  };
  echo.start();
  Client client{echo.where()};
  client.reads = false;
  client.send(test::upgrade_request);
  run_until(*echo.loop, [&] { return echo.server->size() == 1; });
  echo.run_until_closed("1006 idle_timeout");
}

TEST_CASE("a peer that answers pings stays, until its process stops") {
  // On a busy machine the other process may get no turn within idle_time: then it is given longer.
  for (Duration idle_time = 1s; idle_time <= 16s; idle_time *= 2) {
    Impatient echo;
    int pongs = 0;
    echo.limits.idle_time = idle_time;
    echo.handlers.on_pong = [&](Connection&, Bytes) { ++pongs; };
    echo.start();
    const OtherProcess peer{echo.where()};
    run_until(*echo.loop, [&] { return pongs == 3 || !echo.closed.empty(); });
    if (pongs < 3) continue;
    peer.stop();
    echo.run_until_closed("1006 idle_timeout");
    return;
  }
  FAIL("a peer that answers pings was closed, however long it was given");
}

TEST_CASE("a peer that does not end is cut after close_time, at whatever it stopped") {
  struct Way {
    const char* what;
    std::function<void(EchoServer&, Client&)> does;
    const char* closed;
  };
  const auto server_closes = [](EchoServer& echo, Client&) {
    echo.loop->post([&] { echo.server->for_each([](Connection& peer) { peer.close(); }); });
  };
  const Way ways[] = {
      {"ends its side, and reads nothing",
       [](EchoServer&, Client& client) {
         client.reads = false;
         client.end_writing();
       },
       "1006 connection_lost"},
      {"is sent a close frame, and says nothing", server_closes, "1006 close_timeout"},
      {"is sent a close frame, and reads nothing",
       [&](EchoServer& echo, Client& client) {
         client.reads = false;
         server_closes(echo, client);
       },
       "1006 close_timeout"},
      {"is sent a close frame when it has shut down its reading",
       [&](EchoServer& echo, Client& client) {
         shutdown(client.fd(), SHUT_RD);
         server_closes(echo, client);
       },
       "1006 close_timeout"},
      {"speaks on, when it was sent a close frame",
       [&](EchoServer& echo, Client& client) {
         server_closes(echo, client);
         for (int i = 0; i < 100; ++i) client.send(opcode::text, "and another thing");
       },
       "1006 close_timeout"},
      {"says its close frame, and does not end its side",
       [](EchoServer&, Client& client) { client.send(opcode::close, test::close_payload(1000)); },
       "1000"},
      {"says its close frame and more, and does not end its side",
       [](EchoServer&, Client& client) {
         client.send(test::client_frame(opcode::close, test::close_payload(1000)) + "more");
       },
       "1000"},
      {"breaks the protocol, and does not end its side",
       [](EchoServer&, Client& client) { client.send(3, "no such opcode"); },
       "1006 protocol_error"},
  };
  for (const Way& way : ways) {
    CAPTURE(way.what);
    Impatient echo;
    echo.limits.ping_interval = echo.limits.idle_time = 0s;
    echo.start();
    Client client{echo.where()};
    client.open(*echo.loop);
    way.does(echo, client);
    echo.run_until_closed(way.closed);
  }
}

TEST_CASE("a peer that ends its side, and reads nothing of much, is cut after close_time") {
  Impatient echo;
  echo.limits.ping_interval = echo.limits.idle_time = 0s;
  echo.limits.output_high_water = 64 * megabyte.size();  // or its end is not read
  echo.handlers.on_open = [](Connection& peer) {
    for (int i = 0; i < 30; ++i) peer.send(as_bytes(much));
  };
  echo.start();
  Client client{echo.where()};
  client.reads = false;
  client.send(test::upgrade_request);
  run_until(*echo.loop, [&] { return echo.server->size() == 1; });
  run_until(*echo.loop, [&] { return echo.server->find(1)->output_size() > 0; });
  client.end_writing();
  echo.run_until_closed("1006 connection_lost");
}

TEST_CASE("a peer that is answered in the handshake, and does not end its side, is let go of") {
  for (const char* request : {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "garbage\r\n\r\n"}) {
    CAPTURE(request);
    Impatient echo;
    echo.start();
    Client client{echo.where()};
    client.send(request);
    run_until(*echo.loop, [&] { return client.pump(), !client.got.empty(); });
    echo.run_until_empty();
    CHECK(echo.closed.empty());
  }
}
