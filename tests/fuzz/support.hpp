// What the fuzz targets share: a session driven as a loop drives it, and the rules that hold
// whatever comes in. Where one does not, check() says which and aborts.
//
// - The same bytes give the same events and the same output, however they are split.
// - There is exactly one closed event, and it is the last.
// - Memory grows with bytes that came, never with a length that was announced.
// - A session of the other role understands all that is written.
// - After close() and the end of the stream a session is finished, and its pool is empty.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "timtow/digest.hpp"
#include "timtow/session.hpp"

namespace fuzz {

using timtow::errc;
using timtow::Event;
using timtow::Limits;
using timtow::Role;
using timtow::Session;
using timtow::close_code::normal;

inline void check(bool holds, const char* rule) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: broken rule: %s\n", rule);
  std::abort();
}

inline void check_same(const std::string& what, const std::string& whole, const char* how) {
  if (what == whole) return;
  for (const auto& [name, text] : {std::pair{"whole", &whole}, std::pair{how, &what}}) {
    std::fprintf(stderr, "-- %s:\n", name);
    std::fwrite(text->data(), 1, text->size(), stderr);  // there may be NUL in it
    std::fputc('\n', stderr);
  }
  check(false, "the same bytes give the same events and output, however they are split");
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// How a stream is cut into reads: these sizes in turn, or all at once.
using Sizes = std::vector<std::size_t>;

// Sizes that an input chooses by what it ends with.
inline Sizes sizes_of(std::string_view input) {
  Sizes sizes;
  for (const char c : input.substr(input.size() - std::min<std::size_t>(input.size(), 4)))
    sizes.push_back(static_cast<unsigned char>(c) % 61 + 1U);
  return sizes;
}

// Byte by byte; what is long in larger parts: it takes long, and shows nothing that others do not.
inline Sizes smallest_of(std::string_view input) { return {input.size() <= 4096 ? 1U : 17U}; }

// The invariant of them all: `run(sizes)` reads the input in parts of these sizes and tells what
// came of it, which is the same for any. Returns it.
template <typename Run>
std::string check_splits(std::string_view input, Run run) {
  std::string whole = run({});
  check_same(run(smallest_of(input)), whole, "byte by byte");
  check_same(run(sizes_of(input)), whole, "in parts");
  return whole;
}

// -- Events as text -------------------------------------------------------------------------------

// One line for each event, but one for all pieces that follow each other: where they end is chance.
// Without what is random: a client's key, and what a sentence quotes, as it may be the answer to
// it.
class Log {
 public:
  explicit Log(bool shows_pongs = true) : shows_pongs_(shows_pongs) {}

  void add(std::string_view line) { lines_.append(line).append("\n"), in_piece_ = false; }

  void add(const Event& event) {
    const auto type = [](timtow::MessageType of) {
      return of == timtow::MessageType::text ? 't' : 'b';
    };
    if (const auto* piece = event.piece()) {
      if (!in_piece_ || piece->first) add(std::string{"piece "} + type(piece->type) + ' ');
      lines_.pop_back();
      lines_.append(timtow::as_text(piece->payload)).append(piece->last ? ".\n" : "\n");
      in_piece_ = !piece->last;
    } else if (const auto* message = event.message()) {
      add(std::string{"message "} + type(message->type) + ' ' + std::string{message->text()});
    } else if (const auto* ping = event.ping()) {
      add("ping " + std::string{timtow::as_text(ping->payload)});
    } else if (const auto* pong = event.pong()) {
      if (shows_pongs_) add("pong " + std::string{timtow::as_text(pong->payload)});
    } else if (const auto* request = event.request()) {
      add("request " + std::string{request->method} + ' ' + std::string{request->target});
      for (const auto& [name, value] : request->headers)
        if (name != "Sec-WebSocket-Key") add(std::string{name} + ": " + std::string{value});
    } else if (event.opened() != nullptr) {
      add("opened");
    } else if (const auto* response = event.open()) {
      add("open " + std::to_string(response->status) + ' ' +
          std::to_string(response->headers.size()));
    } else {
      add(*event.closed());
    }
  }

  const std::string& lines() const { return lines_; }

 private:
  void add(const timtow::Closed& closed) {
    std::string line = "closed " + std::to_string(closed.code) + ' ' + std::to_string(closed.sent) +
                       ' ' + std::string{closed.reason};
    if (closed.error != nullptr)
      line += " for " + closed.error->code.message() + ": " +
              closed.error->text.substr(0, closed.error->text.find_first_of("\":"));
    if (closed.response != nullptr) line += " status " + std::to_string(closed.response->status);
    add(line);
  }

  bool shows_pongs_;
  std::string lines_;
  bool in_piece_ = false;
};

// -- Sessions that are open -----------------------------------------------------------------------

// Takes all output, in writes of at most `size` bytes.
inline std::string take_output(Session& session, std::size_t size = 4096) {
  std::string bytes;
  while (session.output_size() != 0) {
    const timtow::Bytes next = session.output().front();
    const std::size_t taken = std::min(size, next.size());
    bytes += timtow::as_text(next.first(taken));
    session.sent(taken);
  }
  return bytes;
}

// The right answer to the key of the request that a client wrote.
inline std::string accept_of(std::string_view written) {
  timtow::Request request;
  check(!parse_request(written, 100, request), "a client writes a request that can be read");
  check(!check_request(request) && request.is_upgrade(), "a client's request asks for an upgrade");
  return timtow::accept_for(request.headers["Sec-WebSocket-Key"]);
}

// Asks for an upgrade; returns what was written.
inline std::string request_upgrade(Session& client) {
  const timtow::ClientRequest request{
      .host = "example.org", .target = "/", .subprotocols = {"chat", "superchat"}, .headers = {}};
  check(!client.request(request), "a client may ask for an upgrade");
  return take_output(client);
}

// The input with the right Sec-WebSocket-Accept in place of {accept}, once. Elsewhere than in that
// header, in a message or a sentence, it would make them as random as the key is.
inline std::string with_accept(std::string_view input, std::string_view accept) {
  constexpr std::string_view name = "Sec-WebSocket-Accept: ";
  constexpr std::string_view stand_in = "{accept}";
  std::string text{input};
  if (const auto at = text.find(std::string{name}.append(stand_in)); at != text.npos)
    text.replace(at + name.size(), stand_in.size(), accept);
  return text;
}

// Does the opening handshake without a peer, in which that one offers, or chooses, the extension.
inline void open(Session& session, std::string_view extension = {}) {
  if (session.role() == Role::server) {
    const timtow::Request request{
        "GET", "/",
        timtow::Headers{{{"Host", "example.org"},
                         {"Upgrade", "websocket"},
                         {"Connection", "Upgrade"},
                         {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                         {"Sec-WebSocket-Version", "13"},
                         {"Sec-WebSocket-Extensions", extension}}}};
    check(!session.receive_request(request) && !session.accept(), "a server opens");
    take_output(session);
  } else {
    std::string response =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        accept_of(request_upgrade(session)) + "\r\n";
    if (!extension.empty())
      response.append("Sec-WebSocket-Extensions: ").append(extension).append("\r\n");
    response += "\r\n";
    session.receive(std::as_writable_bytes(std::span{response}));
    const auto event = session.next();
    check(event && event->open() != nullptr && !session.next(), "a client opens");
  }
  check(session.is_open(), "a session is open after its opening handshake");
}

// -- The peer -------------------------------------------------------------------------------------

// Reads what `writer` wrote with a session of the other role; returns what that one made of it.
inline std::string heard_by_peer(Role writer, bool opened, std::string written, bool shows_pongs,
                                 const timtow::Compression* compression = nullptr,
                                 std::string_view extension = {}) {
  timtow::SessionOptions options{.limits = {}, .compression = compression};
  options.limits.message_bytes = std::numeric_limits<std::uint32_t>::max();
  options.limits.inflate_ratio = 0;
  timtow::Pool pool;
  Session peer{writer == Role::server ? Role::client : Role::server, pool, options};
  Log log{shows_pongs};
  if (opened) open(peer, extension);
  peer.receive(std::as_writable_bytes(std::span{written}));
  peer.end_of_input();
  while (const auto event = peer.next()) {
    log.add(*event);
    if (event->request() != nullptr) check(!peer.accept(), "the peer accepts");
    const auto* const closed = event->closed();
    if (closed != nullptr && closed->error != nullptr)
      check(closed->error->code == errc::connection_lost ||
                closed->error->code == errc::handshake_incomplete,
            "what is written obeys RFC 6455");
  }
  return log.lines();
}

// What a server wrote from its first byte on: a response, and frames if that accepts.
inline std::string heard_by_client(std::string_view written, std::string_view key,
                                   bool shows_pongs) {
  timtow::HeadScanner scanner;
  const auto result = scanner.scan(written);
  check(result != timtow::HeadScanner::Result::bad, "a server writes a response that can be read");
  if (result == timtow::HeadScanner::Result::incomplete) {
    check(written.empty(), "a server writes its response whole");
    return {};
  }
  const std::string_view head = written.substr(0, scanner.scanned());
  const std::string_view rest = written.substr(scanner.scanned());
  timtow::Response response;
  check(!parse_response(head, 100, response), "a server writes a response that can be read");
  if (response.status == 101) {
    const std::string_view subprotocol = response.headers["Sec-WebSocket-Protocol"];
    check(!check_response(response, key, {subprotocol}), "a 101 response completes the handshake");
    return std::string{head} + heard_by_peer(Role::server, true, std::string{rest}, shows_pongs);
  }
  check(response.headers["Content-Length"] == std::to_string(rest.size()),
        "nothing follows a refusal but its body");
  check(response.headers.has_token("Connection", "close"), "a refusal closes");
  return std::string{written};
}

// -- The session under test -----------------------------------------------------------------------

struct Setup {
  Role role = Role::server;
  bool opened = false;     // the opening handshake is done already
  bool streaming = false;  // messages come in pieces
  bool in_place = false;   // reads go where read_space() says
  bool answering = true;   // requests are answered in their event
  bool echo = true;
  bool pongs_coalesce = false;  // by what waits while reads are worked off: they are not compared
  std::size_t write_size = 4096;
  std::size_t more_memory = 0;  // that it may take, whatever comes
  timtow::SessionOptions options{};
  std::string_view extension;  // opened: that was agreed on
  std::size_t budget = std::numeric_limits<std::size_t>::max();
};

class Connection {
 public:
  explicit Connection(const Setup& setup)
      : setup_(setup), pool_(setup.budget, 0), session_(setup.role, pool_, setup_.options) {
    session_.stream_messages(setup.streaming);
    if (setup.opened) {
      open(session_, setup.extension);
    } else if (setup.role == Role::client) {
      written_ = request_upgrade(session_);
      accept_ = accept_of(written_);
    }
  }

  Session& session() { return session_; }
  // Client: the right Sec-WebSocket-Accept.
  const std::string& accept() const { return accept_; }

  // The application takes no events, or the peer no output, until told otherwise.
  void hold(bool on) { holding_ = on, pump(); }
  void stall(bool on) { stalled_ = on, pump(); }

  void read(std::string_view bytes) {
    received_ += bytes.size();
    // A copy that is gone afterwards shows every look at it that comes too late.
    const auto copy = std::make_unique<std::byte[]>(bytes.size());
    timtow::MutableBytes read{copy.get(), bytes.size()};
    if (setup_.in_place) {
      const auto space = session_.read_space();
      if (!space.empty()) {
        extra_ = 256 * 1024;  // what it may take ahead
        const std::size_t size = std::min(space.size(), bytes.size());
        std::copy_n(timtow::as_bytes(bytes).data(), size, space.data());
        session_.receive(space.first(size));
        pump();
        bytes.remove_prefix(size);
        read = read.first(bytes.size());
        if (bytes.empty()) return;
      }
    }
    std::copy_n(timtow::as_bytes(bytes).data(), bytes.size(), read.data());
    session_.receive(read);
    pump();
  }

  void read(std::string_view bytes, const Sizes& sizes) {
    for (std::size_t i = 0; !bytes.empty(); ++i) {
      const std::size_t size =
          sizes.empty() ? bytes.size() : std::min(sizes[i % sizes.size()], bytes.size());
      read(bytes.substr(0, size));
      bytes.remove_prefix(size);
    }
  }

  // Counts what the application asked for, by which memory may grow as well.
  void did(std::string_view what, std::error_code result, std::size_t size = 0) {
    extra_ += size + 4096;
    log_.add(std::string{what} + " -> " + result.message());
    pump();
  }

  // Takes the events that are there and lets the output go.
  void pump() {
    if (holding_) {
      session_.hold();
    } else {
      while (const auto event = session_.next()) take(*event);
    }
    session_.own_output();
    if (!stalled_) written_ += take_output(session_, setup_.write_size);
    session_.deadline(now_);
    check(pool_.in_use() <= 32 * 1024 + 8 * received_ + 4 * extra_ + setup_.more_memory,
          "memory grows with what came");
  }

  void pass(timtow::Duration time) {
    now_ += time;
    session_.expire(now_);
    pump();
  }

  // Accepts the request that waits, with the first subprotocol, or has nothing for it.
  void answer() {
    const std::string_view subprotocol = offered_.empty() ? std::string_view{} : offered_[0];
    if (session_.accept({.subprotocol = subprotocol, .headers = {}}))
      session_.reject(404, "There is nothing here.\n");
  }

  // Closes, and ends the stream. Returns the events and what a peer made of the output.
  std::string finish() {
    holding_ = stalled_ = false;
    session_.pause(false);
    pump();
    answer();
    pump();
    session_.close(normal, "that was it");
    pump();
    session_.end_of_input();
    pump();
    check(closed_, "there is a closed event");
    check(session_.finished(), "a session is finished after close() and the end of the stream");
    check(session_.output_size() == 0, "a finished session has no output");
    if (setup_.options.drafts)  // see drafts.cpp
      return log_.lines() + "\n" + (setup_.pongs_coalesce ? std::string{} : written_);
    return log_.lines() + "\n" +
           (setup_.role == Role::server && !setup_.opened
                ? heard_by_client(written_, key_, !setup_.pongs_coalesce)
                : heard_by_peer(setup_.role, setup_.opened, written_, !setup_.pongs_coalesce,
                                setup_.options.compression, setup_.extension));
  }

 private:
  void take(const Event& event) {
    check(!closed_, "the closed event is the last");
    log_.add(event);
    if (const auto* request = event.request()) {
      key_ = request->headers["Sec-WebSocket-Key"];
      for (const auto each : request->subprotocols()) offered_.emplace_back(each);
      if (setup_.answering) answer();
    } else if (const auto* message = event.message()) {
      if (setup_.echo) log_.add("echo -> " + make_error_code(session_.send(*message)).message());
    }
    closed_ = closed_ || event.closed() != nullptr;
  }

  struct EmptyAtLast {
    const timtow::Pool& pool;
    ~EmptyAtLast() { check(pool.in_use() == 0, "a session that is gone owns no memory"); }
  };

  Setup setup_;
  timtow::Pool pool_;
  EmptyAtLast empty_at_last_{pool_};
  Session session_;
  Log log_;
  timtow::TimePoint now_{};
  bool holding_ = false;
  bool stalled_ = false;
  bool closed_ = false;
  std::size_t received_ = 0;
  std::size_t extra_ = 0;
  std::string written_;
  std::string accept_;
  std::string key_;
  std::vector<std::string> offered_;
};

}  // namespace fuzz
