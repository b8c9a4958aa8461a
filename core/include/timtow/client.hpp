// A WebSocket client on any loop: written once, on the seam.
//
//   timtow::poll::Loop loop;
//   timtow::Client client{loop, {.url = "ws://localhost:9001/"},
//                         {.on_message = [](auto& c, auto& m) { ... }}};
//   if (auto error = client.connect()) ...
//   loop.run();
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "timtow/compression.hpp"
#include "timtow/connection.hpp"
#include "timtow/endpoint.hpp"
#include "timtow/error.hpp"
#include "timtow/limits.hpp"
#include "timtow/loop.hpp"
#include "timtow/metrics.hpp"
#include "timtow/proxy.hpp"
#include "timtow/security.hpp"

namespace timtow {

// How long to wait before connecting anew. The wait doubles with each attempt in a row that fails.
// Of each a random part passes, from half to all of it: the clients of a server that was away do
// not come back all at once.
struct Reconnect {
  Duration first = std::chrono::milliseconds{500};
  Duration most = std::chrono::seconds{30};
};

struct ClientOptions {
  std::string url;  // ws://host:port/path?query, wss://, or ws+unix:/path/to/socket:/path?query
  // In our order of preference; Connection::subprotocol() is what the server chose.
  std::vector<std::string> subprotocols = {};
  // Origin, Authorization and others.
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::vector<std::pair<std::string, std::string>> cookies = {};
  // Where to connect to, when that is not where the URL says; or a Unix socket.
  std::optional<Endpoint> endpoint = {};
  // An HTTP proxy to go through, by CONNECT: "http://user:password@host:port". It is looked up and
  // connected to in place of the server, and asked for the tunnel within Limits::handshake_time.
  // Its refusal is an error of proxy_category().
  std::string proxy = {};
  // Whether one that the environment names is taken where `proxy` is empty: see
  // proxy_from_environment(). Not for Unix sockets, nor with an `endpoint`.
  bool proxy_from_environment = false;
  // For looking up the name and connecting, to all its addresses together; the next one is tried
  // when its share of the time has passed. The opening handshake has Limits::handshake_time.
  Duration connect_time = std::chrono::seconds{10};
  // When given, a connection that failed or ended is made anew, and the name looked up afresh:
  // unless Client::close() ended it, or the answer to the upgrade was final. Final is what is no
  // WebSocket server's, a status of 300 to 499 but for 408, 425 and 429, a proxy's too, and a
  // certificate that has expired, is for another host, or of an issuer that is not known.
  std::optional<Reconnect> reconnect = {};
  Limits limits = {};
  // What to ask for: a draft before RFC 6455 is for servers that know nothing else
  // (docs/drafts.md).
  ProtocolVersion version = ProtocolVersion::rfc6455;
  // What messages are compressed with, if the server agrees: a Deflate (timtow/deflate.hpp), or
  // null for none. It may be shared by many.
  std::shared_ptr<const Compression> compression = {};
  // For wss://, which is an error without: a tls::ClientContext.
  std::shared_ptr<ClientSecurity> tls = {};
};

class Client {
 public:
  // The loop must outlive the client and every connection that is kept. Of the handlers
  // - on_request is not called;
  // - on_error tells what failed: looking up the name, connecting, or the opening handshake.
  Client(Loop& loop, ClientOptions options, Handlers handlers);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  // Cuts what is connected, without calling a handler. May be called from inside one. Behind
  // on_close there is nothing to cut: the server still gets our close frame.
  ~Client();

  // Starts to connect, and leaves the rest to the handlers. An error if the options are wrong or
  // the client is active already; then nothing happens.
  Error connect();
  // Starts the closing handshake if the connection is open (on_close follows); otherwise gives up
  // without a word. Either way it is not made anew, until connect() is called. Any other result
  // than errc::ok is that of Connection::close(), and then nothing happens.
  errc close(CloseCode code = close_code::normal, std::string_view reason = {});

  // Whether there is a connection, or one may come without another connect(). Where on_close and
  // on_error are called, it tells already what comes next.
  bool is_active() const noexcept;
  // The connection, while it is open; null otherwise.
  std::shared_ptr<Connection> connection() const noexcept;

  // As those of Connection; errc::not_open while there is none.
  errc send(const Message& message);
  errc send(std::string_view text) { return send(Message{MessageType::text, as_bytes(text)}); }
  errc send(Bytes binary) { return send(Message{MessageType::binary, binary}); }

  // What has happened so far, over all connections. On the loop's thread; others post().
  Metrics metrics() const noexcept;

 private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace timtow
