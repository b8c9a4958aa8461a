// Memory: none asked for on the path of a small message, none held at rest, none for bytes that
// were only announced; and what happens when it runs out, at each place where it can.
#include <doctest/doctest.h>

#include <optional>

#include "support/allocation.hpp"
#include "support/harness.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Allocation;
using test::Harness;

constexpr std::size_t no_budget = std::numeric_limits<std::size_t>::max();

std::string copy_of(std::string_view bytes) { return std::string{bytes}; }

MutableBytes writable(std::string& bytes) { return std::as_writable_bytes(std::span{bytes}); }

// One read, echoed and written, with nothing else that could ask for memory.
void echo_read(Session& session, std::string& bytes) {
  session.receive(writable(bytes));
  while (const auto event = session.next())
    if (const auto* message = event->message()) session.send(*message);
  while (session.output_size() != 0) session.sent(session.output().size_bytes());
}

}  // namespace

TEST_CASE("a small message, whole in its read, asks for no memory") {
  for (const Role role : {Role::server, Role::client}) {
    CAPTURE(static_cast<int>(role));
    Pool pool;
    Harness self{role, {}, pool};
    self.open();
    const std::string frames =
        self.frame(test::opcode::text, "Hello") + self.frame(test::opcode::binary, "\x01\x02") +
        self.frame(test::opcode::text, "\xE2\x82\xAC") + self.frame(test::opcode::ping, "p") +
        self.frame(test::opcode::text, std::string(1000, 'x'));
    std::string read = frames;
    echo_read(self.session, read);  // the pool is warm, and the client has its masking keys
    CHECK(pool.in_use() == 0);

    for (int i = 0; i < 200; ++i) {
      read = frames;
      const std::size_t asked = Allocation::count_in([&] { echo_read(self.session, read); });
      CHECK(asked == 0);
      CHECK(pool.in_use() == 0);
    }
  }
}

TEST_CASE("a small message in two reads asks for no memory, for a pool keeps what it needs") {
  Pool pool;
  Harness first{Role::server, {}, pool};
  Harness second{Role::server, {}, pool};
  first.open();
  second.open();
  const std::string frame = first.frame(test::opcode::text, std::string(1000, 'x'));
  for (int i = 0; i < 10; ++i) {
    for (Session* const session : {&first.session, &second.session}) {
      std::string front = frame.substr(0, 500);
      std::string back = frame.substr(500);
      const std::size_t asked = Allocation::count_in([&] {
        echo_read(*session, front);
        echo_read(*session, back);
      });
      if (i > 0) CHECK(asked == 0);
      CHECK(pool.in_use() == 0);
    }
  }
}

TEST_CASE("a message without an answer touches not even the pool") {
  Pool pool{0};  // gives nothing
  for (const Role role : {Role::client, Role::server}) {
    CAPTURE(static_cast<int>(role));
    Pool first;
    Harness self{role, {}, first};
    self.open();
    CHECK(first.in_use() == 0);
    std::string read = self.frame(test::opcode::text, std::string(100'000, 'x'));
    self.session.receive(writable(read));
    const auto event = self.session.next();
    REQUIRE(event);
    CHECK(event->message()->payload.size() == 100'000);
    CHECK(first.in_use() == 0);
    CHECK_FALSE(self.session.next());
  }
}

TEST_CASE("a connection at rest owns no block of the pool") {
  for (const Role role : {Role::server, Role::client}) {
    CAPTURE(static_cast<int>(role));
    Harness self{role};
    const auto at_rest = [&] {
      CHECK(self.closed_events == 0);
      CHECK(self.pool.in_use() == 0);
    };
    self.open();
    at_rest();
    self.on_event = test::echo;

    const std::string text = self.frame(test::opcode::text, std::string(300, 'x'));
    self.feed_by(1, text);  // header, then gathered
    at_rest();
    self.feed_by(1, self.frame(test::opcode::ping, std::string(125, 'x')));
    at_rest();
    self.feed_by(7, self.frame(test::opcode::text, std::string(70'000, 'x'), false) +
                        self.frame(test::opcode::continuation, std::string(70'000, 'x')));
    at_rest();
    self.feed(text + text.substr(0, 1));
    self.feed(text.substr(1));
    at_rest();

    // Held bytes.
    std::string two = text + text;
    self.session.receive(writable(two));
    REQUIRE(self.session.next());
    self.session.hold();
    CHECK(self.pool.in_use() != 0);
    self.drain();
    at_rest();

    // A large message, read where it stays in one piece; and one for which that was offered in
    // vain.
    for (const bool in_place : {true, false}) {
      const std::string large = self.frame(test::opcode::binary, std::string(50'000, 'x'));
      const std::size_t begun = large.size() - 47'000;  // enough that room is made for the rest
      self.feed(large.substr(0, begun));
      const MutableBytes space = self.session.read_space();
      REQUIRE(space.size() == 47'000);
      if (in_place) {
        std::copy_n(as_bytes(large).data() + begun, space.size(), space.data());
        self.session.receive(space);
        self.drain();
      } else {
        self.feed(large.substr(begun));
      }
      at_rest();
    }
  }
}

TEST_CASE("a session that is over owns no block of the pool") {
  SUBCASE("a refused request") {
    Harness self{Role::server};
    self.feed("POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(self.closed_events == 1);
    CHECK(self.pool.in_use() == 0);
  }
  SUBCASE("a refusal that came") {
    Harness self{Role::client};
    REQUIRE_FALSE(self.session.request({.host = "a", .subprotocols = {}, .headers = {}}));
    self.write();
    self.feed("HTTP/1.1 403 Forbidden\r\n\r\n");
    CHECK(self.closed_events == 1);
    CHECK(self.pool.in_use() == 0);
  }
  SUBCASE("inside a message") {
    Harness self{Role::server};
    self.open();
    self.feed(self.frame(test::opcode::text, std::string(1000, 'x'), false));
    CHECK(self.pool.in_use() != 0);
    self.feed(self.frame(test::opcode::text, ""));
    CHECK(self.closed_events == 1);
    CHECK(self.pool.in_use() == 0);
  }
  SUBCASE("with a close frame in pieces") {
    Harness self{Role::server};
    self.open();
    self.feed_by(1, self.frame(test::opcode::close, test::close_payload(1000, "bye")));
    CHECK(self.closed_events == 1);
    CHECK(self.pool.in_use() == 0);
  }
}

TEST_CASE("memory grows with bytes that arrived, not with the length that was announced") {
  for (const bool fragmented : {false, true}) {
    CAPTURE(fragmented);
    Harness self{Role::server};
    self.open();
    if (fragmented) self.feed(self.frame(test::opcode::binary, "first", false));
    test::Frame frame;
    frame.opcode = fragmented ? test::opcode::continuation : test::opcode::binary;
    frame.key = test::rfc_key;
    frame.announced = 16 * 1024 * 1024 - 5;
    frame.payload = "ten bytes.";
    self.feed(test::encode(frame));
    CHECK(self.pool.in_use() <= 1024);
    CHECK(self.closed_events == 0);
    // What a loop is offered to read into is no more than a read.
    CHECK(self.session.read_space().size() <= 64 * 1024);
    CHECK(self.pool.in_use() <= 128 * 1024);

    std::size_t arrived = 10;
    for (int i = 0; i < 100; ++i) {
      self.feed(std::string(10'000, 'x'));
      arrived += 10'000;
      CHECK(self.pool.in_use() <= 4 * arrived + 128 * 1024);
    }
  }
}

TEST_CASE("hold() again and again does not let memory grow") {
  Harness self{Role::server};
  self.open();
  const std::string frame = self.frame(test::opcode::text, std::string(1000, 'x'));
  std::string read = frame;
  self.session.receive(writable(read));
  std::size_t messages = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string more = copy_of(frame);
    self.session.receive(writable(more));
    self.session.hold();
    std::fill(more.begin(), more.end(), '?');
    const auto event = self.session.next();
    REQUIRE(event);
    REQUIRE(event->message() != nullptr);
    CHECK(event->message()->payload.size() == 1000);
    ++messages;
    self.session.hold();
  }
  CHECK(messages == 1000);
  CHECK(self.pool.in_use() <= 16 * 1024);
}

TEST_CASE("streamed messages are not kept") {
  Harness self{Role::server};
  self.session.stream_messages(true);
  self.open();
  const std::string frame = self.frame(test::opcode::binary, std::string(1'000'000, 'x'));
  std::size_t received = 0;
  self.on_event = [&](Harness& its, const Event& event) {
    received += event.piece()->payload.size();
    CHECK(its.pool.in_use() == 0);
  };
  self.feed(frame.substr(0, 14));
  for (std::size_t at = 14; at < frame.size(); at += 1000) {
    CHECK(self.session.read_space().empty());
    self.feed(frame.substr(at, 1000));
    CHECK(self.pool.in_use() == 0);
  }
  CHECK(received == 1'000'000);
}

// -- When memory runs out -------------------------------------------------------------------------

namespace {

struct Outcome {
  bool opened = false;
  std::size_t messages = 0;
  bool failed = false;  // some call, or the session, had no memory
  bool closed_well = false;
};

// A life from the first byte to the last: a handshake in pieces, a fragmented message, a ping, held
// bytes, a large echo in borrowed memory, and the closing handshake.
Outcome live(Role role, Pool& pool) {
  Outcome outcome;
  Harness self{role, {}, pool};
  const auto note = [&](const std::error_code& error) {
    if (!error) return;
    // What cannot be sent any more is the consequence.
    CHECK_MESSAGE((error == errc::no_memory || (outcome.failed && error == errc::not_open) ||
                   (outcome.failed && error == errc::no_request)),
                  error.message());
    outcome.failed = true;
  };
  self.on_event = [&](Harness&, const Event& event) {
    if (event.request() != nullptr) note(self.session.accept().code);
    if (event.open() != nullptr || event.request() != nullptr)
      outcome.opened = self.session.is_open();
    if (const auto* message = event.message()) {
      ++outcome.messages;
      note(self.session.send_borrowed(*message));
      self.session.own_output();
    }
    if (const auto* closed = event.closed()) {
      if (closed->error != nullptr) {
        // A request that was not accepted waits in vain; what follows is no frame then.
        CHECK_MESSAGE((outcome.failed || closed->error->code == errc::no_memory),
                      closed->error->text);
        outcome.failed = true;
      } else {
        outcome.closed_well = closed->code == 1000 && closed->sent == 1000;
      }
    }
  };

  if (role == Role::server) {
    self.feed_by(50, test::upgrade_request);
  } else {
    const Error error = self.session.request({.host = "a", .subprotocols = {}, .headers = {}});
    note(error.code);
    if (!error) {
      self.write();
      test::OutputLog request{Role::client};
      request.read(self.written);
      self.feed_by(50, test::upgrade_response(accept_for(request.key())));
    }
  }
  if (self.session.is_open()) {
    using namespace test::opcode;
    self.feed_by(777, self.frame(text, std::string(2000, 'a'), false) +
                          self.frame(ping, std::string(100, 'p')) +
                          self.frame(continuation, std::string(2000, 'b'), false) +
                          self.frame(continuation, std::string(2000, 'c')));
    std::string two = self.frame(text, "one") + self.frame(text, "two");
    self.session.receive(writable(two));
    self.session.hold();
    std::fill(two.begin(), two.end(), '?');
    self.drain();
    self.feed_by(10'000, self.frame(binary, std::string(40'000, 'd')));
    self.feed_by(1, self.frame(test::opcode::close, test::close_payload(1000, "bye")));
  }
  self.end_of_input();
  // A request that waits for an answer that cannot be made.
  self.session.deadline(TimePoint{});
  self.expire(TimePoint{} + 10s);
  self.session.deadline(TimePoint{} + 10s);
  self.expire(TimePoint{} + 20s);
  CHECK(self.session.finished());
  CHECK(self.closed_events == 1);
  return outcome;
}

}  // namespace

TEST_CASE("a pool that runs out at any place: no crash, no leak, one closed event") {
  for (const Role role : {Role::server, Role::client}) {
    CAPTURE(static_cast<int>(role));
    std::size_t lives = 0;
    std::size_t opened = 0;
    bool succeeded = false;
    for (std::size_t budget = 0; !succeeded; budget += 256) {
      CAPTURE(budget);
      REQUIRE(budget < 1024 * 1024);
      Pool pool{budget, 0};
      const Outcome outcome = live(role, pool);
      CHECK(pool.in_use() == 0);
      succeeded = !outcome.failed;
      ++lives;
      opened += outcome.opened ? 1 : 0;
      if (succeeded) {
        CHECK(outcome.closed_well);
        CHECK(outcome.messages == 4);
      }
    }
    CHECK(lives > 20);
    CHECK(opened > 10);
  }
}

TEST_CASE("a frame that comes in parts, and finds no memory for the first, ends the connection") {
  Pool pool{no_budget, 0};
  Harness self{Role::server, {}, pool};
  self.open();
  pool.limit(pool.in_use(), nullptr);
  self.feed(self.frame(test::opcode::text, "Hello").substr(0, 1));
  CHECK(self.closed_events == 1);
  CHECK(self.log.take().back().find("no_memory") != std::string::npos);
}

TEST_CASE("operator new failing at any call: no crash, one closed event") {
  const std::string request{test::upgrade_request};

  SUBCASE("a request comes, and is accepted") {
    bool reached = true;
    std::size_t failures = 0;
    for (std::size_t n = 1; reached; ++n) {
      CAPTURE(n);
      Pool pool{no_budget, 0};
      {
        Session session{Role::server, pool};
        std::string read = request;
        int closed = 0;
        reached = Allocation::fail_in(n, [&] {
          session.receive(writable(read));
          while (const auto event = session.next()) {
            if (event->request() != nullptr) {
              Error error = session.accept();
              if (error) error = session.accept();  // the request still waits
            }
            if (event->closed() != nullptr) {
              ++closed;
              if (event->closed()->error == nullptr ||
                  event->closed()->error->code != errc::no_memory)
                closed += 100;
            }
          }
        });
        failures += reached ? 1 : 0;
        CHECK(session.is_open() == (closed == 0));
        CHECK(closed <= 1);
        if (!reached) CHECK(session.is_open());
      }
      CHECK(pool.in_use() == 0);
    }
    CHECK(failures > 3);
  }

  SUBCASE("a request comes, and is rejected") {
    bool reached = true;
    for (std::size_t n = 1; reached; ++n) {
      CAPTURE(n);
      Pool pool{no_budget, 0};
      Session session{Role::server, pool};
      std::string read = request;
      int closed = 0;
      reached = Allocation::fail_in(n, [&] {
        session.receive(writable(read));
        while (const auto event = session.next()) {
          if (event->request() != nullptr && session.reject(403, "a body that is not short"))
            session.reject(403, "a body that is not short");
          if (event->closed() != nullptr) ++closed;
        }
      });
      CHECK(closed == 1);
      while (session.output_size() != 0) session.sent(session.output().size_bytes());
      session.end_of_input();
      CHECK(session.finished());
    }
  }

  SUBCASE("bad requests") {
    for (const std::string bad : {"\x16\x03\x01", "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
                                  "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nX : a\r\n\r\n"}) {
      bool reached = true;
      for (std::size_t n = 1; reached; ++n) {
        CAPTURE(bad);
        CAPTURE(n);
        Pool pool{no_budget, 0};
        Session session{Role::server, pool};
        std::string read = bad;
        int closed = 0;
        reached = Allocation::fail_in(n, [&] {
          session.receive(writable(read));
          while (const auto event = session.next())
            if (event->closed() != nullptr) ++closed;
        });
        CHECK(closed == 1);
        CHECK(session.output_size() == session.output().size_bytes());
      }
    }
  }

  SUBCASE("a request that another server has read") {
    Request parsed;
    REQUIRE_FALSE(parse_request(request, 100, parsed));
    Request without_key = parsed;
    without_key.headers = Headers{std::vector<Header>{{"Host", "a"}, {"Upgrade", "websocket"}}};
    for (const Request* each : {&parsed, &without_key}) {
      bool reached = true;
      for (std::size_t n = 1; reached; ++n) {
        CAPTURE(n);
        Pool pool{no_budget, 0};
        Session session{Role::server, pool};
        std::optional<Refusal> refusal;
        bool accepted = false;
        int closed = 0;
        reached = Allocation::fail_in(n, [&] {
          refusal = session.receive_request(*each);
          if (!*refusal) accepted = !session.accept() || !session.accept();
          while (const auto event = session.next())
            if (event->closed() != nullptr) ++closed;
        });
        CHECK(session.is_open() == accepted);
        CHECK(closed == (accepted ? 0 : 1));
        if (!accepted && reached) CHECK((refusal->status == 503 || refusal->status == 400));
      }
    }
  }

  SUBCASE("memory that does not come back") {
    Request parsed;
    REQUIRE_FALSE(parse_request(request, 100, parsed));
    Request without_key = parsed;
    without_key.headers = Headers{std::vector<Header>{{"Host", "a"}, {"Upgrade", "websocket"}}};
    const Request* const requests[] = {&parsed, &without_key, nullptr};  // null: it is received
    for (const Request* each : requests) {
      bool reached = true;
      for (std::size_t n = 1; reached; ++n) {
        CAPTURE(n);
        Pool pool{no_budget, 0};
        Session session{Role::server, pool};
        std::string read = each != nullptr ? "" : request;
        int closed = 0;
        reached = Allocation::fail_from(n, [&] {
          if (each != nullptr) session.receive_request(*each);
          session.receive(writable(read));
          const auto drain = [&] {
            while (const auto event = session.next()) {
              if (event->request() != nullptr) session.accept();
              if (event->closed() != nullptr) ++closed;
            }
          };
          drain();
          session.lost(std::make_error_code(std::errc::connection_reset));
          drain();
        });
        CHECK(closed == 1);
        CHECK(session.finished());
      }
    }
  }

  SUBCASE("a client's request, and the response to it") {
    bool reached = true;
    std::size_t failures = 0;
    for (std::size_t n = 1; reached; ++n) {
      CAPTURE(n);
      Pool pool{no_budget, 0};
      {
        Session session{Role::client, pool};
        const ClientRequest request_for_chat{.host = "a", .subprotocols = {"chat"}, .headers = {}};
        int closed = 0;
        bool opened = false;
        Error error;
        reached = Allocation::fail_in(n, [&] { error = session.request(request_for_chat); });
        if (error) {
          CHECK((error.code == errc::no_memory || error.code == errc::no_entropy));
          CHECK(session.output_size() == 0);
          REQUIRE_FALSE(session.request(request_for_chat));
        }
        std::string written{as_text(session.output().front())};
        session.sent(written.size());
        test::OutputLog log{Role::client};
        log.read(written);
        std::string read = test::upgrade_response(accept_for(log.key()));
        if (!reached) {
          // The first n calls were in request(); the others come from the response.
          bool reached_there = true;
          for (std::size_t m = 1; reached_there; ++m) {
            Pool its_pool{no_budget, 0};
            Session second{Role::client, its_pool};
            REQUIRE_FALSE(second.request(request_for_chat));
            written = as_text(second.output().front());
            second.sent(written.size());
            test::OutputLog its_log{Role::client};
            its_log.read(written);
            std::string response = test::upgrade_response(accept_for(its_log.key()));
            closed = 0;
            opened = false;
            reached_there = Allocation::fail_in(m, [&] {
              second.receive(writable(response));
              while (const auto event = second.next()) {
                opened = opened || event->open() != nullptr;
                if (event->closed() != nullptr) ++closed;
              }
            });
            CHECK(opened == second.is_open());
            CHECK(closed == (opened ? 0 : 1));
            if (!reached_there) CHECK(opened);
            failures += reached_there ? 1 : 0;
          }
        } else {
          session.receive(writable(read));
          while (const auto event = session.next()) opened = opened || event->open() != nullptr;
          CHECK(opened);
        }
        failures += reached ? 1 : 0;
      }
      CHECK(pool.in_use() == 0);
    }
    CHECK(failures > 6);
  }
}

TEST_CASE("a borrowed payload that cannot be kept cuts the connection") {
  Pool pool{6 * 1024, 0};
  Harness self{Role::server, {}, pool};
  self.open();
  self.writes = false;
  {
    const std::string payload(8000, 'x');
    REQUIRE(self.session.send_borrowed({MessageType::binary, as_bytes(payload)}) == errc::ok);
    self.session.own_output();
  }
  self.drain();
  CHECK(self.log.lines() ==
        test::Lines{"closed 1006 error=no_memory \"out of memory, or of the pool's budget\""});
  CHECK(self.session.output().empty());
  CHECK(self.session.finished());
}

TEST_CASE("a fragment that finds no memory begins no message, and ends none") {
  Pool pool{8 * 1024, 0};
  Harness self{Role::server, {}, pool};
  self.open();
  self.writes = false;
  const std::string large(10'000, 'x');
  CHECK(self.session.send_piece({MessageType::text, as_bytes(large)}, false) == errc::no_memory);
  CHECK(self.session.send(std::string_view{"whole"}) == errc::ok);
  CHECK(self.session.send_piece({MessageType::text, as_bytes("fr")}, false) == errc::ok);
  CHECK(self.session.send_piece({MessageType::text, as_bytes(large)}, true) == errc::no_memory);
  CHECK(self.session.send(std::string_view{"not now"}) == errc::message_unfinished);
  CHECK(self.session.send_piece({MessageType::text, as_bytes("ag")}, true) == errc::ok);
  self.write();
  CHECK(self.frames() ==
        test::Lines{"> text \"whole\"", "> fin=0 text \"fr\"", "> continuation \"ag\""});
}

TEST_CASE("without memory for bytes behind a request, that is answered 503, and no frame is sent") {
  Pool pool{8 * 1024, 0};
  Harness self{Role::server, {}, pool};
  self.feed(test::upgrade_request);
  self.feed(std::string(20'000, 'x'));
  CHECK(self.log.lines() ==
        test::Lines{"request GET /chat host=server.example.com",
                    "closed 1006 error=no_memory \"out of memory, or of the pool's budget\""});
  CHECK(self.written.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  CHECK(self.written.ends_with("\r\n\r\nout of memory, or of the pool's budget\n"));
  CHECK(self.session.accept().code == errc::no_request);
}
