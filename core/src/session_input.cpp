// Session: frames in, events out. This is the path every message takes.
#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "masking_key_source.hpp"
#include "session_handshake.hpp"
#include "timtow/mask.hpp"
#include "timtow/session.hpp"

namespace timtow {
namespace {

// A message this far from complete is read into the place where it stays.
constexpr std::uint64_t worth_reading_in_place = 16 * 1024;
constexpr std::size_t usual_read = 64 * 1024;

// Longer text is unmasked and checked in parts of this size: those that are ASCII need no check,
// and the check of the others finds them in the nearest cache.
constexpr std::size_t text_part = 16 * 1024;
static_assert(text_part % sizeof(MaskingKey) == 0);

Error broken(const char* sentence) noexcept {
  return make_error(errc::protocol_error, "%s", sentence);
}

}  // namespace

void Session::receive(MutableBytes bytes) noexcept {
  if (state_.is_plain() && input_.empty()) [[likely]]
    input_ = bytes;
  else
    receive_more(bytes);
}

void Session::receive_more(MutableBytes bytes) noexcept {
  recycle();
  if (state_.phase == Phase::ended || state_.input_ended) return;
  if (input_.empty()) {
    if (state_.holding) release_held();
    input_ = bytes;
    return;
  }
  hold();
  if (state_.phase == Phase::ended) return;  // out of memory
  if (!held_.append(bytes.data(), bytes.size())) return fail_for_memory();
  input_ = {held_.data() + held_.size() - input_.size() - bytes.size(),
            input_.size() + bytes.size()};
}

void Session::hold() noexcept {
  recycle();
  if (input_.empty()) return;
  if (!state_.holding) {
    state_.holding = true;
    if (!held_.append(input_.data(), input_.size())) return fail_for_memory();
  } else {
    const std::size_t read = held_.size() - input_.size();
    if (read <= input_.size()) return;
    held_.drop(read);  // once it is the larger part, so that a byte is moved about once
  }
  input_ = {held_.data(), held_.size()};
}

void Session::release_held() noexcept {
  state_.holding = false;
  held_.release();
}

MutableBytes Session::read_space() noexcept {
  return in_payload_ ? payload_space() : MutableBytes{};
}

MutableBytes Session::payload_space() noexcept {
  if (state_.streaming || frame_left_ < worth_reading_in_place || !input_.empty()) return {};
  const auto left = static_cast<std::size_t>(frame_left_);
  std::byte* const room = message_.reserve(std::min(left, std::max(usual_read, message_.size())));
  if (room == nullptr) return {};  // the read goes elsewhere, and its bytes are refused there
  return {room, std::min(left, message_.room())};
}

std::optional<Event> Session::next() noexcept {
  if (state_.is_plain() && carry_.empty()) [[likely]] {
    if (input_.empty()) return std::nullopt;
    if (auto event = next_whole_message()) return event;
  }
  return next_of_any();
}

std::optional<Event> Session::next_of_any() noexcept {
  recycle();
  if (state_.paused && is_open()) {
    hold();
    return std::nullopt;
  }
  if (state_.phase == Phase::open) {
    if (auto event = next_frame()) return event;
  } else if (state_.phase == Phase::head) {
    if (auto event = next_head()) return event;
  } else if (state_.phase == Phase::deciding) {
    hold();
  }
  if (state_.input_ended && (state_.phase == Phase::open || state_.phase == Phase::head)) {
    error_ =
        state_.phase == Phase::head
            ? make_error(errc::handshake_incomplete,
                         "the stream ended inside the opening handshake")
            : make_error(errc::connection_lost, "the peer ended the stream without a close frame");
    end();
  }
  if (input_.empty()) release_held();
  return take_ending();
}

// Gives back the memory of what the last event showed.
void Session::recycle() noexcept {
  if (!state_.message_done && !state_.carry_done) [[likely]]
    return;
  if (state_.message_done) {
    state_.message_done = false;
    message_.release();
  }
  if (state_.carry_done) {
    state_.carry_done = false;
    carry_.release();
    handshake_.reset();
  }
}

// The next `size` bytes of an atom in one piece, or null when they have not all arrived. What came
// of it waits in carry_.
std::byte* Session::contiguous(std::size_t size) noexcept {
  if (carry_.empty() && input_.size() >= size) [[likely]]
    return input_.data();
  if (carry_.size() < size) {
    const std::size_t part = std::min(size - carry_.size(), input_.size());
    if (!carry_.append(input_.data(), part)) {
      fail_for_memory();
      return nullptr;
    }
    input_ = input_.subspan(part);
    if (carry_.size() < size) return nullptr;
  }
  return carry_.data();
}

// The atom of `size` bytes that contiguous() gave has been read. Its bytes stay where they are
// until recycle().
void Session::consume(std::size_t size) noexcept {
  if (carry_.empty())
    input_ = input_.subspan(size);
  else
    state_.carry_done = true;
}

// The message that most messages are: unfragmented, up to 65,535 bytes (a text: up to one part),
// whole in the input, and with nothing under way. Whatever else it is, or is wrong with it,
// is found in next_frame().
std::optional<Event> Session::next_whole_message() noexcept {
  const std::size_t mask_size = role_ == Role::server ? 4 : 0;
  if (input_.size() < 2) return std::nullopt;
  const auto first = std::to_integer<unsigned>(input_[0]);
  if (first != 0x81 && first != 0x82) return std::nullopt;  // FIN, with text or binary
  std::size_t header_size = 2 + mask_size;
  std::size_t length = std::to_integer<std::size_t>(input_[1]) ^ (mask_size != 0 ? 0x80U : 0U);
  if (length == 126 && input_.size() >= 4) {
    header_size += 2;
    length = detail::load_big_endian<std::uint16_t>(&input_[2]);
    if (length < 126 || (length > text_part && first == 0x81)) return std::nullopt;
  } else if (length >= 126) {
    return std::nullopt;
  }
  if (input_.size() < header_size + length || length > limits_.message_bytes) return std::nullopt;

  const auto type = static_cast<MessageType>(first & 0xFU);
  const MutableBytes payload = input_.subspan(header_size, length);
  bool ascii = false;
  if (mask_size != 0) {
    MaskingKey key;
    std::memcpy(key.data(), payload.data() - mask_size, mask_size);
    ascii = mask(payload.data(), payload.data(), length, key);
  }
  if (type == MessageType::text && !ascii) {
    utf8_.reset();
    const std::size_t good = utf8_.check(payload);
    if (!utf8_.complete()) {
      fail_text(good);
      return std::nullopt;
    }
  }
  input_ = input_.subspan(header_size + length);
  heard_ = true;
  return Event{Message{type, payload}};
}

std::optional<Event> Session::next_frame() noexcept {
  do {
    if (!in_payload_) {
      if (!read_frame_header()) break;
      if (is_control(frame_.opcode)) return read_control_frame();
    }
    if (auto event = read_payload()) return event;
  } while (state_.phase == Phase::open && !input_.empty());
  return std::nullopt;
}

// Reads and judges a frame's header. That of a data frame is consumed and in_payload_ set; that of
// a control frame stays, to be one atom with its payload. False when it is incomplete or bad.
bool Session::read_frame_header() noexcept {
  recycle();
  const std::byte* wire = contiguous(2);
  if (wire == nullptr || !check_frame_start(wire)) return false;
  const std::size_t size = FrameHeader::wire_size(wire);
  wire = contiguous(size);
  if (wire == nullptr) return false;
  frame_ = FrameHeader::read(wire);
  if (is_control(frame_.opcode)) return true;

  if (!FrameHeader::has_proper_length(wire, frame_.length)) {
    fail(close_code::protocol_error, broken("a frame's length is not in its shortest form"));
    return false;
  }
  consume(size);
  recycle();
  return begin_data_frame();
}

// Judges the first two bytes of a frame (section 5.2).
bool Session::check_frame_start(const std::byte* wire) noexcept {
  const auto first = std::to_integer<unsigned>(wire[0]);
  const auto second = std::to_integer<unsigned>(wire[1]);
  const auto opcode = static_cast<Opcode>(first & 0xFU);
  const bool masked = (second & 0x80U) != 0;
  const char* fault = nullptr;
  if ((first & 0x70U) != 0) {
    fault = "a reserved bit is set, and no extension was negotiated that gives it a meaning";
  } else if (!is_known(opcode)) {
    fault = "a frame has a reserved opcode";
  } else if (masked != (role_ == Role::server)) {
    fault = masked ? "a server's frame is masked" : "a client's frame is not masked";
  } else if (is_control(opcode)) {
    if ((first & 0x80U) == 0)
      fault = "a control frame is fragmented";
    else if ((second & 0x7FU) > max_control_payload)
      fault = "a control frame's payload is over 125 bytes";
  } else if (state_.in_message != (opcode == Opcode::continuation)) {
    fault = state_.in_message ? "a new message begins inside a fragmented one"
                              : "a continuation continues no message";
  }
  if (fault == nullptr) [[likely]]
    return true;
  fail(close_code::protocol_error, broken(fault));
  return false;
}

bool Session::begin_data_frame() noexcept {
  if (frame_.opcode != Opcode::continuation) {
    message_type_ = static_cast<MessageType>(frame_.opcode);
    state_.in_message = true;
    first_piece_ = true;
    message_size_ = 0;
    fragments_ = 0;
    utf8_.reset();
  }
  if (++fragments_ > std::max<std::size_t>(limits_.message_fragments, 1)) {
    fail(close_code::policy_violation,
         make_error(errc::too_many_fragments,
                    "a message in over %zu fragments, which is Limits::message_fragments",
                    limits_.message_fragments));
    return false;
  }
  if (frame_.length > limits_.message_bytes - message_size_) {
    fail(close_code::message_too_big,
         make_error(errc::message_too_big,
                    "a message of %" PRIu64 " bytes or more; Limits::message_bytes is %zu",
                    message_size_ + frame_.length, limits_.message_bytes));
    return false;
  }
  message_size_ += frame_.length;
  frame_left_ = frame_.length;
  in_payload_ = true;
  return true;
}

// Takes what has come of a data frame's payload. An event when it completes a message, or is a
// piece of one; nothing when more has to come, or the session failed.
std::optional<Event> Session::read_payload() noexcept {
  const MutableBytes payload =
      input_.first(static_cast<std::size_t>(std::min<std::uint64_t>(frame_left_, input_.size())));
  input_ = input_.subspan(payload.size());
  const std::size_t good = unmask_and_check(payload);
  frame_left_ -= payload.size();

  bool last = false;
  if (frame_left_ == 0) {
    in_payload_ = false;
    heard_ = true;
    quiet_bytes_ = 0;
    last = frame_.fin;
    state_.in_message = !last;
  } else if ((quiet_bytes_ += payload.size()) >= limits_.idle_bytes) {
    heard_ = true;
    quiet_bytes_ %= std::max<std::size_t>(limits_.idle_bytes, 1);  // the same for any split
  }

  const bool broken_text = good != payload.size() || (last && !utf8_.complete());
  if (broken_text) [[unlikely]] {
    fail_text(message_size_ - frame_left_ - payload.size() + good);
    // Whoever streams has seen the good bytes if they came alone, so it sees them now.
    if (!state_.streaming || good == 0) return std::nullopt;
    return Event{Piece{message_type_, payload.first(good), first_piece_, false}};
  }

  if (state_.streaming) {
    if (payload.empty() && !last) return std::nullopt;
    const Piece piece{message_type_, payload, first_piece_, last};
    first_piece_ = false;
    return Event{piece};
  }
  if (last && fragments_ == 1 && message_.data() == nullptr) [[likely]]
    return Event{Message{message_type_, payload}};

  const bool in_place = payload.data() == message_.data() + message_.size();
  if (in_place && payload.size() <= message_.room()) {
    message_.commit(payload.size());
  } else if (!message_.append(payload.data(), payload.size())) {
    fail_for_memory();
    return std::nullopt;
  }
  if (!last) return std::nullopt;
  state_.message_done = true;
  return Event{Message{message_type_, {message_.data(), message_.size()}}};
}

// Fails for the first byte of a text that is not UTF-8, or for its end inside a character.
void Session::fail_text(std::uint64_t at) noexcept {
  fail(close_code::invalid_payload,
       make_error(errc::invalid_utf8, "a text message is not UTF-8 at its byte %" PRIu64, at));
}

// Unmasks in place; returns how many of the bytes are good, which for binary is all. What is behind
// a bad byte may stay masked.
std::size_t Session::unmask_and_check(MutableBytes payload) noexcept {
  const bool is_binary = message_type_ == MessageType::binary;
  const std::size_t part_size = is_binary ? payload.size() : text_part;
  std::size_t good = 0;
  do {
    const MutableBytes part = payload.subspan(good, std::min(part_size, payload.size() - good));
    const bool is_ascii = frame_.masked && mask(part.data(), part.data(), part.size(), frame_.key);
    const std::size_t good_in_part =
        is_binary || (is_ascii && utf8_.complete()) ? part.size() : utf8_.check(part);
    good += good_in_part;
    if (good_in_part != part.size()) break;
  } while (good != payload.size());
  if (frame_.masked && payload.size() != frame_left_)
    frame_.key = rotated(frame_.key, payload.size());
  return good;
}

std::optional<Event> Session::read_control_frame() noexcept {
  const std::size_t header_size = frame_.wire_size();
  const auto length = static_cast<std::size_t>(frame_.length);
  std::byte* const wire = contiguous(header_size + length);
  if (wire == nullptr) return std::nullopt;
  std::byte* const payload = wire + header_size;
  if (frame_.masked) mask(payload, payload, length, frame_.key);
  consume(header_size + length);
  heard_ = true;
  switch (frame_.opcode) {
    case Opcode::ping: {
      if (pong({payload, length}) == errc::no_memory) {
        fail_for_memory();
        return std::nullopt;
      }
      return Event{Ping{{payload, length}}};
    }
    case Opcode::pong:
      return Event{Pong{{payload, length}}};
    default:
      return read_close_frame({payload, length});
  }
}

// The closing handshake (section 5.5.1): judged, answered if we had not begun it, and then over.
std::optional<Event> Session::read_close_frame(Bytes payload) noexcept {
  CloseCode code = close_code::none_received;
  std::string_view reason;
  if (payload.size() == 1) {
    fail(close_code::protocol_error, broken("a close frame holds half a close code"));
    return std::nullopt;
  }
  if (!payload.empty()) {
    code = static_cast<CloseCode>(detail::load_big_endian<CloseCode>(payload.data()));
    reason = as_text(payload.subspan(2));
    if (!close_code::may_be_sent(code)) {
      fail(close_code::protocol_error,
           make_error(errc::protocol_error, "a close frame holds %u, which is no close code",
                      unsigned{code}));
      return std::nullopt;
    }
    if (!is_utf8(payload.subspan(2))) {
      fail(close_code::invalid_payload,
           make_error(errc::invalid_utf8, "the reason in a close frame is not UTF-8"));
      return std::nullopt;
    }
  }
  closed_.code = code;
  closed_.reason = reason;
  end();
  if (!close_sent_ && put_close(code, {}) != errc::ok) cut();
  return take_ending();
}

}  // namespace timtow
