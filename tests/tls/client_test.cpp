// A client over TLS: whom it trusts, what it says of those it does not, and when it says what.
#include "timtow/client.hpp"

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "support/tls_world.hpp"
#include "timtow/digest.hpp"

namespace {

using namespace timtow;
using namespace std::string_literals;
using namespace std::chrono_literals;
using test::certificates;
using test::FakeLoop;
using test::Lines;
using test::Stream;
namespace opcode = test::opcode;

// A client, and a server for each of its connections that is OpenSSL's own.
struct ClientWorld {
  FakeLoop loop;
  test::Context peers = test::server_context();
  ClientOptions options{.url = "wss://localhost/"};
  Handlers handlers;
  Lines log;
  std::unique_ptr<Client> client;
  std::unique_ptr<Stream> stream;  // of the last connection
  bool was_resumed = false;

  explicit ClientWorld(const test::Certificate& shown = test::Certificate{{}, &issuer()}) {
    options.tls = test::make_client_context({});
    shown.use_in(peers.get());
    handlers.on_open = [this](Connection& c) {
      was_resumed = c.security()->is_resumed();
      log.push_back("open " + std::string{c.security()->version()} + ' ' +
                    c.security()->peer_subject());
    };
    handlers.on_message = [this](Connection&, const Message& m) {
      log.push_back(std::string{m.text()});
    };
    handlers.on_close = [this](Connection&, const Closed& closed) {
      log.push_back("closed " + std::to_string(closed.code) +
                    (closed.error != nullptr ? ' ' + closed.error->text : ""));
    };
    handlers.on_error = [this](const Error& error) { log.push_back(error.text); };
  }
  static const test::Certificate& issuer() { return certificates().issuer; }

  Lines heard() { return std::exchange(log, {}); }

  void connects() {
    if (client == nullptr) client = std::make_unique<Client>(loop, options, handlers);
    CHECK_FALSE(client->connect());
    loop.settle();
    stream = std::make_unique<Stream>(*loop.peers.back(), peers.get(), false);
    stream->run();
  }
  // Answers the request for an upgrade.
  void accepts() {
    test::OutputLog request{Role::client};
    request.read(std::exchange(stream->tls.got, {}));
    stream->says(test::upgrade_response(accept_for(request.key())));
  }
  // The sentence without what says which connection it is about.
  std::string cause() {
    connects();
    stream->peer.ends();
    REQUIRE(log.size() == 1);
    const std::string prefix = "the opening handshake with " + options.url + " failed: ";
    CHECK(log.front().starts_with(prefix));
    return heard().front().substr(prefix.size());
  }
};

}  // namespace

TEST_CASE("tls: a client opens, talks and closes, in any version, however it is split") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const std::size_t split : {test::any_number, 100UL, 1UL}) {
      CAPTURE(version);
      CAPTURE(split);
      ClientWorld world;
      SSL_CTX_set_max_proto_version(world.peers.get(), version);
      world.client = std::make_unique<Client>(world.loop, world.options, world.handlers);
      REQUIRE_FALSE(world.client->connect());
      world.loop.settle();
      world.stream = std::make_unique<Stream>(*world.loop.peers.back(), world.peers.get(), false);
      world.stream->split = split;
      world.stream->run();
      CHECK(world.stream->tls.got.starts_with("GET / HTTP/1.1\r\nHost: localhost\r\n"));
      world.accepts();
      world.stream->says(test::server_frame(opcode::text, "hello"));
      CHECK(world.client->send("back") == errc::ok);
      world.loop.settle();
      world.stream->run();
      std::string_view got = world.stream->tls.got;
      CHECK(test::decode(got)->payload == "back");
      world.stream->says(test::server_frame(opcode::close, test::close_payload(1001)));
      world.stream->ends();
      CHECK(world.stream->tls.has_ended);  // it said close_notify too
      CHECK(world.stream->peer.closed == How::graceful);
      CHECK(world.heard() == Lines{version == TLS1_2_VERSION ? "open TLSv1.2 CN=localhost"
                                                             : "open TLSv1.3 CN=localhost",
                                   "hello", "closed 1001"});
    }
  }
}

TEST_CASE("tls: a client says nothing before its server is proven") {
  ClientWorld world{test::Certificate{{}}};
  world.connects();
  CHECK(world.stream->tls.got.empty());
  CHECK(world.stream->tls.failure.find("unknown ca") != std::string::npos);
}

TEST_CASE("tls: a client says what is wrong with a certificate") {
  const auto cause = [](test::Certificate::Options options, const std::string& url,
                        const test::Certificate* issuer = &ClientWorld::issuer()) {
    ClientWorld world{test::Certificate{std::move(options), issuer}};
    world.options.url = url;
    return world.cause();
  };
  const std::string local = "wss://localhost/";
  CHECK(cause({.begins = -20, .ends = -10}, local) == "the peer's certificate has expired");
  CHECK(cause({.begins = 1000, .ends = 2000}, local) ==
        "the peer's certificate is not valid yet; is the clock right?");
  CHECK(cause({}, local, nullptr) ==
        "the issuer of the peer's certificate is not known (self-signed?)");
  CHECK(cause({.names = "DNS:a.example,DNS:b.example"}, local) ==
        "the server's certificate is not for this host: wanted localhost, and it is for a.example, "
        "b.example");
  CHECK(cause({.names = "DNS:a.example,IP:127.0.0.2,IP:2001:db8::1"}, "wss://127.0.0.1/") ==
        "the server's certificate is not for this host: wanted 127.0.0.1, and it is for a.example, "
        "127.0.0.2, 2001:db8::1");
  CHECK(cause({.names = "DNS:a\x1B[31mb\x7F\xC3\x9B.example"}, local) ==
        "the server's certificate is not for this host: wanted localhost, and it is for "
        "a?[31mb???.example");
  // A name that reads as an address is none.
  CHECK(cause({.names = "DNS:127.0.0.1"}, "wss://127.0.0.1/")
            .starts_with("the server's certificate is not for this host"));
  CHECK(cause({.names = "DNS:*.example"}, "wss://a.b.example/")
            .starts_with("the server's certificate is not for this host"));
  CHECK(cause({.names = "DNS:f*.b.example"}, "wss://foo.b.example/")
            .starts_with("the server's certificate is not for this host"));
  // One that is not allowed to has issued this one.
  const test::Certificate no_issuer{{}, &ClientWorld::issuer()};
  CHECK(cause({}, local, &no_issuer).starts_with("the "));
}

TEST_CASE("tls: without a file of issuers they are the system's") {
  ClientWorld world;
  Error error;
  world.options.tls = tls::ClientContext::make({}, error);
  CHECK_MESSAGE(!error, error.text);
  CHECK(world.cause().starts_with("the issuer of the peer's certificate is not known"));
}

TEST_CASE("tls: a certificate is for the names that it lists, and not for its subject") {
  for (const std::string names :
       {"", "IP:192.0.2.1", "email:localhost@localhost", "URI:wss://localhost"}) {
    CAPTURE(names);
    ClientWorld world{
        test::Certificate{{.names = names, .subject = "localhost"}, &ClientWorld::issuer()}};
    CHECK(world.cause().starts_with("the server's certificate is not for this host"));
  }
}

TEST_CASE("tls: a client accepts what is right, by name and by address") {
  const auto is_accepted = [](const char* names, const std::string& url) {
    ClientWorld world{test::Certificate{{.names = names}, &ClientWorld::issuer()}};
    world.options.url = url;
    std::string asked = "nothing";
    world.connects();
    if (const char* const name =
            SSL_get_servername(world.stream->tls.ssl(), TLSEXT_NAMETYPE_host_name))
      asked = name;
    CHECK_MESSAGE(world.stream->tls.is_ready, world.log.front());
    return asked;
  };
  CHECK(is_accepted("DNS:a.example", "wss://a.example/") == "a.example");
  CHECK(is_accepted("DNS:a.example", "wss://A.Example/") == "A.Example");
  CHECK(is_accepted("DNS:a.example", "wss://a.example./") == "a.example");
  CHECK(is_accepted("DNS:*.example.org", "wss://a.example.org/") == "a.example.org");
  CHECK(is_accepted("IP:127.0.0.1", "wss://127.0.0.1/") == "nothing");
  CHECK(is_accepted("IP:::1", "wss://[::1]/") == "nothing");
}

TEST_CASE("tls: without verification whatever comes is accepted") {
  ClientWorld world{test::Certificate{{.names = "DNS:other", .begins = -20, .ends = -10}}};
  world.options.tls = test::make_client_context({.verify = false});
  world.connects();
  world.accepts();
  CHECK(world.heard() == Lines{"open TLSv1.3 CN=localhost"});
}

TEST_CASE("tls: a client shows its certificate to servers that ask for it") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const bool has_one : {true, false}) {
      CAPTURE(version);
      CAPTURE(has_one);
      ClientWorld world;
      SSL_CTX_set_max_proto_version(world.peers.get(), version);
      const std::string alice = certificates().file("alice", {.names = "", .subject = "alice"});
      tls::ClientContext::Options options;
      if (has_one) options.certificate = {alice, alice};
      world.options.tls = test::make_client_context(options);
      SSL_CTX_load_verify_file(world.peers.get(), certificates().issuer_file.c_str());
      SSL_CTX_set_verify(world.peers.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                         nullptr);
      world.connects();
      const auto* const shown = SSL_get0_peer_certificate(world.stream->tls.ssl());
      CHECK(test::common_name(shown) == (has_one ? "alice" : "nobody"));
      CHECK(world.log.empty() == has_one);
      if (!has_one)
        CHECK(world.log.front().find(version == TLS1_3_VERSION
                                         ? "the peer does not accept our certificate"
                                         : "handshake failure") != std::string::npos);
    }
  }
}

TEST_CASE("tls: a client continues the session that its server gave it last") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    ClientWorld world;
    SSL_CTX_set_max_proto_version(world.peers.get(), version);
    for (int i = 0; i < 4; ++i) {
      CAPTURE(i);
      world.connects();
      world.accepts();
      CHECK(world.was_resumed == (i > 0));
      // However it ends.
      if (i % 2 == 0) {
        world.client->close();
        world.loop.settle();
        world.stream->run();
        world.stream->says(test::server_frame(opcode::close, test::close_payload(1000)));
        world.stream->ends();
      } else {
        world.stream->peer.breaks();
      }
      CHECK_FALSE(world.client->is_active());
    }
    // To another host it begins anew.
    world.client.reset();
    world.options.url = "wss://127.0.0.1/";
    world.connects();
    world.accepts();
    CHECK_FALSE(world.was_resumed);
  }
}

TEST_CASE("tls: what a server says that speaks none, and where it is missing") {
  const auto cause = [](std::string_view said) {
    ClientWorld world;
    world.client = std::make_unique<Client>(world.loop, world.options, world.handlers);
    CHECK_FALSE(world.client->connect());
    world.loop.settle();
    world.loop.peers.back()->sends(said);
    world.loop.peers.back()->ends();
    REQUIRE(world.log.size() == 1);
    return world.heard().front();
  };
  CHECK(cause("HTTP/1.1 400 Bad Request\r\n\r\n").ends_with(": the peer speaks no TLS"));
  CHECK(cause("SSH-2.0-OpenSSH_9.2\r\n").ends_with(": the peer speaks no TLS"));
  CHECK(cause("").ends_with(": the stream ended inside the TLS handshake"));
  const auto of_alert = [&](char alert) { return cause({"\x15\x03\x01\0\x02\x02"s + alert}); };
  for (const char alert : std::initializer_list<char>{42, 43, 44, 45, 46, 48, 49})
    CHECK(of_alert(alert).find(": the peer does not accept our certificate: ") !=
          std::string::npos);
  CHECK(of_alert(70).ends_with(
      ": there is no version of TLS that both sides want: protocol version"));
  CHECK(
      of_alert(71).ends_with(": there are no ciphers that both sides want: insufficient security"));
  CHECK(of_alert(120).find(": there is no application protocol that both sides want") !=
        std::string::npos);
  CHECK(of_alert(80).ends_with(": the peer gave up TLS: internal error"));

  ClientWorld world;
  world.options.tls = nullptr;
  Client client{world.loop, world.options, world.handlers};
  const Error error = client.connect();
  CHECK(error.code == errc::tls_needed);
  CHECK(error.text == "for wss://localhost/ a TLS context is needed: set ClientOptions::tls");
  CHECK(world.loop.resolved.empty());
}

TEST_CASE("tls: a client has one deadline for the handshakes of TLS and HTTP, and connects anew") {
  ClientWorld world;
  world.options.reconnect = Reconnect{.first = 1s, .most = 1s};
  world.client = std::make_unique<Client>(world.loop, world.options, world.handlers);
  CHECK_FALSE(world.client->connect());
  world.loop.settle();
  world.loop.passes(10s);
  REQUIRE(world.log.size() == 1);
  CHECK(world.heard().front().ends_with("which is Limits::handshake_time"));
  CHECK(world.loop.peers.back()->closed == How::abortive);
  world.loop.passes(1s);
  world.stream = std::make_unique<Stream>(*world.loop.peers.back(), world.peers.get(), false);
  world.stream->run();
  world.accepts();
  CHECK(world.heard() == Lines{"open TLSv1.3 CN=localhost"});
}

TEST_CASE("tls: a certificate that does not get better is final, and one that may is tried anew") {
  const auto tries_anew = [](test::Certificate::Options options,
                             const test::Certificate* issuer = &ClientWorld::issuer()) {
    ClientWorld world{test::Certificate{std::move(options), issuer}};
    world.options.reconnect = Reconnect{};
    world.cause();
    return world.client->is_active();
  };
  CHECK_FALSE(tries_anew({.begins = -20, .ends = -10}));
  CHECK_FALSE(tries_anew({.names = "DNS:a.example"}));
  CHECK_FALSE(tries_anew({}, nullptr));
  CHECK(tries_anew({.begins = 1000, .ends = 2000}));
}

TEST_CASE("tls: a client whose first words are not taken at once") {
  for (const test::Peer::Style style :
       {test::Peer::Style::readiness, test::Peer::Style::completion}) {
    ClientWorld world;
    world.client = std::make_unique<Client>(world.loop, world.options, world.handlers);
    world.loop.connect_waits = false;
    CHECK_FALSE(world.client->connect());
    world.loop.on_call = {};
    world.loop.settle();
    test::Peer& peer = *world.loop.peers.back();
    peer.style = style;
    world.stream = std::make_unique<Stream>(peer, world.peers.get(), false);
    // All that comes behind the first words is taken byte by byte.
    peer.room = 0;
    for (int i = 0; i < 2000; ++i) {
      world.stream->run();
      peer.takes(1);
    }
    world.stream->run();
    CHECK(world.stream->tls.got.ends_with("\r\n\r\n"));
    peer.takes_all();
    world.accepts();
    CHECK(world.heard() == Lines{"open TLSv1.3 CN=localhost"});
  }
}
