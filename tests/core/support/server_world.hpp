// A server on a FakeLoop, and the log of what its handlers were told.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "support/fake_loop.hpp"
#include "timtow/server.hpp"

namespace test {

struct World {
  FakeLoop loop;
  Lines log;
  timtow::Handlers handlers;  // log what they are told; a test may replace each before serve()
  timtow::Limits limits;
  timtow::ServerOptions options;  // but for the limits
  std::optional<timtow::Server> server;

  World() {
    using namespace timtow;
    // What peers are silent about is another test's matter.
    limits.ping_interval = Duration{0};
    limits.idle_time = Duration{0};
    handlers.on_open = [this](Connection& c) { say(c, "open"); };
    handlers.on_message = [this](Connection& c, const Message& m) { say(c, describe(Event{m})); };
    handlers.on_ping = [this](Connection& c, Bytes b) { say(c, describe(Event{Ping{b}})); };
    handlers.on_pong = [this](Connection& c, Bytes b) { say(c, describe(Event{Pong{b}})); };
    handlers.on_drain = [this](Connection& c) { say(c, "drain"); };
    handlers.on_close = [this](Connection& c, const Closed& closed) {
      say(c, "closed " + std::to_string(closed.code) +
                 (closed.reason.empty() ? "" : ' ' + in_quotes(closed.reason)) +
                 (closed.sent == 0 ? "" : " sent=" + std::to_string(closed.sent)) +
                 (closed.error == nullptr ? "" : " error=" + name_of(closed.error->code)));
    };
    handlers.on_error = [this](const Error& error) {
      log.push_back("error " + name_of(error.code));
    };
  }

  void say(timtow::Connection& connection, const std::string& what) {
    log.push_back(std::to_string(connection.id()) + ' ' + what);
  }
  Lines heard() { return std::exchange(log, {}); }

  World& serve() {
    options.limits = limits;
    server.emplace(loop, handlers, options);
    CHECK_FALSE(server->listen({.host = "127.0.0.1", .port = 9001, .path = {}}));
    return *this;
  }
  World& echo() {
    handlers.on_message = [](timtow::Connection& c, const timtow::Message& m) { c.send(m); };
    return serve();
  }

  // A peer with an open connection, of which nobody has heard yet.
  Peer& opened() {
    Peer& peer = loop.connects().opens();
    heard();
    return peer;
  }
  // The connection of the n-th peer, first is 1.
  std::shared_ptr<timtow::Connection> connection(std::uint64_t id = 1) { return server->find(id); }
};

}  // namespace test
