// A server over TLS on a FakeLoop, and peers of it that speak TLS by OpenSSL alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "support/certificate.hpp"
#include "support/server_world.hpp"
#include "support/tls_peer.hpp"
#include "timtow/tls.hpp"

namespace test {

// What counts in a pool's budget for a connection over TLS, whatever it does.
inline constexpr std::size_t held_by_openssl = 16 * 1024;

// The certificates of all tests.
struct Certificates {
  Folder folder;
  Certificate issuer{{.names = "", .subject = "issuer", .is_issuer = true}};
  std::string issuer_file = issuer.write(folder / "issuer.pem");

  // By the issuer; the file has its key as well.
  std::string file(const std::string& name, Certificate::Options options) const {
    return Certificate{std::move(options), &issuer}.write(folder / (name + ".pem"));
  }
  std::string localhost = file("localhost", {});
};

inline const Certificates& certificates() {
  static const Certificates made;
  return made;
}

inline std::shared_ptr<timtow::tls::ServerContext> make_server_context(
    timtow::tls::ServerContext::Options options) {
  if (options.certificates.empty())
    options.certificates = {{certificates().localhost, certificates().localhost}};
  timtow::Error error;
  auto context = timtow::tls::ServerContext::make(std::move(options), error);
  REQUIRE_MESSAGE(!error, error.text);
  return context;
}

inline std::shared_ptr<timtow::tls::ClientContext> make_client_context(
    timtow::tls::ClientContext::Options options) {
  if (options.ca_file.empty()) options.ca_file = certificates().issuer_file;
  timtow::Error error;
  auto context = timtow::tls::ClientContext::make(std::move(options), error);
  REQUIRE_MESSAGE(!error, error.text);
  return context;
}

// Both ends of a stream on a FakeLoop: OpenSSL, and what the loop shows of it.
class Stream {
 public:
  Stream(Peer& at, SSL_CTX* context, bool is_client = true) : peer(at), tls(context, is_client) {}

  Peer& peer;
  TlsPeer tls;
  std::size_t split = any_number;  // bytes that arrive together

  // The first words of its handshake, if it is the one to begin.
  std::string begin() {
    tls.hear({});
    return tls.take();
  }
  // Until nobody has anything to say.
  Stream& run() {
    if (!tls.is_ready) tls.hear({});
    while (true) {
      const std::string wire = tls.take();
      if (wire.empty() && peer.written.empty()) return *this;
      for (std::string_view rest = wire; !rest.empty() && !peer.closed;
           rest.remove_prefix(std::min(split, rest.size())))
        peer.sends(rest.substr(0, split));
      tls.hear(std::exchange(peer.written, {}));
    }
  }

  Stream& says(std::string_view text, std::size_t record = 16'384) {
    tls.say(text, record);
    return run();
  }
  Stream& says(unsigned opcode, std::string_view payload) {
    return says(client_frame(opcode, payload));
  }
  void ends() {
    tls.say_close_notify();
    run();
    peer.ends();
  }
  // The opening handshake, above that of TLS.
  Stream& opens() {
    run();
    REQUIRE_MESSAGE(tls.is_ready, tls.failure);
    says(upgrade_request);
    const auto end = tls.got.find("\r\n\r\n");
    REQUIRE(end != std::string::npos);
    CHECK(tls.got.starts_with("HTTP/1.1 101 "));
    tls.got.erase(0, end + 4);
    return *this;
  }
  Lines frames() { return OutputLog{timtow::Role::server, true}.read(std::exchange(tls.got, {})); }
};

struct TlsWorld : World {
  std::shared_ptr<timtow::tls::ServerContext> context;
  Context peers = client_context();

  explicit TlsWorld(timtow::tls::ServerContext::Options of_tls = {})
      : context(make_server_context(std::move(of_tls))) {
    // An error of TLS has a name in no list, and says more in its sentence.
    handlers.on_error = [this](const timtow::Error& error) {
      log.push_back("error " + error.text);
    };
  }

  TlsWorld& serve() {
    options.limits = limits;
    server.emplace(loop, handlers, options);
    CHECK_FALSE(server->listen({.host = "127.0.0.1", .port = 9001, .path = {}}, context));
    return *this;
  }
  TlsWorld& echo() {
    handlers.on_message = [](timtow::Connection& c, const timtow::Message& m) { c.send(m); };
    return serve();
  }
  std::unique_ptr<Stream> connects() {
    return std::make_unique<Stream>(loop.connects(), peers.get());
  }
  std::unique_ptr<Stream> opened() {
    auto stream = connects();
    stream->opens();
    heard();
    return stream;
  }
};

}  // namespace test
