// What a session tells its application. Every event is a view: it dies at the next call on the
// session.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "timtow/bytes.hpp"
#include "timtow/close_code.hpp"
#include "timtow/error.hpp"
#include "timtow/http.hpp"

namespace timtow {

enum class MessageType : std::uint8_t { text = 1, binary = 2 };  // as their opcodes

struct Message {
  MessageType type = MessageType::binary;
  Bytes payload;

  bool is_text() const noexcept { return type == MessageType::text; }
  std::string_view text() const noexcept { return as_text(payload); }
};

// Part of a message, as it arrives, for sessions that stream (Session::stream_messages).
// Where one part ends and the next begins is chance; only their sequence means something.
struct Piece {
  MessageType type = MessageType::binary;
  Bytes payload;
  bool first = true;
  bool last = true;
};

// How a session ended. There is one such event, it is the last, and it always comes.
struct Closed {
  CloseCode code = close_code::abnormal;  // from the peer's close frame; 1005: it named none,
                                          // 1006: there was no close frame
  CloseCode sent = 0;                     // in our close frame; 0: we sent none
  std::string_view reason;                // the peer's, UTF-8
  const Error* error = nullptr;           // what went wrong; null after a clean closing handshake
  const Response* response = nullptr;     // client: the answer that refused us, if there was one
};

// Server: the opening handshake is done now, for which accept() was not enough: draft 76 has bytes
// behind the request's head, which may come only after the response's.
struct Opened {};

struct Ping {
  Bytes payload;  // at most 125 bytes
};

struct Pong {
  Bytes payload;  // at most 125 bytes
};

class Event {
 public:
  using Any = std::variant<const Request*, const Response*, Message, Piece, Ping, Pong,
                           const Closed*, Opened>;

  explicit Event(Any any) noexcept : any_(any) {}

  // Server: a request waits for accept() or respond(). It stays valid until one of them.
  const Request* request() const noexcept { return pointee<Request>(); }
  // Client: the server accepted.
  const Response* open() const noexcept { return pointee<Response>(); }
  const Opened* opened() const noexcept { return std::get_if<Opened>(&any_); }
  const Message* message() const noexcept { return std::get_if<Message>(&any_); }
  const Piece* piece() const noexcept { return std::get_if<Piece>(&any_); }
  // A ping has been answered already.
  const Ping* ping() const noexcept { return std::get_if<Ping>(&any_); }
  const Pong* pong() const noexcept { return std::get_if<Pong>(&any_); }
  const Closed* closed() const noexcept { return pointee<Closed>(); }

  // For std::visit.
  const Any& any() const noexcept { return any_; }

 private:
  template <typename T>
  const T* pointee() const noexcept {
    const auto* pointer = std::get_if<const T*>(&any_);
    return pointer == nullptr ? nullptr : *pointer;
  }

  Any any_;
};

}  // namespace timtow
