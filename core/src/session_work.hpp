// What a session knows only while something is under way: an opening handshake, a frame or message
// that did not arrive whole, bytes that are held, an end. A connection at rest has none of it.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "handshake_drafts.hpp"
#include "timtow/session.hpp"
#include "timtow/utf8.hpp"

namespace timtow {

inline Error out_of_memory() noexcept {
  return make_error(errc::no_memory, "out of memory, or of the pool's budget");
}

struct Session::Handshake {
  HeadScanner scanner;
  std::string key;  // client: the one we sent; server: the one that came
  Request request;
  Response response;
  std::vector<std::string> subprotocols;  // that we offered, or were offered
  std::unique_ptr<Codec> codec;           // server: that the request allows,
  std::string extension;                  // and how the response says so
  bool is_upgrade = false;

  // Drafts 75 and 76.
  HixieTerms terms;
  HixieChallenge challenge{};      // server: as it comes; client: the answer that is due
  std::size_t challenge_size = 0;  // bytes of it that came

  std::vector<std::string_view> offered() const {
    return {subprotocols.begin(), subprotocols.end()};
  }
};

// What waits beside the output of a peer that reads slowly.
struct Session::Backlog {
  Backlog(Pool& from, Traffic& counts) noexcept : pool(from), traffic(counts) {}
  Backlog(const Backlog&) = delete;
  Backlog& operator=(const Backlog&) = delete;
  ~Backlog() {
    while (!messages.empty()) pop();
  }

  // Takes the message, which has been charged to the pool, and lets others go for it as the limits
  // say.
  void add(PreparedMessage message, const Limits& limits);
  void pop() noexcept;  // the first

  static std::size_t size_of(const PreparedMessage& message) noexcept {
    return message.message().payload.size();
  }
  void forget(const PreparedMessage& message) noexcept {
    bytes -= size_of(message);
    pool.refund(size_of(message));
  }

  Pool& pool;
  Traffic& traffic;
  std::list<PreparedMessage> messages;
  std::unordered_map<std::uint64_t, std::list<PreparedMessage>::iterator> latest;  // of each topic
  std::size_t bytes = 0;
  std::array<std::byte, max_control_payload> pong;  // to the last ping that came
  std::size_t pong_size = 0;
  bool pong_due = false;
};

struct Session::Work final : Pool::Record {
  explicit Work(Pool& pool) noexcept : carry(pool), held(pool), message(pool) {}

  // Whether nothing is in it that has to stay.
  bool is_at_rest() const noexcept {
    return carry.data() == nullptr && held.data() == nullptr && message.data() == nullptr &&
           handshake == nullptr && subprotocol.empty() && codec == nullptr && backlog == nullptr;
  }

  Buffer carry;    // an atom (a head, a frame's header, a control frame) that did not arrive whole
  Buffer held;     // input that hold() kept; input_ is its tail
  Buffer message;  // what came of a message that did not arrive whole
  bool carry_done = false;    // what an event shows of carry,
  bool message_done = false;  // or of message, may go

  FrameHeader frame;
  std::uint64_t frame_left = 0;  // bytes of this frame's payload still to come
  std::size_t quiet_bytes = 0;   // of a frame since the last sign of life
  TimePoint begun = never;       // the message, or frame, that is coming; as deadline() saw it

  MessageType message_type = MessageType::binary;
  bool first_piece = false;  // streaming: no piece of this message was handed out yet
  Utf8Checker utf8;
  std::uint32_t fragments = 0;
  std::uint64_t message_size = 0;  // bytes announced by the frames of this message so far

  // Drafts 75 and 76: what comes next of a frame. Its length, if it tells one, is frame_left.
  enum class HixieNext : std::uint8_t { type, length, counted, text, other_text };
  HixieNext hixie_next = HixieNext::type;
  std::byte hixie_type{};
  std::uint8_t hixie_length_bytes = 0;
  std::unique_ptr<Codec> codec;       // if one was agreed on
  bool compressed = false;            // so is the message that comes
  bool sends_compressed = false;      // so is the message that send_piece() has begun
  std::size_t unmasked = 0;           // bytes at the front of input_ that are, but were not taken
  std::uint64_t compressed_size = 0;  // bytes of this message that were taken

  std::unique_ptr<Handshake> handshake;
  std::unique_ptr<Backlog> backlog;  // while there is any
  std::string subprotocol;

  Error error;
  Closed closed;
};

[[gnu::always_inline]] inline errc Session::put_frame(Opcode opcode, bool fin,
                                                      Bytes payload) noexcept {
  if (is_client_) return put_masked(opcode, fin, payload);
  const auto first = static_cast<std::byte>((fin ? 0x80U : 0U) | static_cast<unsigned>(opcode));
  return payload.size() <= max_control_payload ? put_short(first, payload)
                                               : put_long(first, payload);
}

}  // namespace timtow
