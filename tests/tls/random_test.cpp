// Streams on which everything happens that may, in an order of chance: nothing is lost, doubled or
// moved, nothing is read that is not wanted, and nothing stays.
#include <openssl/ssl.h>

#include <random>
#include <string>

#include "support/tls_world.hpp"

namespace {

using namespace timtow;
using test::Lines;
using test::Peer;
using test::TlsWorld;
namespace opcode = test::opcode;

class Chance {
 public:
  explicit Chance(unsigned seed) : numbers_(seed) {}
  // Below `limit`.
  std::size_t operator()(std::size_t limit) { return numbers_() % limit; }
  // As often small as large.
  std::size_t size(std::size_t most) { return (*this)((*this)(2) == 0 ? 20 : most); }

 private:
  std::mt19937 numbers_;
};

// One stream, and its ends: how much the peer said, and what it heard.
struct Story {
  explicit Story(unsigned seed) : chance(seed) {
    SSL_CTX_set_max_proto_version(world.peers.get(),
                                  chance(3) == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
    world.limits.output_high_water = 20'000;
    world.limits.output_low_water = 5000;
    world.handlers.on_drain = {};
    world.handlers.on_message = [this](Connection& c, const Message& m) {
      CHECK_FALSE(is_paused);
      CHECK((m.payload.size() == expected.at(heard).size()));
      CHECK((m.text() == expected.at(heard++)));
      CHECK(c.send(m) == errc::ok);
      if (chance(4) != 0) return;
      is_paused = true;
      c.pause();
    };
    world.serve();
    stream = world.opened();
    stream->peer.style = chance(2) == 0 ? Peer::Style::readiness : Peer::Style::completion;
  }

  void act() {
    Peer& peer = stream->peer;
    switch (chance(8)) {
      case 0:
      case 1:
        expected.emplace_back(chance.size(40'000), static_cast<char>('a' + expected.size() % 26));
        stream->tls.say(test::client_frame(opcode::text, expected.back()), 1 + chance.size(16'000));
        wire += stream->tls.take();
        break;
      case 2:
      case 3: {
        const std::string part = wire.substr(0, chance.size(50'000));
        wire.erase(0, part.size());
        peer.read_size = 1 + chance.size(20'000);
        peer.sends(part);
        break;
      }
      case 4:
        peer.room = 0;
        break;
      case 5:
        peer.write_size = 1 + chance.size(30'000);
        peer.takes(chance.size(60'000));
        break;
      case 6:
        is_paused = false;
        world.connection()->resume();
        world.loop.settle();
        break;
      default:
        stream->tls.hear(std::exchange(peer.written, {}));
        if (SSL_version(stream->tls.ssl()) == TLS1_3_VERSION && chance(4) == 0)
          SSL_key_update(stream->tls.ssl(), SSL_KEY_UPDATE_REQUESTED);
        break;
    }
    CHECK(stream->tls.failure == "");
    CHECK(world.loop.pool().in_use() < 1'000'000);
  }

  // All that is under way arrives.
  void finish() {
    Peer& peer = stream->peer;
    peer.read_size = peer.write_size = test::any_number;
    while (true) {
      const std::size_t before = heard;
      peer.takes_all();
      peer.sends(std::exchange(wire, {}));
      is_paused = false;
      world.connection()->resume();
      world.loop.settle();
      if (!peer.written.empty() || heard != before) {
        stream->tls.hear(std::exchange(peer.written, {}));
        continue;
      }
      break;
    }
    CHECK(heard == expected.size());
    std::string_view rest = stream->tls.got;
    for (const std::string& each : expected) {
      const auto frame = test::decode(rest);
      REQUIRE(frame.has_value());
      CHECK((frame->payload == each));
    }
    CHECK(rest.empty());
    CHECK(world.loop.pool().in_use() == test::held_by_openssl);
    stream->says(opcode::close, test::close_payload(1000));
    CHECK(stream->tls.has_ended);
    stream->ends();
    CHECK(stream->peer.closed == How::graceful);
    CHECK(world.heard() == Lines{"1 closed 1000 sent=1000"});
  }

  Chance chance;
  TlsWorld world;
  std::unique_ptr<test::Stream> stream;
  std::string wire;  // that the peer has said, and that has not arrived
  std::vector<std::string> expected;
  std::size_t heard = 0;
  bool is_paused = false;
};

}  // namespace

TEST_CASE("tls: whatever happens in whatever order, what was said is heard") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Story story{seed};
    for (int i = 0; i < 100; ++i) story.act();
    story.finish();
  }
}

TEST_CASE("tls: and whenever it ends, nothing stays") {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Story story{seed};
    for (unsigned i = 0; i < seed % 50; ++i) story.act();
    switch (seed % 5) {
      case 0:
        story.stream->peer.breaks();
        break;
      case 1:
        story.stream->peer.ends();
        break;
      case 2:
        story.world.connection()->abort();
        break;
      case 3:
        story.world.server.reset();
        break;
      default:
        story.stream->peer.sends("this is no TLS");
        story.stream->peer.ends();
        break;
    }
    story.world.loop.settle();
    if (const auto left = story.world.server ? story.world.connection() : nullptr) {
      left->abort();
      story.world.loop.settle();
    }
    CHECK(story.stream->peer.closed);
    CHECK(story.world.loop.pool().in_use() == 0);
  }
}
