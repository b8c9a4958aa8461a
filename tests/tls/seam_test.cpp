// The filter without a connection above it: it keeps to the rules of loop.hpp, to the letter.
#include <openssl/ssl.h>

#include <string>

#include "support/tls_world.hpp"

namespace {

using namespace timtow;
using test::Lines;
using test::Stream;

// Whoever is above. Nothing is told inside an operation, nothing unwanted, and nothing after the
// end.
struct Above final : TransportEvents {
  void opened(Transport& its) noexcept override { add("opened"), transport = &its; }
  MutableBytes read_space() noexcept override { return {space.data(), space_size}; }
  void received(MutableBytes bytes) noexcept override {
    CHECK(wants_read);
    add("received " + std::string{as_text(bytes)});
    std::fill(bytes.begin(), bytes.end(), std::byte{0xEE});
    if (stops_reading) read(false);
  }
  void ended() noexcept override {
    CHECK(wants_read);
    add("ended");
  }
  void written(std::size_t taken) noexcept override { add("written " + std::to_string(taken)); }
  void failed(std::error_code cause) noexcept override { add("failed " + cause.message()); }

  void add(std::string line) {
    CHECK_FALSE(inside);
    CHECK_FALSE(is_closed);
    log.push_back(std::move(line));
  }
  template <typename Operation>
  void operate(Operation operation) {
    inside = true;
    operation();
    inside = false;
  }
  void read(bool wanted) {
    wants_read = wanted;
    operate([&] { transport->want_read(wanted); });
  }
  std::size_t write(std::string_view text, std::error_code& error) {
    Gather bytes;
    bytes.add(as_bytes(text));
    std::size_t taken = 0;
    operate([&] { taken = transport->write(bytes, error); });
    return taken;
  }
  void close(How how) {
    is_closed = true;
    transport->close(how);
  }
  Lines heard() { return std::exchange(log, {}); }

  Transport* transport = nullptr;
  std::array<std::byte, 1000> space{};
  std::size_t space_size = 1000;
  bool stops_reading = false;
  bool wants_read = true;
  bool inside = false;
  bool is_closed = false;
  Lines log;
};

struct Seam {
  Seam() {
    auto filter = context->secure(loop, above);
    Error error;
    Transport* const below = loop.adopt(loop.connected_elsewhere(), *filter, error);
    filter.release()->opened(*below);
    stream = std::make_unique<Stream>(*loop.peers.back(), peers.get());
  }
  ~Seam() { close(How::abortive); }
  void close(How how) {
    if (above.is_closed) return;
    const Loop::Batch batch{loop};
    above.close(how);
  }
  Seam& secured() {
    stream->run();
    REQUIRE(stream->tls.is_ready);
    above.heard();
    return *this;
  }

  test::FakeLoop loop;
  std::shared_ptr<tls::ServerContext> context = test::make_server_context({});
  test::Context peers = test::client_context();
  Above above;
  std::unique_ptr<Stream> stream;
};

}  // namespace

TEST_CASE(
    "tls: the seam: what is not wanted is not told, and what waits comes behind the operation") {
  Seam seam;
  seam.secured();
  seam.above.stops_reading = true;
  for (const char* each : {"one", "two", "three"}) seam.stream->tls.say(each);
  seam.above.space_size = 3;
  seam.stream->tls.say_close_notify();
  seam.stream->peer.sends(seam.stream->tls.take());
  CHECK(seam.above.heard() == Lines{"received one"});
  CHECK_FALSE(seam.stream->peer.reads);
  for (const char* each : {"received two", "received thr", "received ee", "ended"}) {
    {
      const Loop::Batch batch{seam.loop};
      seam.above.read(true);
      CHECK(seam.above.heard().empty());
    }
    CHECK(seam.above.heard() == Lines{each});
  }
}

TEST_CASE("tls: the seam: an end that came with the last bytes waits as well") {
  Seam seam;
  seam.secured();
  seam.above.stops_reading = true;
  seam.stream->tls.say("last");
  seam.stream->tls.say_close_notify();
  seam.stream->peer.sends(seam.stream->tls.take());
  CHECK(seam.above.heard() == Lines{"received last"});
  const Loop::Batch batch{seam.loop};
  seam.above.read(true);
  CHECK(seam.above.heard().empty());
}

TEST_CASE("tls: the seam: written() comes once for each write_later(), and says what was taken") {
  for (const auto style : {test::Peer::Style::readiness, test::Peer::Style::completion}) {
    Seam seam;
    seam.secured();
    seam.stream->peer.style = style;
    seam.stream->peer.room = 0;
    const std::string much(200'000, 'x');
    std::error_code error;
    std::string_view rest = much;
    rest.remove_prefix(seam.above.write(rest, error));
    while (!rest.empty()) {
      Gather bytes;
      bytes.add(as_bytes(rest));
      seam.above.operate([&] { seam.above.transport->write_later(bytes); });
      seam.stream->peer.takes(100);
      CHECK(seam.above.heard().empty());
      seam.stream->peer.takes_all();
      seam.stream->peer.room = 0;
      const Lines heard = seam.above.heard();
      REQUIRE(heard.size() == 1);
      rest.remove_prefix(std::stoul(heard.front().substr(sizeof "written")));
      rest.remove_prefix(seam.above.write(rest, error));
    }
    CHECK_FALSE(error);
    seam.stream->peer.takes_all();
    seam.stream->run();
    CHECK((seam.stream->tls.got == much));
    CHECK(seam.above.heard().empty());
  }
}

TEST_CASE("tls: the seam: a stream that was cut short, and breaks then, has ended once") {
  Seam seam;
  seam.secured();
  seam.stream->peer.room = 0;
  std::error_code error;
  seam.above.write("hello", error);
  seam.stream->peer.ends();
  CHECK(seam.above.heard() ==
        Lines{"failed " + make_error_code(tls::errc::truncated).message(), "ended"});
  seam.stream->peer.breaks(std::make_error_code(std::errc::broken_pipe));
  CHECK(seam.above.heard().empty());
}

TEST_CASE("tls: the seam: a stream that an operation finds broken is told of behind it") {
  Seam seam;
  seam.secured();
  seam.stream->peer.write_error = std::make_error_code(std::errc::broken_pipe);
  std::error_code error;
  CHECK(seam.above.write("hello", error) == 0);
  CHECK(error == std::errc::broken_pipe);
  {
    const Loop::Batch batch{seam.loop};
    seam.above.operate([&] { seam.above.transport->shutdown_write(); });
    CHECK(seam.above.heard().empty());
  }
  CHECK(seam.above.heard() == Lines{"failed Broken pipe"});
}

TEST_CASE(
    "tls: the seam: a graceful close says close_notify, an abortive one nothing, and no event "
    "comes after it") {
  for (const How how : {How::graceful, How::abortive}) {
    Seam seam;
    seam.secured();
    seam.stream->tls.say("more");
    const std::string more = seam.stream->tls.take();
    seam.close(how);
    CHECK(seam.stream->peer.closed == how);
    seam.stream->peer.sends(more);
    seam.stream->tls.hear(seam.stream->peer.written);
    CHECK(seam.stream->tls.has_ended == (how == How::graceful));
  }
}

TEST_CASE(
    "tls: the seam: who would be everybody, or all of a domain, is nobody to ask for a proof") {
  test::FakeLoop loop;
  Above above;
  const auto context = test::make_client_context({});
  for (const char* host : {"", ".", "..", ".example.com"})
    CHECK_THROWS_AS(static_cast<void>(context->secure(loop, above, host)), std::bad_alloc);
}

namespace {

// A client's stream, whose server has a ticket for it that is more than one record.
struct Interrupted {
  Interrupted() {
    static const test::Certificate shown{{}, &test::certificates().issuer};
    shown.use_in(peers.get());
    SSL_CTX_set_num_tickets(peers.get(), 0);
    SSL_CTX_set_max_send_fragment(peers.get(), 512);
    SSL_CTX_set_session_ticket_cb(peers.get(), fill, take, nullptr);
    auto filter = context->secure(loop, above, "localhost");
    Error error;
    Transport* const below = loop.adopt(loop.connected_elsewhere(), *filter, error);
    filter.release()->opened(*below);
    stream = std::make_unique<Stream>(*loop.peers.back(), peers.get(), false);
    stream->run();
    REQUIRE(stream->tls.is_ready);
    above.heard();
    SSL_new_session_ticket(stream->tls.ssl());
    SSL_do_handshake(stream->tls.ssl());
    rest = stream->tls.take();
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(rest[i]); };
    const std::size_t record = 5U + 256U * byte(3) + byte(4);
    REQUIRE(record < rest.size());
    stream->peer.sends(rest.substr(0, record));
    rest.erase(0, record);
    CHECK(above.heard().empty());
  }
  ~Interrupted() {
    if (above.is_closed) return;
    const Loop::Batch batch{loop};
    above.close(How::abortive);
  }
  static int fill(SSL* ssl, void*) {
    const std::string much(1000, 'x');
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), much.data(), much.size());
  }
  static SSL_TICKET_RETURN take(SSL*, SSL_SESSION*, const unsigned char*, std::size_t,
                                SSL_TICKET_STATUS, void*) {
    return SSL_TICKET_RETURN_IGNORE;
  }
  void goes_on() { stream->peer.sends(std::exchange(rest, {})); }

  test::FakeLoop loop;
  std::shared_ptr<tls::ClientContext> context = test::make_client_context({});
  test::Context peers = test::server_context();
  Above above;
  std::unique_ptr<Stream> stream;
  std::string rest;  // what is still to come of the ticket
};

}  // namespace

TEST_CASE("tls: the seam: while a ticket comes nothing is written, and behind it all is") {
  for (const bool is_reading : {true, false}) {
    CAPTURE(is_reading);
    Interrupted seam;
    std::error_code error;
    CHECK(seam.above.write("hello", error) == 0);
    CHECK_FALSE(error);
    Gather bytes;
    bytes.add(as_bytes("hello"));
    seam.above.operate([&] { seam.above.transport->write_later(bytes); });
    if (!is_reading) seam.above.read(false);
    CHECK(seam.stream->peer.reads);  // or the rest would never come
    seam.stream->tls.say("data");
    seam.rest += seam.stream->tls.take();
    seam.goes_on();
    Lines heard{"written 0"};
    if (is_reading) heard.push_back("received data");
    CHECK(seam.above.heard() == heard);
    CHECK(seam.stream->peer.reads == is_reading);
    CHECK(seam.above.write("hello", error) == 5);
    CHECK_FALSE(error);
    seam.stream->run();
    CHECK(seam.stream->tls.got == "hello");
  }
}

TEST_CASE("tls: the seam: while a ticket comes the end of the output waits") {
  Interrupted seam;
  seam.above.operate([&] { seam.above.transport->shutdown_write(); });
  CHECK_FALSE(seam.stream->peer.shut_down);
  seam.goes_on();
  CHECK(seam.stream->peer.shut_down);
  seam.stream->run();
  CHECK(seam.stream->tls.has_ended);
}

TEST_CASE("tls: the seam: a stream that ends inside a ticket has ended") {
  Interrupted seam;
  seam.above.operate([&] { seam.above.transport->shutdown_write(); });
  seam.stream->peer.ends();
  CHECK(seam.above.heard().size() == 2);
}
