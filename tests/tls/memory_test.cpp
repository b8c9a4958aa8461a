// OpenSSL without memory. It is asked for what a client makes of it, and tells so in many places.
#include <openssl/crypto.h>

#include <cstdlib>
#include <limits>
#include <new>

#include "support/allocation.hpp"
#include "support/tls_world.hpp"
#include "timtow/client.hpp"

namespace {

using namespace timtow;

thread_local bool may_fail = false;     // and then as Allocation says
thread_local std::size_t fails_at = 0;  // the call that fails whatever that says, 1 being the next

bool fails() noexcept {
  if (fails_at != 0 && --fails_at == 0) return true;
  return may_fail && test::Allocation::fails();
}

void* allocate(std::size_t size, const char*, int) noexcept {
  return fails() ? nullptr : std::malloc(size);
}
void* reallocate(void* memory, std::size_t size, const char*, int) noexcept {
  return fails() ? nullptr : std::realloc(memory, size);
}
void release(void* memory, const char*, int) noexcept { std::free(memory); }

// Only before the first call of OpenSSL's that needs memory.
const bool is_ours = CRYPTO_set_mem_functions(allocate, reallocate, release) == 1;

// Whether the n-th call for memory in `work` was reached, be it OpenSSL's or ours.
template <typename Work>
bool fail_in(std::size_t n, Work work) {
  may_fail = true;
  const bool failed = test::Allocation::fail_in(n, work);
  may_fail = false;
  return failed;
}

// A client that connects to a server with this certificate. What it tells, once it is over.
test::Lines talk(const std::shared_ptr<tls::ClientContext>& context, const std::string& names,
                 std::size_t n, bool& failed) {
  static const test::Certificate good{{}, &test::certificates().issuer};
  static const test::Certificate bad{{.names = "DNS:other.example"}, &test::certificates().issuer};
  test::FakeLoop loop;
  test::Lines log;
  test::Context peers = test::server_context();
  (names.empty() ? good : bad).use_in(peers.get());
  Handlers handlers;
  handlers.on_error = [&](const Error& error) { log.push_back(error.text); };
  Client client{loop, {.url = "wss://localhost/", .tls = context}, handlers};
  loop.connect_waits = true;
  CHECK_FALSE(client.connect());
  loop.settle();
  ConnectEvents& connecting = loop.connecting();
  TransportEvents* events = nullptr;
  failed = fail_in(n, [&] { events = connecting.connected(); });
  if (events != nullptr) {
    loop.peers.reserve(1);
    Error error;
    Transport* const below = loop.adopt(loop.connected_elsewhere(), *events, error);
    events->opened(*below);
    test::Stream stream{*loop.peers.back(), peers.get(), false};
    stream.run();
    stream.peer.ends();
  }
  return log;
}

}  // namespace

TEST_CASE("tls: a client for which OpenSSL has no memory fails, and the next one does not") {
  REQUIRE(is_ours);
  const auto context = test::make_client_context({});
  for (const std::string names : {"", "other.example"}) {
    bool failed = true;
    std::size_t n = 1;
    for (; failed; ++n) {
      CAPTURE(n);
      CHECK(talk(context, names, n, failed).size() == 1);
    }
    CHECK(n > 20);
    const test::Lines last = talk(context, names, 0, failed);
    CHECK(last.front().find(names.empty() ? "ended" : "it is for other.example") !=
          std::string::npos);
  }
}

TEST_CASE("tls: a context for which OpenSSL has no memory is none, or good") {
  // What OpenSSL prepares once for all is not what is looked at, and stays broken if it fails.
  test::make_client_context({});
  // Behind the first hundreds it reads the issuers, which asks for memory thousands of times.
  for (std::size_t n = 1; n < 600; ++n) {
    CAPTURE(n);
    std::shared_ptr<tls::ClientContext> context;
    const tls::ClientContext::Options options{.ca_file = test::certificates().issuer_file};
    Error error;
    fail_in(n, [&] {
      try {
        context = tls::ClientContext::make(options, error);
      } catch (const std::bad_alloc&) {
      }
    });
    bool ignored = false;
    if (context != nullptr) CHECK(talk(context, "", 0, ignored).size() == 1);
  }
}

TEST_CASE("tls: memory that OpenSSL has not at any place of a message ends that connection only") {
  std::size_t n = 1;
  for (bool failed = true; failed; ++n) {
    CAPTURE(n);
    test::TlsWorld world;
    world.echo();
    const auto other = world.opened();
    const auto stream = world.opened();
    stream->tls.say(test::client_frame(test::opcode::text, std::string(40'000, 'x')));
    const std::string wire = stream->tls.take();
    fails_at = n;
    stream->peer.sends(wire);
    failed = fails_at == 0;
    fails_at = 0;
    stream->run();
    const test::Lines heard = world.heard();
    if (failed)
      CHECK(heard == test::Lines{"2 closed 1006 error=no_memory"});
    else
      CHECK(stream->frames() == test::Lines{"> text \"x\"*40000"});
    if (!stream->peer.closed) stream->ends();
    CHECK(stream->peer.closed);
    other->says(test::opcode::text, "hello");
    CHECK(other->frames() == test::Lines{"> text \"hello\""});
  }
  CHECK(n > 2);
}

TEST_CASE(
    "tls: a budget that runs out at any place of a message ends that connection, and no other") {
  const std::string text(40'000, 'x');
  bool echoed = false;
  std::size_t budget = 0;
  for (; !echoed; budget += 1024) {
    CAPTURE(budget);
    REQUIRE(budget < 1024 * 1024);
    test::TlsWorld world;
    world.echo();
    const auto other = world.opened();
    Pool& pool = world.loop.pool();
    const std::size_t of_other = pool.in_use();
    const auto stream = world.opened();
    pool.limit(pool.in_use() + budget, nullptr);
    stream->peer.room = 5000;  // the rest of what is echoed waits
    stream->says(test::opcode::text, text);
    stream->peer.takes_all();
    stream->run();
    const test::Lines heard = world.heard();
    echoed = heard.empty();
    if (echoed) {
      CHECK(stream->frames() == test::Lines{"> text \"x\"*40000"});
    } else {
      CHECK(heard == test::Lines{"2 closed 1006 error=no_memory"});
    }
    if (!stream->peer.closed) stream->ends();
    CHECK(stream->peer.closed);
    pool.limit(std::numeric_limits<std::size_t>::max(), nullptr);
    CHECK(pool.in_use() == of_other);
    other->says(test::opcode::text, "hello");
    CHECK(other->frames() == test::Lines{"> text \"hello\""});
  }
  CHECK(budget > 30 * 1024);
}
