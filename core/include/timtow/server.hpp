// A WebSocket server on any loop: written once, on the seam.
//
//   timtow::poll::Loop loop;
//   timtow::Server server{loop, {.on_message = [](auto& c, auto& m) { c.send(m); }}};
//   if (auto error = server.listen({"127.0.0.1", 9001})) ...
//   loop.run();
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "timtow/compression.hpp"
#include "timtow/connection.hpp"
#include "timtow/endpoint.hpp"
#include "timtow/error.hpp"
#include "timtow/forwarded.hpp"
#include "timtow/limits.hpp"
#include "timtow/loop.hpp"
#include "timtow/metrics.hpp"
#include "timtow/origin_policy.hpp"
#include "timtow/security.hpp"

namespace timtow {

// What a server does for every connection.
struct ServerOptions {
  Limits limits = {};
  // How many connections there may be, open and opening, and how many of one address (of IPv6: of
  // one /64). Whoever comes beyond is answered 503, or over TLS cut; and so that this costs little,
  // only an eighth as many at a time, and others are closed at once. on_error is told from time to
  // time how many these were, and not of each. 0: five sixths of what the process may open, and
  // half of `connections`. The largest number: no limit.
  //
  // This machine (loopback, Unix sockets) may have as many as it likes, and so may a trusted proxy,
  // in whose place the clients count that it names.
  std::size_t connections = 0;
  std::size_t connections_per_address = 0;
  // In our order of preference: the first that the client offers is taken. For servers without
  // Handlers::on_request; in one, choose_subprotocol() does the same.
  std::vector<std::string> subprotocols = {};
  // In place of those: returns one that the client offers (Request::subprotocols()), or nothing.
  std::function<std::string_view(const Request&)> choose_subprotocol = {};
  // Where none is found the upgrade is accepted without, and the client decides: browsers then
  // close if they had offered any. With this it is refused, with 400.
  bool needs_subprotocol = false;
  // Whose pages may open a connection. Asked of each upgrade, before on_request.
  OriginPolicy origins = {};
  // Proxies that tell the truth of who the client is: "10.0.0.0/8", "127.0.0.1", "::1", "unix:".
  // What they say in this header is Connection::client_address(), and `origins` are asked of the
  // host and scheme that they were asked for, which drafts 75 and 76 repeat.
  std::vector<std::string> trusted_proxies = {};
  ForwardedHeader forwarded_header = ForwardedHeader::x_forwarded_for;
  // Each of them must begin its connections with a header of the PROXY protocol, version 1 or 2;
  // whom that names is then Connection::peer(). From others such a header is an error.
  bool proxy_protocol = false;
  // Speak the drafts before RFC 6455 as well: docs/drafts.md tells which, and why not.
  bool drafts = false;
  // What messages are compressed with, where a client offers it: a Deflate (timtow/deflate.hpp), or
  // null for none. It may be shared by many.
  std::shared_ptr<const Compression> compression = {};
};

class Server {
 public:
  // The loop must outlive the server and every connection that is kept. What is wrong in the
  // options is the error of listen() and adopt().
  Server(Loop& loop, Handlers handlers, ServerOptions options = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // Cuts what is still connected, without calling a handler. May be called from inside one.
  ~Server();

  // Listens there as well. A port of 0 is any free one, see endpoints().
  Error listen(const Endpoint& endpoint);
  // The same over TLS: `security` is a tls::ServerContext. Null is an error, and never plain text.
  Error listen(const Endpoint& endpoint, std::shared_ptr<ServerSecurity> security);
  // Takes over a socket that listens already, as systemd or a parent process hands them over.
  Error adopt_listener(Socket socket);
  Error adopt_listener(Socket socket, std::shared_ptr<ServerSecurity> security);
  std::vector<Endpoint> endpoints() const;

  // Takes over a connected socket of which nothing has been read but `already_read`.
  Error adopt(Socket socket, Bytes already_read = {});
  // The same over TLS, of which nothing has been understood: `already_read` is as it came.
  Error adopt(Socket socket, const std::shared_ptr<ServerSecurity>& security,
              Bytes already_read = {});
  // The same with a request that another HTTP server has read; `already_read` came behind it.
  // on_request is called before this returns.
  Error adopt(Socket socket, const Request& request, Bytes already_read = {});

  // Stops accepting, closes every connection with 1001, and cuts those that remain at the deadline.
  // Calls `done` once, when none is left, and never if the server is destroyed before. Idempotent:
  // the first deadline counts. A server that was shut down listens and adopts no more.
  void shutdown(Duration deadline, std::function<void()> done = {});

  // What has happened so far, and how it stands. On the loop's thread; others post().
  Metrics metrics() const noexcept;
  // Open and opening connections.
  std::size_t size() const noexcept;
  // Null when it is gone.
  std::shared_ptr<Connection> find(std::uint64_t id) const;
  // Calls the function for every open connection, in the order in which they came.
  void for_each(const std::function<void(Connection&)>& function);
  // Sends a message to every open connection, or to those that the function chooses, as one frame
  // that all share. Returns for how many it was queued: it is not for those whose output is full
  // (Limits::output_bytes) or who are in the midst of a fragmented message. Throws std::bad_alloc.
  std::size_t broadcast(const Message& message, const std::function<bool(Connection&)>& to = {});
  std::size_t broadcast(const PreparedMessage& message,
                        const std::function<bool(Connection&)>& to = {});

 private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace timtow
