// A client on a FakeLoop, and the log of what its handlers were told. Its peers are servers, or
// proxies in front of them.
#pragma once

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>

#include "support/fake_loop.hpp"
#include "timtow/client.hpp"
#include "timtow/digest.hpp"

namespace test {

struct ClientWorld {
  FakeLoop loop;
  Lines log;
  timtow::ClientOptions options{.url = "ws://example.org/chat"};
  timtow::Handlers handlers;
  std::optional<timtow::Client> client;

  ClientWorld() {
    using namespace timtow;
    options.limits.ping_interval = Duration{0};
    options.limits.idle_time = Duration{0};
    handlers.on_response = [this](Connection&, const Response& response) {
      log.push_back("response " + std::to_string(response.status));
    };
    handlers.on_open = [this](Connection&) { log.push_back("open"); };
    handlers.on_message = [this](Connection&, const Message& m) {
      log.push_back(describe(Event{m}));
    };
    handlers.on_close = [this](Connection&, const Closed& closed) {
      log.push_back("closed " + std::to_string(closed.code) +
                    (closed.error == nullptr ? "" : ' ' + name_of(closed.error->code)) +
                    (client && client->is_active() ? ", again" : ""));
    };
    handlers.on_error = [this](const Error& error) {
      log.push_back(error.text + (client && client->is_active() ? ", again" : ""));
    };
  }
  ~ClientWorld() { client.reset(), loop.settle(); }

  timtow::Client& make() { return client.emplace(loop, options, handlers); }
  // The first attempt, as far as it comes.
  void connect() {
    const timtow::Error error = make().connect();
    CHECK_MESSAGE(!error, error.text);
    loop.settle();
  }
  Peer& peer() { return *loop.peers.back(); }
  std::string said() { return std::exchange(peer().written, {}); }
  Lines heard() { return std::exchange(log, {}); }

  // The key of a request, and what a server answers that.
  static std::string key_of(const std::string& request) {
    const std::string name = "Sec-WebSocket-Key: ";
    const auto at = request.find(name);
    REQUIRE(at != std::string::npos);
    return request.substr(at + name.size(), 24);
  }
  static std::string answer_to(const std::string& request, const std::string& headers = {}) {
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Accept: " +
           timtow::accept_for(key_of(request)) + "\r\n" + headers + "\r\n";
  }
};

}  // namespace test
