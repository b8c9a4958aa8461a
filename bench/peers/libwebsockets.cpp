// libwebsockets, after its minimal examples: what is received is gathered until the message is
// whole, and one message is written each time that the socket is writable. On libev, one of the
// loops that it can use: its own poll() costs the same with one connection, and more with many.
#include <libwebsockets.h>

#include <list>
#include <new>
#include <utility>
#include <vector>

#include "../program.hpp"

namespace {

// Payloads, each behind the LWS_PRE bytes in which lws_write() puts the header.
using Padded = std::vector<unsigned char>;

constexpr std::size_t high_water = 1024 * 1024;  // over it nothing more is read

struct Message {
  Padded bytes;
  lws_write_protocol type;
};

struct Peer {
  Padded coming{};  // empty between messages
  std::list<Message> going{};
  std::size_t going_bytes = 0;
};

// Both return what the callback does: 0, or -1 to end the connection.

int receive(lws* wsi, Peer& peer, const void* in, std::size_t length) {
  const auto* const bytes = static_cast<const unsigned char*>(in);
  if (peer.coming.empty()) peer.coming.resize(LWS_PRE);
  if (peer.coming.size() - LWS_PRE + length > bench::message_limit) {
    lws_close_reason(wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, nullptr, 0);
    return -1;
  }
  peer.coming.insert(peer.coming.end(), bytes, bytes + length);
  if (lws_is_final_fragment(wsi) == 0) return 0;
  peer.going_bytes += peer.coming.size();
  peer.going.push_back({std::exchange(peer.coming, Padded{}),
                        lws_frame_is_binary(wsi) != 0 ? LWS_WRITE_BINARY : LWS_WRITE_TEXT});
  if (peer.going_bytes > high_water) lws_rx_flow_control(wsi, 0);
  lws_callback_on_writable(wsi);
  return 0;
}

int send(lws* wsi, Peer& peer) {
  if (peer.going.empty()) return 0;
  Message& message = peer.going.front();
  const std::size_t length = message.bytes.size() - LWS_PRE;
  if (lws_write(wsi, message.bytes.data() + LWS_PRE, length, message.type) < 0) return -1;
  const bool was_full = peer.going_bytes > high_water;
  peer.going_bytes -= message.bytes.size();
  peer.going.pop_front();
  if (was_full && peer.going_bytes <= high_water) lws_rx_flow_control(wsi, 1);
  if (!peer.going.empty()) lws_callback_on_writable(wsi);
  return 0;
}

int on_event(lws* wsi, lws_callback_reasons reason, void* user, void* in, std::size_t length) {
  auto* const peer = static_cast<Peer*>(user);
  switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
      new (user) Peer;
      return 0;
    case LWS_CALLBACK_CLOSED:
      peer->~Peer();
      return 0;
    case LWS_CALLBACK_RECEIVE:
      return receive(wsi, *peer, in, length);
    case LWS_CALLBACK_SERVER_WRITEABLE:
      return send(wsi, *peer);
    default:
      return lws_callback_http_dummy(wsi, reason, user, in, length);
  }
}

}  // namespace

int main(int argc, char** argv) {
  lws_set_log_level(LLL_ERR, nullptr);
  lws_protocols protocols[2]{};  // the second ends the list
  protocols[0].name = "echo";
  protocols[0].callback = on_event;
  protocols[0].per_session_data_size = sizeof(Peer);
  protocols[0].rx_buffer_size = 64 * 1024;
  protocols[0].tx_packet_size = bench::message_limit;  // a message is one send()

  lws_context_creation_info info{};
  info.port = bench::read_options(argc, argv).port;
  info.iface = "127.0.0.1";
  info.protocols = protocols;
  info.pt_serv_buf_size = 128 * 1024;
  info.options = LWS_SERVER_OPTION_VALIDATE_UTF8 | LWS_SERVER_OPTION_LIBEV;
  info.vhost_name = "localhost";
  lws_context* const context = lws_create_context(&info);
  if (context == nullptr) bench::fail("lws_create_context() fails, and has said why");
  lws_vhost* const vhost = lws_get_vhost_by_name(context, info.vhost_name);
  bench::announce(static_cast<unsigned>(lws_get_vhost_listen_port(vhost)));
  while (lws_service(context, 0) >= 0) {
  }
}
