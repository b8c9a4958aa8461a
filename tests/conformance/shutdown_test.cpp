// Servers that end while they are at work.
#include "support/client.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Client;
using test::EchoServer;
using test::run_until;
namespace opcode = test::opcode;

}  // namespace

TEST_CASE("a shutdown says 1001 to every peer, and is done when they have answered") {
  EchoServer echo;
  echo.start();
  std::vector<Client> clients;
  for (int i = 0; i < 10; ++i) clients.emplace_back(echo.where()).open(*echo.loop);
  const Client silent{echo.where()};  // it has not said a word
  run_until(*echo.loop, [&] { return echo.server->size() == 11; });
  const Endpoint where = echo.where();
  int done = 0;
  echo.server->shutdown(1h, [&] { ++done; });
  CHECK(done == 0);
  for (Client& each : clients) {
    run_until(*echo.loop, [&] { return each.pump(), each.got.size() >= 4; });
    CHECK(each.got.substr(2, 2) == test::close_payload(1001));
    each.send(opcode::close, test::close_payload(1001));
    run_until(*echo.loop, [&] { return each.pump(), each.ended; });
    CHECK(each.error == 0);
    each.close();
  }
  run_until(*echo.loop, [&] { return done == 1; });
  CHECK(echo.server->size() == 0);
  CHECK(echo.closed == std::vector<std::string>(10, "1001"));
  // Nobody listens any more.
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_storage address;
  const socklen_t size = test::store(where, address);
  CHECK(connect(fd, reinterpret_cast<sockaddr*>(&address), size) != 0);
  CHECK(errno == ECONNREFUSED);
  ::close(fd);
}

TEST_CASE("a shutdown cuts at its deadline those who do not answer, and at once when that is 0") {
  for (const auto deadline : {0ms, 30ms}) {
    CAPTURE(deadline.count());
    EchoServer echo;
    echo.start();
    Client deaf{echo.where()};
    deaf.open(*echo.loop);
    const TimePoint start = Clock::now();
    bool done = false;
    echo.server->shutdown(deadline, [&] { done = true; });
    run_until(*echo.loop, [&] { return done; });
    CHECK(Clock::now() - start >= deadline);
    run_until(*echo.loop, [&] { return deaf.pump(), deaf.error != 0 || deaf.ended; });
    CHECK(deaf.error == ECONNRESET);
    CHECK(echo.closed == std::vector<std::string>{"1006 cancelled"});
  }
}

TEST_CASE("a server with much to write can be destroyed, and so can its loop") {
  for (const bool loop_runs_on : {true, false}) {
    CAPTURE(loop_runs_on);
    EchoServer echo;
    echo.handlers.on_open = [](Connection& c) {
      for (int i = 0; i < 4; ++i) c.send(as_bytes(test::noise(250'000)));
    };
    echo.start_with_little();
    Client client{echo.where()};
    test::hold_little(client.fd());
    client.reads = false;
    client.send(test::upgrade_request);
    run_until(*echo.loop, [&] { return echo.server->size() == 1; });
    run_until(*echo.loop, [&] { return echo.server->find(1)->output_size() > 0; });
    echo.server.reset();
    if (loop_runs_on) test::run_for(*echo.loop, 5ms);
  }
}
