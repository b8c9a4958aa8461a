// Nothing: bytes as they are.
#include "support/dress.hpp"
#include "timtow/client.hpp"

std::unique_ptr<test::Dress> test::make_dress() { return nullptr; }

std::string test::scheme() { return "ws://"; }

timtow::ServerOptions test::dressed(timtow::ServerOptions options) { return options; }

timtow::ClientOptions test::dressed(timtow::ClientOptions options) { return options; }

timtow::Error test::listen(timtow::Server& server, const timtow::Endpoint& endpoint) {
  return server.listen(endpoint);
}

timtow::Error test::adopt_listener(timtow::Server& server, timtow::Socket socket) {
  return server.adopt_listener(socket);
}

timtow::Error test::adopt(timtow::Server& server, timtow::Socket socket,
                          timtow::Bytes already_read) {
  return server.adopt(socket, already_read);
}
