// A WebSocket echo server by hand: libuv, and a bare Session for each connection. libuv reads into
// what it is given when something has come, and writes from what stays until it is written: the
// session's output does.
#include <uv.h>

#include <csignal>
#include <utility>

#include "echo.hpp"

namespace {

using namespace example;

struct Peer {
  uv_any_handle socket, timer;
  uv_write_t write;
  uv_shutdown_t shutdown;
  std::size_t writing = 0;
  timtow::Session ws{timtow::Role::server, pool};
};

void serve(Peer& peer);

void on_written(uv_write_t* write, int status) {
  Peer& peer = *static_cast<Peer*>(write->data);
  if (status == UV_ECANCELED) return;  // the peer is being closed
  if (status < 0) peer.ws.lost({-status, std::system_category()});
  peer.ws.sent(std::exchange(peer.writing, 0));
  serve(peer);
}

// What the socket does not take now waits in libuv, and the rest behind it.
void flush(Peer& peer) {
  if (peer.writing > 0) return;
  const timtow::Bytes bytes = next_write(peer.ws);
  peer.writing = bytes.size();
  auto* const data = const_cast<std::byte*>(bytes.data());
  const uv_buf_t from{.base = reinterpret_cast<char*>(data), .len = bytes.size()};
  if (!bytes.empty()) uv_write(&peer.write, &peer.socket.stream, &from, 1, on_written);
  if (bytes.empty() && peer.ws.wants_shutdown())
    uv_shutdown(&peer.shutdown, &peer.socket.stream, nullptr);
}

void on_wants_buffer(uv_handle_t*, std::size_t, uv_buf_t* into) {
  *into = {.base = reinterpret_cast<char*>(buffer), .len = sizeof buffer};
}

void on_readable(uv_stream_t* stream, ssize_t count, const uv_buf_t*) {
  Peer& peer = *static_cast<Peer*>(stream->data);
  if (count > 0) peer.ws.receive({buffer, static_cast<std::size_t>(count)});
  if (count == UV_EOF) peer.ws.end_of_input();
  if (count < 0 && count != UV_EOF)
    peer.ws.lost({static_cast<int>(-count), std::system_category()});
  serve(peer);
}

void on_deadline(uv_timer_t* timer) { serve(*static_cast<Peer*>(timer->data)); }

// Whatever happened to a peer ends here.
void serve(Peer& peer) {
  peer.ws.expire(timtow::Clock::now());
  echo(peer.ws);
  flush(peer);
  if (!peer.ws.finished()) {
    peer.ws.wants_read() ? uv_read_start(&peer.socket.stream, on_wants_buffer, on_readable)
                         : uv_read_stop(&peer.socket.stream);
    const auto left = time_left<std::chrono::milliseconds>(peer.ws).count();
    uv_timer_start(&peer.timer.timer, on_deadline, static_cast<std::uint64_t>(left), 0);
    return;
  }
  uv_timer_stop(&peer.timer.timer);
  uv_close(&peer.socket.handle, [](uv_handle_t* socket) {
    uv_close(&static_cast<Peer*>(socket->data)->timer.handle,
             [](uv_handle_t* timer) { delete static_cast<Peer*>(timer->data); });
  });
}

void on_connection(uv_stream_t* listener, int status) {
  if (status < 0) return;  // no descriptors left, perhaps: then libuv has turned it away
  auto* const peer = new Peer;
  uv_tcp_init(listener->loop, &peer->socket.tcp);
  uv_timer_init(listener->loop, &peer->timer.timer);
  peer->socket.handle.data = peer->timer.handle.data = peer->write.data = peer;
  uv_accept(listener, &peer->socket.stream);
  uv_tcp_nodelay(&peer->socket.tcp, 1);
  serve(*peer);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  uv_loop_t* const loop = uv_default_loop();
  uv_any_handle listener;
  uv_tcp_init(loop, &listener.tcp);
  uv_tcp_open(&listener.tcp, make_listener(argc, argv));
  uv_listen(&listener.stream, SOMAXCONN, on_connection);
  uv_run(loop, UV_RUN_DEFAULT);
}
