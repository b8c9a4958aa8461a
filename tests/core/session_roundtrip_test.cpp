// A server and a client session speak with each other: whatever they send, in whatever parts it
// travels, arrives in order and equal.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <string>

#include "support/wire.hpp"
#include "timtow/session.hpp"

namespace {

using namespace timtow;

using Random = std::mt19937;

std::size_t up_to(Random& random, std::size_t most) {
  return std::uniform_int_distribution<std::size_t>{0, most}(random);
}

struct Sent {
  MessageType type;
  std::string payload;
  friend bool operator==(const Sent&, const Sent&) = default;
};

std::string random_text(Random& random, std::size_t characters) {
  constexpr std::string_view alphabet[] = {"a",
                                           "b",
                                           " ",
                                           "\xC3\xA9",
                                           "\xE2\x82\xAC",
                                           "\xF0\x9F\x98\x80",
                                           "\x7F",
                                           std::string_view{"\0", 1}};
  std::string text;
  for (std::size_t i = 0; i < characters; ++i)
    text += characters > 1000 && up_to(random, 50) != 0 ? "x" : alphabet[up_to(random, 7)];
  return text;
}

Sent random_message(Random& random) {
  constexpr std::size_t sizes[] = {0, 1, 8, 125, 126, 127, 1000, 5000, 20'000, 66'000};
  const std::size_t most = sizes[up_to(random, 9)];
  const std::size_t size = up_to(random, 1) == 0 ? most : up_to(random, most);
  if (up_to(random, 1) == 0) return {MessageType::text, random_text(random, size)};
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(random());
  return {MessageType::binary, bytes};
}

// One end: a session, what it has sent, and what has come.
struct Peer {
  Peer(Role role, Pool& pool, bool streams) : session(role, pool), streaming(streams) {
    session.stream_messages(streams);
  }

  Session session;
  bool streaming;
  std::deque<Sent> sent;  // and not yet seen by the other
  std::string wire;       // written, and not yet read by the other
  Sent coming{};          // the message whose pieces come
  std::size_t messages = 0;
  std::size_t pings = 0;
  std::size_t pongs = 0;
  const Closed* closed = nullptr;
  CloseCode close_code = 0;

  void send(Random& random) {
    const Sent message = random_message(random);
    const Message view{message.type, as_bytes(message.payload)};
    switch (up_to(random, 3)) {
      case 0:
        REQUIRE(session.send(view) == errc::ok);
        break;
      case 1: {  // the payload is gone at the end of this function
        REQUIRE(session.send_borrowed(view) == errc::ok);
        write(random, false);
        session.own_output();
        break;
      }
      default: {
        std::size_t at = 0;
        bool last = false;
        while (!last) {
          const std::size_t size = up_to(random, message.payload.size() - at);
          last = at + size == message.payload.size() && up_to(random, 2) != 0;
          REQUIRE(session.send_piece({message.type, view.payload.subspan(at, size)}, last) ==
                  errc::ok);
          at += size;
          if (up_to(random, 3) == 0) REQUIRE(session.ping(as_bytes("between")) == errc::ok);
        }
      }
    }
    sent.push_back(message);
  }

  // Writes some of the output, or all.
  void write(Random& random, bool all) {
    while (session.output_size() != 0) {
      const Gather output = session.output();
      std::size_t size = all ? output.size_bytes() : up_to(random, output.size_bytes());
      session_sent(output, size);
      if (!all) break;
    }
  }

  void session_sent(const Gather& output, std::size_t size) {
    std::size_t left = size;
    for (std::size_t i = 0; i < output.size() && left != 0; ++i) {
      const std::size_t part = std::min(left, output[i].size());
      wire += as_text(output[i].first(part));
      left -= part;
    }
    session.sent(size);
  }

  // Reads some of what the other wrote: elsewhere, or where the session wants it.
  void read(Random& random, Peer& other, std::size_t most) {
    std::size_t size = std::min(other.wire.size(), up_to(random, most));
    const MutableBytes space = session.read_space();
    const bool in_place = !space.empty() && up_to(random, 3) != 0;
    if (in_place) size = std::min(size, space.size());
    std::string elsewhere = other.wire.substr(0, size);
    if (in_place) std::copy_n(as_bytes(elsewhere).data(), size, space.data());
    session.receive(in_place ? space.first(size) : std::as_writable_bytes(std::span{elsewhere}));
    other.wire.erase(0, size);
    while (const auto event = session.next()) {
      take(*event, other);
      if (up_to(random, 20) == 0) {  // the application wants no more for now
        session.hold();
        break;
      }
    }
    session.hold();
  }

  void take(const Event& event, Peer& other) {
    if (event.request() != nullptr) {
      REQUIRE_FALSE(session.accept());
    } else if (const auto* message = event.message()) {
      REQUIRE_FALSE(streaming);
      arrived({message->type, std::string{message->text()}}, other);
    } else if (const auto* piece = event.piece()) {
      REQUIRE(streaming);
      if (piece->first) coming = {piece->type, {}};
      REQUIRE(coming.type == piece->type);
      coming.payload += as_text(piece->payload);
      if (piece->last) arrived(coming, other);
    } else if (const auto* ping = event.ping()) {
      REQUIRE(as_text(ping->payload) == "between");
      ++pings;
    } else if (event.pong() != nullptr) {
      ++pongs;
    } else if (event.closed() != nullptr) {
      REQUIRE(event.closed()->error == nullptr);
      close_code = event.closed()->code;
    }
  }

  void arrived(const Sent& message, Peer& other) {
    REQUIRE_FALSE(other.sent.empty());
    const bool same = message == other.sent.front();
    REQUIRE_MESSAGE(same, "message ", messages, " is not what was sent");
    other.sent.pop_front();
    ++messages;
  }
};

}  // namespace

TEST_CASE("what two sessions send each other arrives, in order and equal") {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    Random random{seed};
    Pool pool{static_cast<std::size_t>(-1), 0};
    {
      Peer server{Role::server, pool, seed % 3 == 1};
      Peer client{Role::client, pool, seed % 3 == 2};
      Peer* const peers[] = {&server, &client};
      const std::size_t read_size = seed % 4 == 0 ? 3 : seed % 4 == 1 ? 200 : 70'000;
      const std::size_t rounds = read_size == 3 ? 60 : 200;
      REQUIRE_FALSE(client.session.request({.host = "a", .subprotocols = {}, .headers = {}}));

      const auto settle = [&] {
        for (int quiet = 0; quiet < 3;) {
          for (Peer* peer : peers) peer->write(random, true);
          const bool nothing = server.wire.empty() && client.wire.empty();
          quiet = nothing ? quiet + 1 : 0;
          server.read(random, client, 70'000);
          client.read(random, server, 70'000);
        }
      };
      settle();
      REQUIRE(server.session.is_open());
      REQUIRE(client.session.is_open());

      for (std::size_t i = 0; i < rounds; ++i) {
        Peer& self = *peers[up_to(random, 1)];
        Peer& other = &self == &server ? client : server;
        if (up_to(random, 2) != 0) self.send(random);
        self.write(random, false);
        for (std::size_t reads = up_to(random, 3); reads != 0; --reads)
          other.read(random, self, read_size);
      }
      for (int i = 0; i < 100; ++i) settle();  // an event or more each time
      CHECK(server.sent.empty());
      CHECK(client.sent.empty());
      CHECK(server.messages + client.messages > rounds / 3);
      CHECK(server.pings == client.pongs);
      CHECK(client.pings == server.pongs);
      CHECK(pool.in_use() == 0);

      Peer& first = *peers[up_to(random, 1)];
      REQUIRE(first.session.close(4000, "done") == errc::ok);
      for (int i = 0; i < 10; ++i) settle();
      CHECK(server.close_code == 4000);
      CHECK(client.close_code == 4000);
      // The server ends the stream first (section 7.1.1).
      CHECK(server.session.wants_shutdown());
      CHECK_FALSE(client.session.wants_shutdown());
      client.session.end_of_input();
      CHECK(client.session.finished());
      server.session.end_of_input();
      CHECK(server.session.finished());
    }
    CHECK(pool.in_use() == 0);
  }
}
