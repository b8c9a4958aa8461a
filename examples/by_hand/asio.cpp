// A WebSocket echo server by hand: Asio's callbacks, and a bare Session for each connection. What
// is under way shares its peer, which is gone when nothing is under way any more.
#include <asio.hpp>
#include <memory>
#include <utility>

#include "echo.hpp"

namespace {

using namespace example;
using asio::ip::tcp;

struct Peer {
  explicit Peer(tcp::socket from) : socket(std::move(from)) {}

  tcp::socket socket;
  asio::steady_timer timer{socket.get_executor()};
  bool reading = false;
  bool writing = false;
  std::byte buffer[16 * 1024];  // its own: a read that is under way has it
  timtow::Session ws{timtow::Role::server, pool};
};

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
    if (!error) peer->ws.receive({peer->buffer, count});
    if (error == asio::error::eof) peer->ws.end_of_input();
    if (error && error != asio::error::eof) peer->ws.lost(error);
    serve(peer);
  };
  peer->socket.async_read_some(asio::buffer(peer->buffer), on_read);
}

// Whatever happened to a peer ends here.
void serve(const std::shared_ptr<Peer>& peer) {
  peer->ws.expire(timtow::Clock::now());
  echo(peer->ws);
  flush(peer);
  if (!peer->ws.finished()) {
    read(peer);
    peer->timer.expires_at(peer->ws.deadline(timtow::Clock::now()));
    return peer->timer.async_wait([peer](std::error_code error) {
      if (!error) serve(peer);  // or there is another deadline
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

int main(int argc, char** argv) {
  asio::io_context loop;
  tcp::acceptor listener{loop, tcp::v4(), make_listener(argc, argv)};
  asio::steady_timer rest{loop};
  accept(listener, rest);
  loop.run();
}
