// More control frames than anybody needs (RFC 6455 section 5.5), and what comes behind the end.
#include <doctest/doctest.h>

#include <algorithm>

#include "support/allocation.hpp"
#include "support/harness.hpp"

namespace {

using namespace timtow;
using test::Allocation;
using test::Lines;

std::string repeated(const std::string& what, std::size_t times) {
  std::string all;
  all.reserve(what.size() * times);
  for (std::size_t i = 0; i < times; ++i) all += what;
  return all;
}

// A server's session that is open, without whatever would count or keep what it says.
struct Flooded {
  Pool pool{std::numeric_limits<std::size_t>::max(), 64 * 1024};
  Session session{Role::server, pool};
  std::size_t events = 0;
  std::size_t written = 0;

  Flooded() {
    std::string request{test::upgrade_request};
    session.receive(std::as_writable_bytes(std::span{request}));
    REQUIRE(session.next()->request() != nullptr);
    REQUIRE_FALSE(session.accept());
    drain();
    write();
    written = 0;
    events = 0;
  }

  void drain() {
    while (session.next()) ++events;
  }
  void write() {
    while (session.output_size() != 0) {
      written += session.output().size_bytes();
      session.sent(session.output().size_bytes());
    }
  }
  // A read of these bytes; no memory is asked for but by the session.
  void read(std::string& bytes) {
    session.receive(std::as_writable_bytes(std::span{bytes}));
    drain();
  }
};

}  // namespace

TEST_CASE("floods: pings whose sender reads are answered each, and nothing stays") {
  Flooded self;
  const std::string pings = repeated(test::client_frame(test::opcode::ping, "1234"), 1000);
  for (int i = 0; i < 100; ++i) {
    std::string read = pings;
    self.read(read);
    self.write();
    CHECK(self.pool.in_use() == 0);
  }
  CHECK(self.events == 100'000);
  CHECK(self.written == 100'000 * 6);
  CHECK(self.session.is_open());
}

TEST_CASE("floods: pings whose sender does not read stop the reading, at the high water") {
  Flooded self;
  const std::string pings =
      repeated(test::client_frame(test::opcode::ping, std::string(125, 'x')), 500);
  std::size_t reads = 0;
  while (self.session.wants_read() && ++reads < 1000) {
    std::string read = pings;
    self.read(read);
    // What is queued, and what one read more may add.
    CHECK(self.session.output_size() <= Limits{}.output_high_water + pings.size());
  }
  CHECK(reads < 100);
  CHECK(self.pool.in_use() <= 2 * (Limits{}.output_high_water + pings.size()));
  CHECK(self.session.is_open());
  self.write();
  CHECK(self.session.wants_read());
  std::string read = test::client_frame(test::opcode::ping, "last");
  self.written = 0;
  self.read(read);
  self.write();
  CHECK(self.written == 6);
  CHECK(self.pool.in_use() == 0);
}

TEST_CASE("floods: a million pongs that nobody asked for ask for nothing") {
  Flooded self;
  std::string pongs = repeated(test::client_frame(test::opcode::pong, ""), 10'000);
  const std::size_t asked = Allocation::count_in([&] {
    for (int i = 0; i < 100; ++i) self.read(pongs);  // empty ones stay as they are
  });
  CHECK(asked == 0);
  CHECK(self.events == 1'000'000);
  CHECK(self.session.output_size() == 0);
  CHECK(self.pool.in_use() == 0);
  CHECK(self.session.is_open());
}

TEST_CASE("floods: of a hundred thousand close frames the first is answered, once") {
  Flooded self;
  const std::string one = test::client_frame(test::opcode::close, test::close_payload(1000));
  for (int i = 0; i < 100; ++i) {
    std::string read = repeated(one, 1000);
    self.read(read);
    self.write();
    CHECK(self.pool.in_use() <= 1024);
  }
  CHECK(self.events == 1);
  CHECK(self.written == 4);
  CHECK_FALSE(self.session.has_said_all());  // so the end is waited for, and no reset is sent
}

TEST_CASE("floods: data behind a close frame is dropped unseen, whatever it is") {
  for (const std::string& behind :
       {test::client_frame(test::opcode::text, "too late"), test::client_frame(3, ""),
        std::string(100'000, '\xFF'), test::client_frame(test::opcode::ping, "ping"),
        test::client_frame(test::opcode::binary, std::string(1'000'000, 'x'))}) {
    Flooded self;
    std::string read =
        test::client_frame(test::opcode::close, test::close_payload(1001, "bye")) + behind;
    self.read(read);
    for (int i = 0; i < 3; ++i) {
      std::string more = behind;
      self.read(more);
    }
    self.write();
    CHECK(self.events == 1);
    CHECK(self.written == 4);
    CHECK(self.pool.in_use() <= 1024);
    CHECK(self.session.wants_shutdown());
  }
}
