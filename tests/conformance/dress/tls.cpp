// TLS: the peers are OpenSSL's own, and verify nothing; timtow's clients verify all.
#include <doctest/doctest.h>

#include "support/certificate.hpp"
#include "support/dress.hpp"
#include "support/tls_peer.hpp"
#include "timtow/client.hpp"
#include "timtow/tls.hpp"

namespace {

class TlsDress final : public test::Dress {
 public:
  explicit TlsDress(SSL_CTX* context) : peer_(context, true) {}

  bool is_ready() const override { return peer_.is_ready; }
  void say(std::string_view bytes, std::string& wire) override {
    peer_.say(bytes);
    wire += peer_.take();
  }
  void hear(std::string_view came, std::string& got, std::string& wire) override {
    peer_.hear(came);
    CHECK(peer_.failure == "");
    got += std::exchange(peer_.got, {});
    wire += peer_.take();
  }
  void end(std::string& wire) override {
    if (peer_.is_ready) peer_.say_close_notify();
    wire += peer_.take();
  }
  void ended() override { CHECK_MESSAGE(peer_.has_ended, "the stream ended without close_notify"); }

 private:
  test::TlsPeer peer_;
};

// What all have in common.
struct Wardrobe {
  test::Folder folder;
  std::string file = test::Certificate{{.names = "DNS:localhost,DNS:unix,IP:127.0.0.1"}}.write(
      folder / "localhost.pem");
  std::shared_ptr<timtow::ServerSecurity> server;
  std::shared_ptr<timtow::ClientSecurity> client;
  test::Context peers = test::client_context();

  Wardrobe() {
    timtow::Error error;
    server = timtow::tls::ServerContext::make({.certificates = {{file, file}}}, error);
    client = timtow::tls::ClientContext::make({.ca_file = file}, error);
    REQUIRE_MESSAGE(!error, error.text);
  }
};

const Wardrobe& wardrobe() {
  static const Wardrobe made;
  return made;
}

}  // namespace

std::unique_ptr<test::Dress> test::make_dress() {
  return std::make_unique<TlsDress>(wardrobe().peers.get());
}

std::string test::scheme() { return "wss://"; }

timtow::ServerOptions test::dressed(timtow::ServerOptions options) { return options; }

timtow::ClientOptions test::dressed(timtow::ClientOptions options) {
  options.tls = wardrobe().client;
  return options;
}

timtow::Error test::listen(timtow::Server& server, const timtow::Endpoint& endpoint) {
  return server.listen(endpoint, wardrobe().server);
}

timtow::Error test::adopt_listener(timtow::Server& server, timtow::Socket socket) {
  return server.adopt_listener(socket, wardrobe().server);
}

timtow::Error test::adopt(timtow::Server& server, timtow::Socket socket,
                          timtow::Bytes already_read) {
  return server.adopt(socket, wardrobe().server, already_read);
}
