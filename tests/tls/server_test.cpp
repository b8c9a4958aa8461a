// A server over TLS: handshakes, records, ends, and what is not wanted yet.
#include <openssl/ssl.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "support/allocation.hpp"
#include "support/tls_world.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Lines;
using test::Peer;
using test::Stream;
using test::TlsWorld;
namespace opcode = test::opcode;

std::string message_of(tls::errc code) { return tls::make_error_code(code).message(); }

}  // namespace

// -- Handshakes -----------------------------------------------------------------------------------

TEST_CASE(
    "tls: what was agreed on is told, and nothing of a plain connection or before the handshake") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    TlsWorld world;
    SSL_CTX_set_max_proto_version(world.peers.get(), version);
    constexpr unsigned char offered[] = "\x02h2\x08http/1.1";
    SSL_CTX_set_alpn_protos(world.peers.get(), offered, sizeof offered - 1);
    Lines said;
    world.handlers.on_open = [&](Connection& c) {
      const Security& security = *c.security();
      said = {std::string{security.version()}, std::string{security.application_protocol()},
              security.peer_subject(), security.is_resumed() ? "resumed" : "anew"};
      CHECK_FALSE(security.cipher().empty());
      CHECK_FALSE(security.error());
    };
    world.serve();
    const auto stream = world.connects();
    CHECK(world.connection()->security()->version() == "");
    stream->opens();
    CHECK(said == Lines{version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3", "http/1.1", "", "anew"});
    stream->ends();
  }
}

TEST_CASE("tls: the same bytes give the same events, however they and their records are split") {
  std::string text{test::upgrade_request};
  for (const std::size_t size : {0UL, 1UL, 125UL, 126UL, 5000UL, 40'000UL})
    text += test::client_frame(opcode::text, std::string(size, 'x'));
  text += test::client_frame(opcode::ping, "hi") + test::client_frame(opcode::close, "\x03\xE8");
  Lines expected;
  for (const std::size_t record : {16'384UL, 1000UL, 100UL, 7UL, 1UL}) {
    for (const std::size_t split : {test::any_number, 16'384UL, 1000UL, 5UL, 1UL}) {
      if (record < 100 && split < 1000) text.resize(1500);  // many records are long on the wire
      CAPTURE(record);
      CAPTURE(split);
      TlsWorld world;
      world.serve();
      const auto stream = world.connects();
      stream->split = split;
      stream->run();
      stream->says(text, record);
      Lines heard = world.heard();
      if (expected.empty()) expected = heard;
      CHECK(heard.size() >= 5);
      CHECK(std::equal(heard.begin(), heard.end(), expected.begin()));
      stream->ends();
    }
  }
  CHECK(expected.size() == 9);
}

TEST_CASE("tls: what a read brought in many records is answered in one write") {
  TlsWorld world;
  world.echo();
  const auto stream = world.opened();
  std::string text;
  for (int i = 0; i < 50; ++i) text += test::client_frame(opcode::text, std::to_string(i));
  const int before = stream->peer.writes;
  stream->says(text, 20);
  CHECK(stream->peer.writes == before + 1);
  CHECK(stream->frames().size() == 50);
  stream->ends();
}

TEST_CASE("tls: one deadline for the handshakes of TLS and HTTP together, from the start") {
  for (const bool is_silent : {true, false}) {
    CAPTURE(is_silent);
    TlsWorld world;
    world.limits.handshake_time = 10s;
    world.serve();
    const auto stream = world.connects();
    const std::string hello = stream->begin();
    for (std::size_t i = 0; i < 9; ++i) {
      world.loop.passes(1s);
      if (!is_silent) stream->peer.sends(std::string_view{hello}.substr(i, 1));
    }
    CHECK(world.heard().empty());
    world.loop.passes(1s);
    CHECK(world.heard() ==
          Lines{"error the opening handshake took over 10000 ms, which is Limits::handshake_time"});
    CHECK(stream->peer.closed == How::abortive);  // what a server says before TLS, nobody can read
    CHECK(world.server->size() == 0);
  }
}

TEST_CASE("tls: a server that is shut down in the midst of a handshake waits for nobody") {
  TlsWorld world;
  world.serve();
  const auto stream = world.connects();
  bool done = false;
  world.server->shutdown(1h, [&] { done = true; });
  world.loop.settle();
  CHECK(done);
}

TEST_CASE("tls: what is no TLS, or not enough of it, is refused and called what it is") {
  struct Example {
    const char* bytes;
    tls::errc code;
  };
  const Example examples[] = {
      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", tls::errc::plain_http},
      {"SSH-2.0-OpenSSH_9.2\r\n", tls::errc::not_tls},
      {"\x01\x02\x03\x04\x05\x06\x07", tls::errc::not_tls},
  };
  for (const Example& each : examples) {
    for (const std::size_t split : {test::any_number, 1UL}) {
      CAPTURE(each.bytes);
      TlsWorld world;
      world.serve();
      Peer& peer = world.loop.connects();
      for (std::string_view rest = each.bytes; !rest.empty();
           rest.remove_prefix(std::min(split, rest.size())))
        peer.sends(rest.substr(0, split));
      CHECK(world.heard() == Lines{"error " + message_of(each.code)});
      if (each.code == tls::errc::plain_http)
        CHECK(peer.written.ends_with("\r\n\r\nThis port speaks TLS: ask for https:// or wss://"));
      CHECK(peer.shut_down);
      CHECK_FALSE(peer.closed);  // so that the answer arrives
      peer.ends();
      CHECK(peer.closed == How::graceful);
      CHECK(world.server->size() == 0);
    }
  }
}

TEST_CASE("tls: what the peer cannot agree on is named, and it is told by an alert") {
  const auto refused = [](const std::function<void(TlsWorld&)>& prepare) {
    TlsWorld world{{.min_version = tls::Version::tls1_3}};
    prepare(world);
    world.serve();
    const auto stream = world.connects();
    stream->run();
    CHECK_FALSE(stream->tls.failure.empty());
    stream->peer.ends();
    CHECK(world.server->size() == 0);
    const Lines heard = world.heard();
    return heard.size() == 1 ? heard.front() : test::joined(heard);
  };
  CHECK(refused([](TlsWorld& world) {
          SSL_CTX_set_max_proto_version(world.peers.get(), TLS1_2_VERSION);
        }) == "error " + message_of(tls::errc::no_common_version));
  CHECK(refused([](TlsWorld& world) {
          SSL_CTX_set_alpn_protos(world.peers.get(),
                                  reinterpret_cast<const unsigned char*>("\x02h2"), 3);
        }) == "error " + message_of(tls::errc::no_common_protocol));
  CHECK(refused([](TlsWorld& world) {
          SSL_CTX_set_ciphersuites(world.peers.get(), "TLS_AES_128_CCM_SHA256");
        }) == "error " + message_of(tls::errc::no_common_cipher));
  CHECK(refused([](TlsWorld& world) {
          SSL_CTX_set_verify(world.peers.get(), SSL_VERIFY_PEER, nullptr);
        }) == "error " + message_of(tls::errc::certificate_refused) + ": unknown CA");
}

TEST_CASE("tls: a stream that ends inside the handshake") {
  for (const std::size_t size : {0UL, 1UL, 100UL}) {
    TlsWorld world;
    world.serve();
    const auto stream = world.connects();
    stream->peer.sends(stream->begin().substr(0, size));
    stream->peer.ends();
    CHECK(world.heard() == Lines{"error the stream ended inside the TLS handshake"});
    CHECK(stream->peer.closed);
  }
}

TEST_CASE("tls: renegotiation is refused, and the others go on") {
  TlsWorld world;
  SSL_CTX_set_max_proto_version(world.peers.get(), TLS1_2_VERSION);
  world.echo();
  const auto stream = world.opened();
  const auto other = world.opened();
  SSL_renegotiate(stream->tls.ssl());
  SSL_do_handshake(stream->tls.ssl());
  stream->run();
  CHECK(stream->tls.failure == "no renegotiation");
  other->says(opcode::text, "hello");
  CHECK(other->frames() == Lines{"> text \"hello\""});
  stream->peer.ends();
  other->ends();
}

TEST_CASE("tls: keys are updated, asked for or not, and many times") {
  TlsWorld world;
  world.echo();
  const auto stream = world.opened();
  for (int i = 0; i < 100; ++i) {
    SSL_key_update(stream->tls.ssl(),
                   i % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
    stream->says(opcode::text, "hello");
    CHECK(stream->frames() == Lines{"> text \"hello\""});
  }
  stream->ends();
}

TEST_CASE("tls: who has to be answered, and takes no answer, is not read for ever") {
  TlsWorld world;
  world.serve();
  const auto stream = world.opened();
  stream->peer.room = 0;
  std::size_t most = 0;
  int updates = 0;
  for (; updates < 100'000 && stream->peer.reads; ++updates) {
    SSL_key_update(stream->tls.ssl(), SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(stream->tls.ssl());
    stream->peer.sends(stream->tls.take());
    most = std::max(most, world.loop.pool().in_use());
  }
  CHECK_FALSE(stream->peer.reads);
  CHECK(most < 512 * 1024);
  stream->peer.takes_all();
  CHECK(stream->peer.reads);
  stream->run();
  stream->says(opcode::text, "hello");
  CHECK(world.heard() == Lines{"1 message text 5 \"hello\""});
  stream->ends();
}

// -- Ends -----------------------------------------------------------------------------------------

TEST_CASE("tls: the closing handshake, then close_notify, then the end of the stream") {
  for (const bool is_ours : {true, false}) {
    CAPTURE(is_ours);
    TlsWorld world;
    world.echo();
    const auto stream = world.opened();
    if (is_ours) world.connection()->close(1000, "all said");
    world.loop.settle();
    stream->run();
    CHECK_FALSE(stream->tls.has_ended);
    stream->says(opcode::close, test::close_payload(1000));
    CHECK(stream->tls.has_ended);
    CHECK(stream->tls.failure == "");
    CHECK(stream->peer.shut_down);
    CHECK_FALSE(stream->peer.closed);  // or our close_notify could be lost on its way
    stream->ends();
    CHECK(stream->peer.closed == How::graceful);
    CHECK(world.heard().size() == 1);
  }
}

TEST_CASE("tls: accepting that fails is on_error's") {
  TlsWorld world;
  world.serve();
  world.loop.accept_events().accept_failed(
      {std::make_error_code(std::errc::too_many_files_open), "no more descriptors"});
  CHECK(world.heard() == Lines{"error no more descriptors"});
}

TEST_CASE("tls: a stream that ends without close_notify was cut short, and that is said") {
  TlsWorld world;
  world.echo();
  const auto stream = world.opened();
  stream->says(opcode::text, "hello");
  CHECK(stream->frames() == Lines{"> text \"hello\""});
  stream->peer.ends();
  CHECK(world.heard() == Lines{"1 closed 1006 error=" + message_of(tls::errc::truncated)});
  CHECK(stream->peer.closed == How::graceful);
}

TEST_CASE("tls: with close_notify it is an end as others are") {
  TlsWorld world;
  world.serve();
  const auto stream = world.opened();
  stream->ends();
  CHECK(world.heard() == Lines{"1 closed 1006 error=connection_lost"});
  CHECK(stream->peer.closed == How::graceful);
}

TEST_CASE("tls: behind the closing handshake it does not matter how the stream ends") {
  TlsWorld world;
  world.serve();
  const auto stream = world.opened();
  stream->says(test::client_frame(opcode::close, test::close_payload(1000)) + "more");
  CHECK_FALSE(stream->peer.closed);
  stream->peer.ends();
  CHECK(stream->peer.closed == How::graceful);
  CHECK(world.heard() == Lines{"1 closed 1000 sent=1000"});
}

TEST_CASE("tls: a record that was changed on its way ends all, with an alert") {
  for (const bool answers : {false, true}) {  // to what came before it, when it is known already
    CAPTURE(answers);
    TlsWorld world;
    if (answers)
      world.handlers.on_message = [&](Connection& c, const Message& m) {
        world.say(c, test::describe(Event{m}));
        CHECK(c.send(m) == timtow::errc::ok);
      };
    world.serve();
    const auto stream = world.opened();
    stream->tls.say(test::client_frame(opcode::text, "first"));
    std::string wire = stream->tls.take();
    stream->tls.say(test::client_frame(opcode::text, "second"));
    wire += stream->tls.take();
    wire.back() = static_cast<char>(wire.back() ^ 1);
    stream->peer.sends(wire);
    const Lines heard = world.heard();
    REQUIRE(heard.size() == 2);
    CHECK(heard[0] == "1 message text 5 \"first\"");
    CHECK(heard[1] == "1 closed 1006 error=" + message_of(tls::errc::failed));
    stream->tls.hear(stream->peer.written);
    CHECK(stream->tls.failure.find("bad record mac") != std::string::npos);
    CHECK(stream->peer.shut_down);
    CHECK_FALSE(stream->peer.closed);
    stream->peer.ends();
    CHECK(stream->peer.closed == How::graceful);
  }
}

TEST_CASE("tls: after a failure the peer has Limits::close_time to end the stream") {
  TlsWorld world;
  world.limits.close_time = 5s;
  world.serve();
  Peer& peer = world.loop.connects();
  peer.sends("what is this?");
  CHECK_FALSE(peer.closed);
  world.loop.passes(5s);
  CHECK(peer.closed == How::abortive);
  CHECK(world.server->size() == 0);
}

TEST_CASE("tls: a stream that breaks, at any time, is the connection's loss") {
  for (int when = 0; when < 3; ++when) {
    CAPTURE(when);
    TlsWorld world;
    world.serve();
    const auto stream = world.connects();
    if (when == 1) stream->run();
    if (when == 2) stream->opens();
    stream->peer.breaks();
    CHECK(stream->peer.closed == How::abortive);
    CHECK(world.server->size() == 0);
    CHECK(world.log.back().find("Connection reset by peer") != std::string::npos);
  }
}

TEST_CASE("tls: a transport that never comes to be leaves nothing") {
  TlsWorld world;
  world.serve();
  world.loop.fail_to_open = std::make_error_code(std::errc::too_many_files_open);
  world.loop.connects();
  CHECK(world.server->size() == 0);
  CHECK(world.heard().size() == 1);
}

// -- What is not wanted yet, and what is not taken yet --------------------------------------------

TEST_CASE("tls: what a paused connection does not want waits, and then comes in order") {
  for (const std::size_t record : {10UL, 16'384UL}) {
    for (const std::size_t read : {test::any_number, 1000UL, 1UL}) {
      CAPTURE(record);
      CAPTURE(read);
      TlsWorld world;
      int heard = 0;
      world.handlers.on_message = [&](Connection& c, const Message& m) {
        CHECK(m.text() == std::to_string(heard++));
        c.pause();
      };
      world.serve();
      const auto stream = world.opened();
      stream->peer.read_size = read;
      std::string text;
      for (int i = 0; i < 50; ++i) text += test::client_frame(opcode::text, std::to_string(i));
      stream->tls.say(text, record);
      stream->tls.say_close_notify();
      stream->peer.sends(stream->tls.take());
      const auto connection = world.connection();
      for (int i = 1; i <= 50; ++i) {
        CHECK(heard == i);
        CHECK_FALSE(stream->peer.reads);
        CHECK(world.heard().empty());
        connection->resume();
        world.loop.settle();
      }
      CHECK(heard == 50);
      CHECK(world.heard() == Lines{"1 closed 1006 error=connection_lost"});
      stream->run();
      stream->peer.ends();
      CHECK(world.loop.pool().in_use() == 0);
    }
  }
}

TEST_CASE("tls: a write may stall at any byte, on loops of both kinds") {
  for (const Peer::Style style : {Peer::Style::readiness, Peer::Style::completion}) {
    for (const std::size_t step : {1UL, 7UL, 100UL, 16'000UL, 40'000UL}) {
      CAPTURE(step);
      TlsWorld world;
      world.handlers.on_drain = {};
      world.echo();
      const auto stream = world.opened();
      stream->peer.style = style;
      stream->peer.room = 0;
      const std::size_t size = step < 100 ? 3000 : 300'000;
      stream->says(opcode::binary, std::string(size, 'x'));
      stream->says(opcode::close, test::close_payload(1000));
      CHECK_FALSE(stream->peer.shut_down);
      while (!stream->peer.shut_down) {
        const std::size_t before = stream->peer.written.size();
        stream->peer.takes(step);
        REQUIRE((stream->peer.shut_down || stream->peer.written.size() > before));
      }
      stream->tls.hear(stream->peer.written);
      CHECK(stream->frames() == Lines{"> binary \"x\"*" + std::to_string(size), "> close 1000"});
      CHECK(stream->tls.has_ended);
      stream->peer.ends();
      CHECK(stream->peer.closed == How::graceful);
      CHECK(world.heard() == Lines{"1 closed 1000 sent=1000"});
      CHECK(world.loop.pool().in_use() == 0);
    }
  }
}

TEST_CASE("tls: of what a peer does not take little is encrypted, and the rest counts as output") {
  TlsWorld world;
  world.serve();
  const auto stream = world.opened();
  stream->peer.room = 0;
  const auto connection = world.connection();
  const std::string large(1'000'000, 'x');
  connection->send(large);
  world.loop.settle();
  CHECK(connection->output_size() == large.size() + 10);
  CHECK(world.loop.pool().in_use() < large.size() + 300'000);
  stream->peer.takes(500'000);
  CHECK(connection->output_size() < 600'000);
  CHECK(connection->output_size() > 400'000);
  connection->abort();
  world.loop.settle();
  CHECK(stream->peer.closed == How::abortive);
  CHECK(world.loop.pool().in_use() == 0);
}

TEST_CASE("tls: a connection at rest keeps nothing in the pool") {
  TlsWorld world;
  world.echo();
  const auto stream = world.opened();
  stream->says(opcode::binary, std::string(100'000, 'x'));
  CHECK(world.loop.pool().in_use() == test::held_by_openssl);
  stream->ends();
}

TEST_CASE("tls: what OpenSSL holds is in the budget of the loop") {
  TlsWorld world;
  world.echo();
  world.loop.limit_memory(10 * test::held_by_openssl);
  std::vector<Peer*> peers;
  for (int i = 0; i < 20; ++i) peers.push_back(&world.loop.connects());
  const auto let_in = std::count_if(peers.begin(), peers.end(),
                                    [](const Peer* peer) { return peer->was_opened(); });
  CHECK(let_in == 9);  // of which the last has drawn upon the reserve
  CHECK(world.loop.pool().in_use() == 9 * test::held_by_openssl);
  CHECK(world.server->metrics().refused.memory == 11);
  world.server.reset();
  world.loop.settle();
  CHECK(world.loop.pool().in_use() == 0);
}

// -- Certificates ---------------------------------------------------------------------------------

TEST_CASE("tls: the name that a client asks for chooses the certificate, and a reload changes it") {
  const auto& all = test::certificates();
  const std::string a = all.file("a", {.names = "DNS:a.example", .subject = "a"});
  const std::string b = all.file("b", {.names = "DNS:b.example,DNS:*.b.example", .subject = "b"});
  TlsWorld world{{.certificates = {{a, a}, {b, b}}}};
  world.echo();
  const auto subject = [&](const char* name) {
    const auto stream = world.connects();
    SSL* const ssl = stream->tls.ssl();
    if (name != nullptr) test::ask_for(ssl, name);
    stream->run();
    std::string its = test::common_name(SSL_get0_peer_certificate(ssl));
    stream->ends();
    return its;
  };
  CHECK(subject(nullptr) == "a");
  CHECK(subject("a.example") == "a");
  CHECK(subject("b.example") == "b");
  CHECK(subject("x.B.example") == "b");
  CHECK(subject("c.example") == "a");

  const auto before = world.opened();
  all.file("a", {.names = "DNS:a.example", .subject = "renewed"});
  CHECK(subject("a.example") == "a");
  CHECK_FALSE(world.context->reload());
  CHECK(subject("a.example") == "renewed");
  std::filesystem::remove(all.folder / "a.pem");
  CHECK(world.context->reload().code == std::errc::no_such_file_or_directory);
  CHECK(subject("a.example") == "renewed");
  before->says(opcode::text, "still there?");
  CHECK(before->frames() == Lines{"> text \"still there?\""});
  before->ends();
}

TEST_CASE("tls: a session is continued by its ticket") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    TlsWorld world;
    SSL_CTX_set_max_proto_version(world.peers.get(), version);
    std::vector<bool> resumed;
    world.handlers.on_open = [&](Connection& c) { resumed.push_back(c.security()->is_resumed()); };
    world.serve();
    SSL_SESSION* session = nullptr;
    for (int i = 0; i < 2; ++i) {
      const auto stream = world.connects();
      if (session != nullptr) SSL_set_session(stream->tls.ssl(), session);
      stream->opens();
      SSL_SESSION_free(session);
      session = SSL_get1_session(stream->tls.ssl());
      stream->ends();
    }
    SSL_SESSION_free(session);
    CHECK(resumed == std::vector<bool>{false, true});
  }
}

TEST_CASE("tls: client certificates: none, optional, required, and who issued them") {
  using Wanted = tls::ClientCertificates;
  const auto& all = test::certificates();
  const test::Certificate alice{{.names = "", .subject = "alice"}, &all.issuer};
  const test::Certificate old{{.names = "", .subject = "old", .begins = -20, .ends = -10},
                              &all.issuer};
  const test::Certificate stranger{{.names = "", .subject = "stranger"}};
  const auto heard = [&](Wanted wanted, const test::Certificate* shown, int version) {
    TlsWorld world{{.client_certificates = wanted, .client_ca_file = all.issuer_file}};
    SSL_CTX_set_max_proto_version(world.peers.get(), version);
    if (shown != nullptr) shown->use_in(world.peers.get());
    world.handlers.on_open = [&](Connection& c) {
      world.log.push_back("open " + c.security()->peer_subject());
    };
    world.serve();
    const auto stream = world.connects();
    stream->run();
    if (stream->tls.is_ready && stream->tls.failure.empty()) stream->says(test::upgrade_request);
    const Lines lines = world.heard();
    stream->peer.ends();
    return lines.empty() ? "nothing" : lines.front();
  };
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    CHECK(heard(Wanted::none, &alice, version) == "open ");
    CHECK(heard(Wanted::optional, nullptr, version) == "open ");
    CHECK(heard(Wanted::optional, &alice, version) == "open CN=alice");
    CHECK(heard(Wanted::optional, &stranger, version) ==
          "error " + message_of(tls::errc::unknown_issuer));
    CHECK(heard(Wanted::required, &alice, version) == "open CN=alice");
    CHECK(heard(Wanted::required, nullptr, version) ==
          "error " + message_of(tls::errc::no_certificate));
    CHECK(heard(Wanted::required, &old, version) ==
          "error " + message_of(tls::errc::certificate_expired));
  }
}

// -- Sockets that come from elsewhere, and what goes wrong ----------------------------------------

TEST_CASE("tls: an adopted socket continues behind what was read from it") {
  for (const std::size_t size : {0UL, 1UL, 50UL, test::any_number}) {
    CAPTURE(size);
    TlsWorld world;
    world.echo();
    Stream stream{world.loop.make_peer(), world.peers.get()};
    const std::string hello = stream.begin();
    const std::string_view read = std::string_view{hello}.substr(0, size);
    REQUIRE_FALSE(world.server->adopt(0, world.context, as_bytes(read)));
    world.loop.settle();
    stream.peer.sends(std::string_view{hello}.substr(read.size()));
    stream.opens().says(opcode::text, "hello");
    CHECK(stream.frames() == Lines{"> text \"hello\""});
    stream.ends();
  }
}

TEST_CASE("tls: an adopted listener is as good as one's own") {
  TlsWorld world;
  world.echo();
  world.server.emplace(world.loop, world.handlers);
  CHECK_FALSE(world.server->adopt_listener(3, world.context));
  world.opened()->ends();
}

TEST_CASE("tls: without a context there is an error, and never plain text") {
  TlsWorld world;
  world.serve();
  CHECK(world.server->listen({.host = "127.0.0.1", .port = 1, .path = {}}, nullptr).code ==
        errc::tls_needed);
  CHECK(world.server->adopt_listener(3, nullptr).code == errc::tls_needed);
  CHECK(world.server->adopt(3, nullptr, Bytes{}).code == errc::tls_needed);
  CHECK(world.server->endpoints().size() == 1);
  world.loop.fail_next = std::make_error_code(std::errc::address_in_use);
  CHECK(world.server->listen({.host = "127.0.0.1", .port = 1, .path = {}}, world.context));
  world.loop.fail_next = std::make_error_code(std::errc::bad_file_descriptor);
  CHECK(world.server->adopt(3, world.context));
  CHECK(world.server->size() == 0);
}

TEST_CASE("tls: memory that runs out costs the connection, and the server lives on") {
  TlsWorld world;
  world.echo();
  std::size_t n = 1;
  for (bool failed = true; failed; ++n) {
    CAPTURE(n);
    REQUIRE(n < 200);
    Stream stream{world.loop.make_peer(), world.peers.get()};
    stream.peer.written.reserve(10'000);
    failed = test::Allocation::fail_in(n, [&] { world.loop.accept(stream.peer); });
    world.loop.settle();
    if (!stream.peer.closed) stream.opens().ends();
    CHECK(stream.peer.closed);
    world.heard();
    world.loop.peers.pop_back();
  }
  CHECK(n > 3);
}

TEST_CASE("tls: what a context cannot be made of is said with the file's name") {
  const auto& all = test::certificates();
  const auto text = [](tls::ServerContext::Options options) {
    Error error;
    CHECK(tls::ServerContext::make(std::move(options), error) == nullptr);
    CHECK(error);
    return error.text;
  };
  const std::string good = all.localhost;
  const std::string other = all.file("other", {});
  const std::string locked = all.folder / "locked.pem";
  test::Certificate{{}}.write(locked, "secret");
  const std::string empty = all.folder / "empty.pem";
  std::fclose(std::fopen(empty.c_str(), "w"));
  CHECK(text({}) == "a server needs a certificate, and none is given");
  CHECK(text({.certificates = {{"/nowhere/x", good}}}) ==
        "cannot read the certificate file /nowhere/x: No such file or directory");
  CHECK(text({.certificates = {{good, "/nowhere/x"}}}) ==
        "cannot read the key file /nowhere/x: No such file or directory");
  CHECK(text({.certificates = {{good, other}}}) ==
        "the key in " + other + " is not that of the certificate in " + good);
  CHECK(text({.certificates = {{locked, locked}}})
            .starts_with("the key file " + locked + " is encrypted, "));
  CHECK(text({.certificates = {{empty, good}}}).starts_with("the certificate file " + empty));
  CHECK(text({.certificates = {{good, empty}}}).starts_with("the key file " + empty));
  CHECK(text({.certificates = {{good, good}},
              .client_certificates = tls::ClientCertificates::required,
              .client_ca_file = empty})
            .starts_with("the file of issuers " + empty));
  Error error;
  CHECK(tls::ClientContext::make({.ca_file = empty}, error) == nullptr);
  CHECK(error.code == tls::errc::bad_file);
}

TEST_CASE("tls: every error has a message of its own") {
  std::set<std::string> messages;
  for (int code = 1; code <= static_cast<int>(tls::errc::wrong_key); ++code)
    CHECK(messages.insert(message_of(static_cast<tls::errc>(code))).second);
  CHECK(tls::error_category().message(99) == "unknown error of TLS 99");
  CHECK(std::string{tls::error_category().name()} == "timtow.tls");
}

TEST_CASE("tls: a write that TLS itself has failed is told by what TLS says") {
  bool was_told = false;
  for (std::size_t left = 0; left < 100'000; left += 4000) {
    CAPTURE(left);
    TlsWorld world;
    std::string sentence;
    world.handlers.on_close = [&](Connection&, const Closed& closed) {
      if (closed.error != nullptr) sentence = closed.error->text;
    };
    world.serve();
    const auto stream = world.opened();
    stream->peer.room = 0;
    Pool& pool = world.loop.pool();
    pool.limit(pool.in_use() + left, nullptr);
    world.connection()->send(as_bytes(std::string(200'000, 'x')));
    world.loop.settle();
    pool.limit(std::numeric_limits<std::size_t>::max(), nullptr);
    CHECK(sentence != "the connection broke: out of memory");
    was_told = was_told || sentence == "there is no memory for TLS";
  }
  CHECK(was_told);
}
