// Heads whose lists are made of what costs a careless parser most, so many bytes of each: for
// list_work.py, which counts the instructions.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "timtow/session.hpp"

namespace {

using namespace timtow;

void take(const std::string& name, std::string_view filler, std::size_t size) {
  SessionOptions options;
  options.limits.handshake_bytes = 1024 * 1024;
  Pool pool;
  Session session{Role::server, pool, options};
  std::string head =
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
      name + ": ";
  for (std::size_t i = 0; i < size; ++i) head += filler[i % filler.size()];
  head += "x\r\n\r\n";
  session.receive(std::as_writable_bytes(std::span{head}));
  while (const auto event = session.next()) {
    const Request* const request = event->request();
    if (request == nullptr) continue;
    const std::string_view chosen = choose_subprotocol(*request, {"none", "x"});
    static_cast<void>(request->cookie("none"));
    if (session.accept({.subprotocol = chosen, .headers = {}})) std::abort();
  }
  if (session.output_size() == 0) std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t size = argc == 2 ? std::strtoul(argv[1], nullptr, 10) : 0;
  if (size == 0) return std::fputs("usage: list_work BYTES\n", stderr), 1;
  for (const char* name : {"Connection", "Upgrade", "Sec-WebSocket-Protocol",
                           "Sec-WebSocket-Extensions", "Cookie", "X-Forwarded-For"})
    for (const char* filler :
         {" ", ",", " \t", ", ", "a,", "a ", ";", "a;a=\"\\\\\",", "\"", "\\\""})
      take(name, filler, size);
}
