// Everything an application may do, inside everything it is told.
#include <functional>

#include "support/client.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Client;
using test::EchoServer;
using test::run_until;
namespace opcode = test::opcode;

struct Act {
  const char* name;
  std::function<void(EchoServer&, Connection*)> perform;
};

// The connection is null where the call tells of none.
const Act acts[] = {
    {"send", [](EchoServer&, Connection* c) { c != nullptr ? c->send("more") : errc::ok; }},
    {"send much",
     [](EchoServer&, Connection* c) {
       if (c != nullptr) c->send(as_bytes(test::noise(1'000'000)));
     }},
    {"close",
     [](EchoServer&, Connection* c) {
       if (c != nullptr) c->close(1001, "enough");
     }},
    {"abort",
     [](EchoServer&, Connection* c) {
       if (c != nullptr) c->abort();
     }},
    {"pause and resume",
     [](EchoServer& echo, Connection* c) {
       if (c == nullptr) return;
       c->pause();
       echo.loop->post([kept = c->keep()] { kept->resume(); });
     }},
    {"abort all",
     [](EchoServer& echo, Connection*) {
       if (echo.server) echo.server->for_each([](Connection& each) { each.abort(); });
     }},
    {"destroy the server", [](EchoServer& echo, Connection*) { echo.server.reset(); }},
    {"destroy the server, start another",
     [](EchoServer& echo, Connection*) {
       echo.server.reset();
       echo.start_with_little();
     }},
    {"shut down",
     [](EchoServer& echo, Connection*) {
       if (echo.server) echo.server->shutdown(0ms);
     }},
    {"stop the loop", [](EchoServer& echo, Connection*) { echo.loop->stop(); }},
    {"listen once more",
     [](EchoServer& echo, Connection*) {
       if (echo.server)
         CHECK_FALSE(test::listen(*echo.server, {.host = "127.0.0.1", .port = 0, .path = {}}));
     }},
};

const char* const places[] = {"on_request", "on_open", "on_message",       "on_piece",
                              "on_ping",    "on_pong", "on_drain",         "on_close",
                              "on_error",   "a timer", "a posted function"};

// Brings a server to call `place`, in which it performs the act; whatever that was, the loop serves
// the next client.
void check(const std::string& place, const Act& act) {
  EchoServer echo;
  echo.limits.output_high_water = 64 * 1024;
  echo.limits.output_low_water = 1024;
  bool performed = false;
  const auto at = [&](const char* here, Connection* connection) {
    if (performed || place != here) return;
    performed = true;
    act.perform(echo, connection);
  };
  echo.handlers.on_request = [&](Connection& c, const Request&) {
    at("on_request", &c);
    c.accept();
  };
  echo.handlers.on_open = [&](Connection& c) { at("on_open", &c); };
  echo.handlers.on_message = [&](Connection& c, const Message& m) {
    at("on_message", &c);
    m.text() == "much" ? c.send(as_bytes(test::noise(1'000'000))) : c.send(m);
  };
  if (place == "on_piece")
    echo.handlers.on_piece = [&](Connection& c, const Piece& piece) {
      at("on_piece", &c);
      c.send_piece({piece.type, piece.payload}, piece.last);
    };
  echo.handlers.on_ping = [&](Connection& c, Bytes) { at("on_ping", &c); };
  echo.handlers.on_pong = [&](Connection& c, Bytes) { at("on_pong", &c); };
  echo.handlers.on_drain = [&](Connection& c) { at("on_drain", &c); };
  echo.handlers.on_close = [&](Connection& c, const Closed&) { at("on_close", &c); };
  echo.handlers.on_error = [&](const Error&) { at("on_error", nullptr); };
  echo.start_with_little();

  Client client{echo.where()};
  test::hold_little(client.fd());
  Timer timer{*echo.loop, [&] { at("a timer", nullptr); }};
  timer.start(0ms);
  echo.loop->post([&] { at("a posted function", nullptr); });
  if (place == "on_error")
    client.send("what is this?\r\n\r\n");
  else
    client.send(test::upgrade_request)
        .send(opcode::text, "one")
        .send(opcode::ping, "two")
        .send(opcode::pong, "three")
        .send(opcode::text, place == "on_drain" ? "much" : "some");
  if (place == "on_close") client.send(opcode::close, test::close_payload(1000));
  // Stopped by the act, or by this.
  for (int i = 0; i < 1000 && !performed; ++i) {
    client.pump();
    test::run_for(*echo.loop, 1ms);
  }
  REQUIRE(performed);
  test::run_for(*echo.loop, 1ms);
  client.pump();
  client.close();
  if (echo.server) echo.run_until_empty();
  if (!echo.server || echo.server->endpoints().empty()) {
    echo.server.reset();
    echo.start();
  }
  echo.handlers.on_message = [](Connection& c, const Message& m) { c.send(m); };
  echo.handlers.on_piece = {};
  echo.server.emplace(*echo.loop, echo.handlers, test::dressed(ServerOptions{}));
  REQUIRE_FALSE(test::listen(*echo.server, {.host = "127.0.0.1", .port = 0, .path = {}}));
  echo.still_echoes();
}

}  // namespace

TEST_CASE("every act is safe inside every call") {
  for (const std::string place : places) {
    CAPTURE(place);
    for (const Act& act : acts) {
      CAPTURE(std::string{act.name});
      check(place, act);
    }
  }
}

TEST_CASE("a connection may be kept, and asked for anything, after it is gone") {
  EchoServer echo;
  std::vector<std::shared_ptr<Connection>> kept;
  echo.handlers.on_open = [&](Connection& c) { kept.push_back(c.keep()); };
  echo.start();
  {
    Client client{echo.where()};
    client.open(*echo.loop);
    run_until(*echo.loop, [&] { return kept.size() == 1; });
  }
  echo.run_until_empty();
  Connection& gone = *kept.front();
  for (int round = 0; round < 2; ++round) {
    CHECK_FALSE(gone.is_open());
    CHECK(gone.send("x") == errc::not_open);
    CHECK(gone.send(std::string(100'000, 'x')) == errc::not_open);
    CHECK(gone.ping() == errc::not_open);
    CHECK(gone.close() == errc::not_open);
    gone.pause();
    gone.resume();
    gone.abort();
    CHECK(gone.output_size() == 0);
    test::run_for(*echo.loop, 1ms);
    if (round == 0) echo.server.reset();  // and again without its server
  }
}
