// What a run is told on its command line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <netinet/in.h>

namespace load {

enum class Protocol { websocket, tcp };
enum class Payload { binary, ascii, mixed };

struct Options {
  std::string_view mode;
  sockaddr_in server{};
  int pid = 0;  // 0: unknown

  Protocol protocol = Protocol::websocket;
  std::size_t connections = 1;
  std::size_t pipeline = 1;
  std::size_t size = 16;
  Payload payload = Payload::binary;

  double warmup = 0.3;
  double seconds = 1;
  std::uint64_t messages = 0;  // 0: as many as there are in the window
  std::uint64_t most_messages() const { return messages > 0 ? messages : UINT64_MAX; }
  double deadline = 60;

  double rate = 0;               // open: messages a second, on all connections together
  std::size_t active = 10;       // idle, slow: the connections that echo
  std::size_t concurrency = 16;  // churn
  double drain = 65536;          // slow: bytes a second, each reader
};

// Ends the program if it is told to help, or what it does not understand.
Options read_options(int argc, char** argv);

const char* name_of(Protocol protocol);
const char* name_of(Payload payload);

}  // namespace load
