// A session with its pool, driven as a loop drives it: read, next() until nothing, write.
//
// It is as unkind as the contract allows: bytes given to receive() are gone once the session has
// looked at them, and a pool that keeps no blocks shows every late look to AddressSanitizer.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "support/event_log.hpp"
#include "timtow/digest.hpp"
#include "timtow/session.hpp"

namespace test {

class Harness {
 public:
  using OnEvent = std::function<void(Harness&, const timtow::Event&)>;

  explicit Harness(timtow::Role role, const timtow::Limits& limits = {}, bool drafts = false)
      : options{.limits = limits, .drafts = drafts},
        own_pool_(no_budget, 0),
        pool(own_pool_),
        session(role, pool, options) {}
  Harness(timtow::Role role, const timtow::Limits& limits, const timtow::Compression* compression)
      : options{.limits = limits, .compression = compression},
        own_pool_(no_budget, 0),
        pool(own_pool_),
        session(role, pool, options) {}
  Harness(timtow::Role role, const timtow::Limits& limits, timtow::Pool& its_pool)
      : Harness(role, limits, its_pool, nullptr) {}
  Harness(timtow::Role role, const timtow::Limits& limits, timtow::Pool& its_pool,
          const timtow::Compression* compression)
      : options{.limits = limits, .compression = compression},
        own_pool_(0, 0),
        pool(its_pool),
        session(role, pool, options) {}

  const timtow::SessionOptions options;

 private:
  static constexpr std::size_t no_budget = std::numeric_limits<std::size_t>::max();
  timtow::Pool own_pool_;

 public:
  timtow::Pool& pool;
  timtow::Session session;

  OnEvent on_event;    // the application
  bool writes = true;  // whether the peer takes output
  EventLog log;
  std::string written;
  int closed_events = 0;

  // Does the opening handshake, and forgets about it. The peer offers, or chooses, extensions.
  Harness& open(const std::string& extensions = {}) {
    const auto with_extensions = [&](std::string head) {
      if (!extensions.empty())
        head.insert(head.size() - 2, "Sec-WebSocket-Extensions: " + extensions + "\r\n");
      return head;
    };
    const OnEvent application = std::exchange(on_event, nullptr);
    if (session.role() == timtow::Role::server) {
      feed(with_extensions(std::string{upgrade_request}));
      REQUIRE_FALSE(session.accept());
      drain();
    } else {
      REQUIRE_FALSE(
          session.request({.host = "server.example.com", .subprotocols = {}, .headers = {}}));
      write();
      OutputLog request{timtow::Role::client};
      request.read(written);
      feed(with_extensions(upgrade_response(timtow::accept_for(request.key()))));
    }
    REQUIRE(session.is_open());
    log.take();
    written.clear();
    on_event = application;
    return *this;
  }

  // A read, and all that follows from it.
  void feed(std::string_view bytes) {
    const auto copy = std::make_unique<std::byte[]>(bytes.size());
    std::copy_n(timtow::as_bytes(bytes).data(), bytes.size(), copy.get());
    session.receive({copy.get(), bytes.size()});
    drain();
  }

  // As feed(), in reads of `size` bytes.
  void feed_by(std::size_t size, std::string_view bytes) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size())))
      feed(bytes.substr(0, size));
  }

  void end_of_input() {
    session.end_of_input();
    drain();
  }

  void expire(timtow::TimePoint now) {
    session.expire(now);
    drain();
  }

  void drain() {
    while (const auto event = session.next()) {
      CHECK_MESSAGE(closed_events == 0, "an event after the closed event");
      if (event->closed() != nullptr) ++closed_events;
      log.add(*event);
      if (on_event) on_event(*this, *event);
    }
    if (writes) write();
  }

  void write() {
    while (true) {
      const timtow::Gather output = session.output();
      if (output.empty()) break;
      for (std::size_t i = 0; i < output.size(); ++i) written += timtow::as_text(output[i]);
      session.sent(output.size_bytes());
    }
    CHECK(session.output_size() == 0);
  }

  // What was written since the last call, as frames.
  Lines frames() { return OutputLog{session.role(), true}.read(std::exchange(written, {})); }

  std::string frame(unsigned opcode, std::string_view payload, bool fin = true) const {
    return session.role() == timtow::Role::server ? client_frame(opcode, payload, fin)
                                                  : server_frame(opcode, payload, fin);
  }
};

// An application that sends back what it gets.
inline void echo(Harness& self, const timtow::Event& event) {
  if (const auto* message = event.message()) CHECK(self.session.send(*message) == timtow::errc::ok);
}

}  // namespace test
