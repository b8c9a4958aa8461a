// How many connections there may be: who comes beyond is turned away, and nobody else notices.
#include <sys/resource.h>

#include "support/client.hpp"

namespace {

using namespace timtow;
using test::Client;
using test::EchoServer;
using test::run_until;
namespace opcode = test::opcode;

constexpr std::string_view refusal = "HTTP/1.1 503 Service Unavailable\r\n";

void start(EchoServer& echo, const ServerOptions& options) {
  echo.server.emplace(*echo.loop, echo.handlers, test::dressed(options));
  const Error error = test::listen(*echo.server, {.host = "127.0.0.1", .port = 0, .path = {}});
  REQUIRE_MESSAGE(!error, error.text);
}

bool is_over(Client& client) { return client.pump(), client.ended || client.error != 0; }

}  // namespace

TEST_CASE("caps: who is turned away is told so, and the others do not notice") {
  EchoServer echo;
  start(echo, {.connections = 2});
  std::vector<Client> in;
  for (int i = 0; i < 2; ++i) in.emplace_back(echo.where()).open(*echo.loop);

  Client out{echo.where()};
  out.send(test::upgrade_request);
  run_until(*echo.loop, [&] { return is_over(out); });
  CHECK(out.error == 0);  // no reset takes our words away
  CHECK(out.got.starts_with(refusal));
  CHECK(out.got.find("Retry-After:") != std::string::npos);

  // That one is still there, and so there is no place to tell others.
  std::vector<Client> flood;
  for (int i = 0; i < 50; ++i) flood.emplace_back(echo.where());
  for (Client& each : flood) {
    run_until(*echo.loop, [&] { return is_over(each); });
    CHECK(each.got.empty());
  }
  CHECK(echo.server->size() == 3);
  for (Client& each : in) {
    each.send(opcode::text, "hi");
    run_until(*echo.loop, [&] { return each.pump(), each.got.size() >= 4; });
    CHECK(test::frames(each.got) == test::Lines{"> text \"hi\""});
  }

  out.close();
  in.pop_back();
  run_until(*echo.loop, [&] { return echo.server->size() == 1; });
  echo.still_echoes();
  CHECK(echo.errors.empty());

  // The places are as many as they were, and so are those to tell others in.
  in.emplace_back(echo.where()).open(*echo.loop);
  Client last{echo.where()};
  last.send(test::upgrade_request);
  run_until(*echo.loop, [&] { return is_over(last); });
  CHECK(last.got.starts_with(refusal));
  last.close();
  bool done = false;
  echo.server->shutdown(Duration{0}, [&] { done = true; });
  run_until(*echo.loop, [&] { return done; });
  CHECK(echo.errors == std::vector<std::string>{"too_many_connections"});
}

TEST_CASE("caps: an address that a PROXY header names has its share") {
  EchoServer echo;
  start(echo,
        {.connections_per_address = 1, .trusted_proxies = {"127.0.0.1"}, .proxy_protocol = true});
  const std::string_view request = test::upgrade_request;
  const auto comes_from = [&](Client& client, const std::string& host) {
    client.send("PROXY TCP4 " + host + " 192.0.2.9 1 2\r\n" + std::string{request});
    run_until(*echo.loop, [&] { return is_over(client) || client.got.size() > 12; });
    return client.got.substr(9, 3);
  };
  Client first{echo.where()};
  CHECK(comes_from(first, "192.0.2.1") == "101");
  Client second{echo.where()};
  CHECK(comes_from(second, "192.0.2.1") == "503");
  run_until(*echo.loop, [&] { return is_over(second); });
  CHECK(second.error == 0);
  Client third{echo.where()};
  CHECK(comes_from(third, "192.0.2.2") == "101");
  second.close();
  first.close();
  run_until(*echo.loop, [&] { return echo.server->size() == 1; });
  Client fourth{echo.where()};
  CHECK(comes_from(fourth, "192.0.2.1") == "101");
}

TEST_CASE("caps: the loop tells how many descriptors the process may have") {
  const std::unique_ptr<Loop> loop = test::make_loop();
  rlimit usual{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &usual) == 0);
  rlimit fewer = usual;
  fewer.rlim_cur = 200;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &fewer) == 0);
  CHECK(loop->most_descriptors() == 200);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &usual) == 0);
}
