// What the suite is run in: plain, or with something between each peer and its server, such as TLS.
//
// The suite is compiled once and knows no dress: what it is linked with, one of dress/*.cpp, says
// what these functions do. dress/<name>.cmake says what that needs, and which cases have no meaning
// in it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "timtow/server.hpp"

namespace timtow {
struct ClientOptions;  // its header has another Client than the suite's
}

namespace test {

// What one peer wears: what it says, and what comes from its socket, passes through.
class Dress {
 public:
  virtual ~Dress() = default;
  // Whether the peer's words can go out. Until then it listens to what comes, whatever it wants.
  virtual bool is_ready() const = 0;
  // Adds what the peer says to what goes to its socket.
  virtual void say(std::string_view bytes, std::string& wire) = 0;
  // Adds what came to what the peer hears, and an answer, if one is due, to what goes to its
  // socket. At first nothing has come, and there may be something to begin with.
  virtual void hear(std::string_view came, std::string& got, std::string& wire) = 0;
  // The peer ends its side of the stream, and the server has ended its.
  virtual void end(std::string& wire) = 0;
  virtual void ended() = 0;
};

// Null for plain.
std::unique_ptr<Dress> make_dress();

// "ws://" or "wss://"
std::string scheme();

// The options of servers and clients that are in it,
timtow::ServerOptions dressed(timtow::ServerOptions options);
timtow::ClientOptions dressed(timtow::ClientOptions options);
// and where such a server gets its peers from.
timtow::Error listen(timtow::Server& server, const timtow::Endpoint& endpoint);
timtow::Error adopt_listener(timtow::Server& server, timtow::Socket socket);
timtow::Error adopt(timtow::Server& server, timtow::Socket socket, timtow::Bytes already_read = {});

}  // namespace test
