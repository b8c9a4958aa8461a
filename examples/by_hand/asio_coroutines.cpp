// A WebSocket echo server by hand: Asio's coroutines, and a bare Session for each connection. A
// connection is a function, and its session a variable in it. What it waits for are readiness and
// the deadline, which lose nothing when another of them comes first; a read that was under way then
// would lose what it had read.
#include <asio.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <utility>

#include "echo.hpp"

namespace {

using namespace example;
using asio::ip::tcp;
using namespace asio::experimental::awaitable_operators;

// What the socket does not take now waits until it is writable.
void flush(tcp::socket& socket, timtow::Session& ws) {
  std::error_code error;
  while (ws.output_size() > 0) {
    const timtow::Bytes bytes = ws.output().front();
    const std::size_t count = socket.write_some(asio::buffer(bytes.data(), bytes.size()), error);
    ws.sent(count);
    if (error == asio::error::would_block) return;
    if (error) return ws.lost(error);
  }
  if (ws.wants_shutdown()) socket.shutdown(tcp::socket::shutdown_send, error);
}

void read(tcp::socket& socket, timtow::Session& ws) {
  std::error_code error;
  const std::size_t count = socket.read_some(asio::buffer(buffer), error);
  if (!error) ws.receive({buffer, count});
  if (error == asio::error::eof) return ws.end_of_input();
  if (error && error != asio::error::would_block) ws.lost(error);
}

asio::awaitable<void> serve(tcp::socket socket) {
  socket.non_blocking(true);
  socket.set_option(tcp::no_delay{true});
  timtow::Session ws{timtow::Role::server, pool};
  asio::steady_timer timer{socket.get_executor()};
  while (!ws.finished()) {
    timer.expires_at(ws.deadline(timtow::Clock::now()));
    auto deadline = [&] { return timer.async_wait(asio::use_awaitable); };
    auto readable = ws.wants_read() ? socket.async_wait(tcp::socket::wait_read, asio::use_awaitable)
                                    : deadline();
    auto writable = ws.output_size() > 0
                        ? socket.async_wait(tcp::socket::wait_write, asio::use_awaitable)
                        : deadline();
    co_await (std::move(readable) || std::move(writable) || deadline());
    if (ws.wants_read()) read(socket, ws);
    ws.expire(timtow::Clock::now());
    echo(ws);
    flush(socket, ws);
  }
}

asio::awaitable<void> accept(tcp::acceptor listener) {
  asio::steady_timer rest{listener.get_executor()};
  while (true) {
    std::error_code error;
    auto socket = co_await listener.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      co_spawn(listener.get_executor(), serve(std::move(socket)), asio::detached);
    } else {  // no descriptors left, perhaps: the listener stays readable, so it has to rest
      rest.expires_after(std::chrono::milliseconds{100});
      co_await rest.async_wait(asio::use_awaitable);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  asio::io_context loop;
  tcp::acceptor listener{loop, tcp::v4(), make_listener(argc, argv)};
  co_spawn(loop, accept(std::move(listener)), asio::detached);
  loop.run();
}
