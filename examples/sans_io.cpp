// A session needs no socket: bytes in, events out; messages in, bytes out.
#include <cstdio>
#include <string>

#include "timtow/session.hpp"

int main() {
  timtow::Pool pool;
  timtow::Session ws{timtow::Role::server, pool};

  std::string bytes =
      "GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
      "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";  // "Hello", as RFC 6455 section 5.7 masks it
  ws.receive(std::as_writable_bytes(std::span{bytes}));
  while (const auto event = ws.next()) {
    if (event->request() != nullptr)
      ws.accept();
    else if (const auto* message = event->message())
      ws.send(*message);
  }

  while (ws.output_size() > 0) {
    const timtow::Bytes output = ws.output().front();
    std::fwrite(output.data(), 1, output.size(), stdout);
    ws.sent(output.size());
  }
}
