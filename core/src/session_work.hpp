// What a session knows only while something is under way: an opening handshake, a frame or message
// that did not arrive whole, bytes that are held, an end. A connection at rest has none of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
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
  bool is_upgrade = false;

  // Drafts 75 and 76.
  HixieTerms terms;
  HixieChallenge challenge{};      // server: as it comes; client: the answer that is due
  std::size_t challenge_size = 0;  // bytes of it that came

  std::vector<std::string_view> offered() const {
    return {subprotocols.begin(), subprotocols.end()};
  }
};

struct Session::Work final : Pool::Record {
  explicit Work(Pool& pool) noexcept : carry(pool), held(pool), message(pool) {}

  // Whether nothing is in it that has to stay.
  bool is_at_rest() const noexcept {
    return carry.data() == nullptr && held.data() == nullptr && message.data() == nullptr &&
           handshake == nullptr && subprotocol.empty();
  }

  Buffer carry;    // an atom (a head, a frame's header, a control frame) that did not arrive whole
  Buffer held;     // input that hold() kept; input_ is its tail
  Buffer message;  // what came of a message that did not arrive whole
  bool carry_done = false;    // what an event shows of carry,
  bool message_done = false;  // or of message, may go

  FrameHeader frame;
  std::uint64_t frame_left = 0;  // bytes of this frame's payload still to come
  std::size_t quiet_bytes = 0;   // of a frame since the last sign of life

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

  std::unique_ptr<Handshake> handshake;
  std::string subprotocol;

  Error error;
  Closed closed;
};

}  // namespace timtow
