// A WebSocket echo server by hand: Asio's callbacks, and a bare Session for each connection. What
// is under way shares its peer, which is gone when nothing is under way any more.
#include <array>
#include <asio.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "timtow/session.hpp"

namespace {

using asio::ip::tcp;

timtow::Pool pool;

struct Peer {
  explicit Peer(tcp::socket from) : socket(std::move(from)) {}

  tcp::socket socket;
  asio::steady_timer timer{socket.get_executor()};
  bool reading = false;
  bool writing = false;
  std::array<std::byte, 16 * 1024> buffer;
  timtow::Session ws{timtow::Role::server, pool};
};

void echo(timtow::Session& ws) {
  while (const auto event = ws.next()) {
    if (event->request() != nullptr) {
      if (ws.accept()) ws.reject(426, "Only WebSockets are spoken here.\n");
    } else if (const auto* message = event->message()) {
      ws.send(*message);
    }
  }
}

void serve(const std::shared_ptr<Peer>& peer);

// What the socket does not take now waits in the session. Some is written at a time, and not by
// async_write() all: what is written is progress to a session, and it has to hear of it.
void flush(const std::shared_ptr<Peer>& peer) {
  std::error_code ignored;
  if (peer->ws.output_size() == 0 && peer->ws.wants_shutdown())
    peer->socket.shutdown(tcp::socket::shutdown_send, ignored);
  if (peer->writing || peer->ws.output_size() == 0) return;
  peer->writing = true;
  const timtow::Bytes bytes = peer->ws.output().front();
  const auto on_written = [peer](std::error_code error, std::size_t count) {
    peer->writing = false;
    peer->ws.sent(count);
    if (error) peer->ws.lost(error);
    serve(peer);
  };
  peer->socket.async_write_some(asio::buffer(bytes.data(), bytes.size()), on_written);
}

void read(const std::shared_ptr<Peer>& peer) {
  if (peer->reading || !peer->ws.wants_read()) return;
  peer->reading = true;
  const auto on_read = [peer](std::error_code error, std::size_t count) {
    peer->reading = false;
    if (!error) peer->ws.receive({peer->buffer.data(), count});
    if (error == asio::error::eof) peer->ws.end_of_input();
    if (error && error != asio::error::eof) peer->ws.lost(error);
    serve(peer);
  };
  peer->socket.async_read_some(asio::buffer(peer->buffer), on_read);
}

// Whatever happened to a peer ends here.
void serve(const std::shared_ptr<Peer>& peer) {
  echo(peer->ws);
  flush(peer);
  if (!peer->ws.finished()) {
    read(peer);
    peer->timer.expires_at(peer->ws.deadline(timtow::Clock::now()));
    return peer->timer.async_wait([peer](std::error_code error) {
      if (error) return;  // there is another deadline
      peer->ws.expire(timtow::Clock::now());
      serve(peer);
    });
  }
  peer->timer.cancel();
  std::error_code ignored;
  peer->socket.close(ignored);
}

void accept(tcp::acceptor& listener, asio::steady_timer& rest) {
  listener.async_accept([&](std::error_code error, tcp::socket socket) {
    if (error) {  // no descriptors left, perhaps: the listener stays readable, so it has to rest
      rest.expires_after(std::chrono::milliseconds{100});
      return rest.async_wait([&](std::error_code) { accept(listener, rest); });
    }
    std::error_code ignored;
    socket.set_option(tcp::no_delay{true}, ignored);
    serve(std::make_shared<Peer>(std::move(socket)));
    accept(listener, rest);
  });
}

}  // namespace

int main(int argc, char** argv) try {
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 9001);
  asio::io_context loop;
  tcp::acceptor listener{loop, {asio::ip::address_v4::loopback(), port}};
  asio::steady_timer rest{loop};
  std::printf("listening on 127.0.0.1:%d\n", listener.local_endpoint().port());
  std::fflush(stdout);

  accept(listener, rest);
  loop.run();
} catch (const std::exception& error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
