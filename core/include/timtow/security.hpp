// The hook by which the bytes of a connection are secured on their way: TLS, of which the core
// knows nothing. A Server or a Client is handed something that makes a Filter for each connection,
// and that stands between the connection and its transport: it is the transport to the one, and is
// told by the other.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "timtow/error.hpp"
#include "timtow/loop.hpp"

namespace timtow {

// What a secured stream has agreed on with its peer. Before it has, the texts are empty.
class Security {
 public:
  virtual std::string_view version() const noexcept = 0;  // "TLSv1.3"
  virtual std::string_view cipher() const noexcept = 0;   // "TLS_AES_256_GCM_SHA384"
  // What was chosen by ALPN (RFC 7301); empty when the peer did not ask.
  virtual std::string_view application_protocol() const noexcept = 0;
  // The subject of the peer's certificate, as RFC 2253 writes it: "CN=alice,O=Example"; empty when
  // it showed none. It was verified, unless a client's context was told not to. Throws
  // std::bad_alloc.
  virtual std::string peer_subject() const = 0;
  // Whether it continues a session that was agreed on before.
  virtual bool is_resumed() const noexcept = 0;
  // Why nothing can be said or understood any more, if that is so.
  virtual const Error& error() const noexcept = 0;

 protected:
  ~Security() = default;
};

// It keeps to the rules of loop.hpp on both sides. Until the stream is secured it takes nothing,
// and asks for patience. From opened() on it owns itself, until close(); when failed() comes in
// place of that, it is gone.
//
// When it fails itself, error() says why before `above` is told failed(). It then tells the peer
// why, as far as the peer takes it, understands nothing more, and tells the end of the stream.
class Filter : public Transport, public TransportEvents {
 public:
  Filter() = default;
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;
  virtual ~Filter() = default;
};

// What secures the connections that a server accepts.
class ServerSecurity {
 public:
  virtual ~ServerSecurity() = default;
  // For a connection on this loop, whose events are `above`. Throws std::bad_alloc.
  virtual std::unique_ptr<Filter> secure(Loop& loop, TransportEvents& above) = 0;
};

// What secures the connections that a client makes.
class ClientSecurity {
 public:
  virtual ~ClientSecurity() = default;
  // The same, to a server that has to prove that it is this host: a name, or an address.
  virtual std::unique_ptr<Filter> secure(Loop& loop, TransportEvents& above,
                                         const std::string& host) = 0;
};

}  // namespace timtow
