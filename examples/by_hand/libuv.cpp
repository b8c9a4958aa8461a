// A WebSocket echo server by hand: libuv, and a bare Session for each connection. libuv reads into
// what it is given when something has come, and writes from what stays until it is written: the
// session's output does.
#include <netinet/in.h>
#include <uv.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "timtow/session.hpp"

namespace {

// A write is told of when all of it is done, and to a session that is progress: so a part at a
// time.
constexpr std::size_t largest_write = 64 * 1024;
timtow::Pool pool;
std::byte buffer[16 * 1024];  // for all of them: what is read is used up before the next read

struct Peer {
  uv_tcp_t tcp;
  uv_timer_t timer;
  uv_write_t write;
  uv_shutdown_t shutdown;
  std::size_t writing = 0;
  timtow::Session ws{timtow::Role::server, pool};
};

// libuv's handles are structs that begin alike.
template <typename To, typename From>
To* as(From& handle) {
  return reinterpret_cast<To*>(&handle);
}

void echo(timtow::Session& ws) {
  while (const auto event = ws.next()) {
    if (event->request() != nullptr) {
      if (ws.accept()) ws.reject(426, "Only WebSockets are spoken here.\n");
    } else if (const auto* message = event->message()) {
      ws.send(*message);
    }
  }
}

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
  if (peer.ws.output_size() > 0) {
    const timtow::Bytes bytes = peer.ws.output().front();
    peer.writing = std::min(bytes.size(), largest_write);
    auto* const data = const_cast<std::byte*>(bytes.data());
    const uv_buf_t from{.base = reinterpret_cast<char*>(data), .len = peer.writing};
    uv_write(&peer.write, as<uv_stream_t>(peer.tcp), &from, 1, on_written);
  } else if (peer.ws.wants_shutdown()) {
    uv_shutdown(&peer.shutdown, as<uv_stream_t>(peer.tcp), nullptr);
  }
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

void on_deadline(uv_timer_t* timer) {
  Peer& peer = *static_cast<Peer*>(timer->data);
  peer.ws.expire(timtow::Clock::now());
  serve(peer);
}

// Whatever happened to a peer ends here.
void serve(Peer& peer) {
  echo(peer.ws);
  flush(peer);
  if (!peer.ws.finished()) {
    uv_stream_t* const stream = as<uv_stream_t>(peer.tcp);
    peer.ws.wants_read() ? uv_read_start(stream, on_wants_buffer, on_readable)
                         : uv_read_stop(stream);
    const auto now = timtow::Clock::now();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(peer.ws.deadline(now) - now);
    const auto milliseconds = static_cast<std::uint64_t>(std::max<long long>(left.count(), 0));
    uv_timer_start(&peer.timer, on_deadline, milliseconds, 0);
    return;
  }
  uv_timer_stop(&peer.timer);
  uv_close(as<uv_handle_t>(peer.tcp), [](uv_handle_t* tcp) {
    uv_close(as<uv_handle_t>(static_cast<Peer*>(tcp->data)->timer),
             [](uv_handle_t* timer) { delete static_cast<Peer*>(timer->data); });
  });
}

void on_connection(uv_stream_t* listener, int status) {
  if (status < 0) return;  // no descriptors left, perhaps: then libuv has turned it away
  auto* const peer = new Peer;
  uv_tcp_init(listener->loop, &peer->tcp);
  uv_timer_init(listener->loop, &peer->timer);
  peer->tcp.data = peer->timer.data = peer->write.data = peer;
  uv_accept(listener, as<uv_stream_t>(peer->tcp));
  uv_tcp_nodelay(&peer->tcp, 1);
  serve(*peer);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  sockaddr_in address{};
  uv_ip4_addr("127.0.0.1", argc > 1 ? std::atoi(argv[1]) : 9001, &address);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  int size = sizeof address;
  uv_loop_t* const loop = uv_default_loop();
  uv_tcp_t listener;
  uv_tcp_init(loop, &listener);
  uv_tcp_bind(&listener, any, 0);
  if (const int error = uv_listen(as<uv_stream_t>(listener), SOMAXCONN, on_connection); error != 0)
    return std::fprintf(stderr, "listen: %s\n", uv_strerror(error)), 1;
  uv_tcp_getsockname(&listener, any, &size);
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);

  uv_run(loop, UV_RUN_DEFAULT);
}
