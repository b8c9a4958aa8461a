// Lengths that are announced and never come (RFC 6455 sections 5.2 and 10.4): what they cost.
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "support/allocation.hpp"
#include "support/harness.hpp"

namespace {

using namespace timtow;
using test::Allocation;
using test::Harness;
using test::Lines;

constexpr std::uint64_t top_bit = std::uint64_t{1} << 63;

// A frame's header as the peer of `self` writes it, and so much behind it.
std::string header(const Harness& self, unsigned opcode, std::uint64_t length,
                   std::string payload = {}) {
  test::Frame frame;
  frame.opcode = opcode;
  if (self.session.role() == Role::server) frame.key = test::rfc_key;
  frame.announced = length;
  frame.payload = std::move(payload);
  return test::encode(frame);
}

// What a loop does between two reads: it asks where the next one should go.
void look_for_space(Harness& self) {
  static std::array<std::byte, 64 * 1024> scratch;
  self.session.read_space(scratch);
}

}  // namespace

TEST_CASE("lengths: near 2^63 and 2^64, first and after one byte: refused, and nothing allocated") {
  for (const Role role : {Role::server, Role::client}) {
    for (const bool streaming : {false, true}) {
      for (const bool continues : {false, true}) {
        for (const std::uint64_t length : {top_bit - 1, top_bit, top_bit + 1, ~std::uint64_t{0} - 1,
                                           ~std::uint64_t{0} - 2, ~std::uint64_t{0}}) {
          CAPTURE(static_cast<int>(role));
          CAPTURE(streaming);
          CAPTURE(continues);
          CAPTURE(length);
          Harness self{role};
          self.session.stream_messages(streaming);
          self.open();
          if (continues) self.feed(self.frame(test::opcode::binary, "1", false));
          self.log.take();
          const std::size_t before = self.pool.in_use();
          const std::string bytes =
              header(self, continues ? test::opcode::continuation : test::opcode::text, length);
          self.feed(bytes + "abc");
          CHECK(self.closed_events == 1);
          // The top bit must be 0; any other length is only too much.
          const std::string said = length >= top_bit ? "sent=1002 error=protocol_error"
                                                     : "sent=1009 error=message_too_big";
          CHECK(self.log.take().back().find(said) != std::string::npos);
          CHECK(self.pool.in_use() <= before);
        }
      }
    }
  }
}

TEST_CASE("lengths: without a limit the sum of a message's frames wraps around at none") {
  Limits limits;
  limits.message_bytes = std::numeric_limits<std::size_t>::max();
  for (const std::uint64_t length : {top_bit - 1, top_bit, ~std::uint64_t{0}}) {
    CAPTURE(length);
    Harness self{Role::server, limits};
    self.open();
    self.feed(self.frame(test::opcode::binary, "1", false));
    self.feed(header(self, test::opcode::continuation, length, "ten bytes."));
    look_for_space(self);
    CHECK(self.pool.in_use() <= 1024);
    CHECK(self.closed_events == (length >= top_bit ? 1 : 0));
    self.feed(std::string(1000, 'x'));
    CHECK(self.log.take() == (length >= top_bit
                                  ? Lines{"closed 1006 sent=1002 error=protocol_error \"a frame's "
                                          "length is not in its shortest form\""}
                                  : Lines{}));
  }
}

TEST_CASE("lengths: a header that announces 4 GiB moves memory by nothing") {
  constexpr std::uint64_t length = std::uint64_t{4} << 30;
  SUBCASE("by default it is over the limit") {
    Harness self{Role::server};
    self.open();
    self.feed(header(self, test::opcode::binary, length, "x"));
    CHECK(self.log.take() ==
          Lines{"closed 1006 sent=1009 error=message_too_big \"a message of 4294967296 bytes or "
                "more; Limits::message_bytes is 16777216\""});
    CHECK(self.pool.in_use() == 0);
  }
  SUBCASE("and where it is allowed, it waits for its bytes") {
    Limits limits;
    limits.message_bytes = 2 * length;
    Harness self{Role::server, limits};
    self.open();
    const std::string bytes = header(self, test::opcode::binary, length, "x");
    const std::size_t asked = Allocation::count_in([&] {
      self.feed(bytes);
      look_for_space(self);
    });
    CHECK(asked <= 8);
    CHECK(self.pool.in_use() <= 1024);
    CHECK(self.closed_events == 0);
  }
}

TEST_CASE("lengths: a thousand connections announce the most that is allowed, and send a byte") {
  for (const bool had_large : {false, true}) {  // whose next message is expected to be large
    CAPTURE(had_large);
    Pool pool{std::numeric_limits<std::size_t>::max(), 0};
    std::vector<std::unique_ptr<Harness>> all;
    for (int i = 0; i < 1000; ++i) {
      auto& self = *all.emplace_back(std::make_unique<Harness>(Role::server, Limits{}, pool));
      self.open();
      if (had_large) {
        const std::string large = self.frame(test::opcode::binary, std::string(70'000, 'x'));
        self.feed(large.substr(0, 100));
        self.feed(large.substr(100));
      }
      look_for_space(self);
      const std::string bytes = header(self, test::opcode::binary, Limits{}.message_bytes, "x");
      self.feed(bytes.substr(0, 14));
      look_for_space(self);
      self.feed(bytes.substr(14));
      look_for_space(self);
    }
    CHECK(pool.in_use() <= 1000 * 1024);
  }
}
