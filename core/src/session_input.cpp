// Session: frames in, events out. This is the path every message takes.
#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "session_work.hpp"
#include "timtow/mask.hpp"
#include "timtow/session.hpp"

namespace timtow {
namespace {

// A message this far from complete is read into the place where it stays.
constexpr std::uint64_t worth_reading_in_place = 16 * 1024;
constexpr std::size_t usual_read = 64 * 1024;
// More at once would not be in a near cache any more when it is unmasked.
constexpr std::size_t largest_read = 256 * 1024;
// After one of these the next is likely to be as large; its beginning is read with so many bytes,
// and its memory grows faster.
constexpr std::size_t large_message = 64 * 1024;
constexpr std::size_t first_read = 4096;
// Room is made ahead only for messages of which so much has come: a header alone, whatever length
// it announces, takes none.
constexpr std::size_t worth_room = 2048;

// Longer text is unmasked and checked in parts of this size: those that are ASCII need no check,
// and the check of the others finds them in the nearest cache.
constexpr std::size_t text_part = 16 * 1024;
static_assert(text_part % sizeof(MaskingKey) == 0);

Error broken(const char* sentence) noexcept {
  return make_error(errc::protocol_error, "%s", sentence);
}

}  // namespace

void Session::receive(MutableBytes bytes) noexcept {
  options_.traffic.bytes_received += bytes.size();
  if (state_.is_plain() && input_.empty()) [[likely]]
    input_ = bytes;
  else
    receive_more(bytes);
}

void Session::receive_more(MutableBytes bytes) noexcept {
  recycle();
  if (state_.phase == Phase::ended || state_.input_ended) {
    if (!bytes.empty()) said_all_ = false;
    return;
  }
  if (input_.empty()) {
    if (state_.holding) release_held();
    input_ = bytes;
    return;
  }
  hold();
  if (state_.phase == Phase::ended) return;  // out of memory
  Buffer& held = work_->held;
  if (!held.append(bytes.data(), bytes.size())) return fail_for_memory();
  input_ = {held.data() + held.size() - input_.size() - bytes.size(), input_.size() + bytes.size()};
}

void Session::hold() noexcept {
  recycle();
  if (input_.empty()) return;
  if (!need_work()) return fail_for_memory();
  Buffer& held = work_->held;
  if (!state_.holding) {
    state_.holding = true;
    if (!held.append(input_.data(), input_.size())) return fail_for_memory();
  } else {
    const std::size_t read = held.size() - input_.size();
    if (read <= input_.size()) return;
    held.drop(read);  // once it is the larger part, so that a byte is moved about once
  }
  input_ = {held.data(), held.size()};
}

void Session::release_held() noexcept {
  state_.holding = false;
  work_->held.release();
}

MutableBytes Session::best_space(MutableBytes usual) noexcept {
  if (!in_payload_) {
    grows_fast_ = true;
    expects_large_ = false;  // a guess, made anew by each large message
    return usual.first(std::min(usual.size(), first_read));
  }
  Work& work = *work_;
  if (state_.streaming || work.compressed || work.frame_left < worth_reading_in_place ||
      !input_.empty())
    return usual;
  const auto left = static_cast<std::size_t>(work.frame_left);
  Buffer& message = work.message;
  if (message.size() < worth_room) return usual;
  const std::size_t least = grows_fast_ ? largest_read : usual_read;
  const std::size_t wanted = std::min(left, std::max(least, message.size()));
  if (message.reserve(wanted + fast_to_read) == nullptr)
    return usual;  // what is read there will be refused
  const MutableBytes room = message.aligned_room(fast_to_read);
  return room.first(std::min({wanted, room.size(), largest_read}));
}

std::optional<Event> Session::next() noexcept {
  if (state_.is_plain()) [[likely]] {
    if (input_.empty()) return std::nullopt;
    if (auto event = next_whole_message()) return event;
  }
  return next_of_any();
}

std::optional<Event> Session::next_of_any() noexcept {
  if (need_work()) {
    auto event = next_at_work();
    if (event) options_.traffic.count(*event);
    rest();
    if (event) return event;
  } else if (state_.phase != Phase::ended) {
    fail_for_memory();
  }
  return take_ending();
}

std::optional<Event> Session::next_at_work() noexcept {
  recycle();
  if (state_.paused && is_open()) {
    hold();
    return std::nullopt;
  }
  if (state_.phase == Phase::open) {
    if (auto event = state_.hixie ? next_hixie() : next_frame()) {
      if (!state_.in_message) work_->begun = never;  // what comes behind it has its own time
      return event;
    }
  } else if (state_.phase == Phase::head) {
    if (auto event = next_head()) return event;
  } else if (state_.phase == Phase::deciding) {
    hold();
  }
  if (state_.phase == Phase::proving)
    if (auto event = next_challenge()) return event;
  if (state_.input_ended && state_.phase != Phase::deciding && state_.phase != Phase::ended) {
    if (ends_by_stream() && !state_.in_message) return end_by_peer();
    set_error(is_opening() ? make_error(errc::handshake_incomplete,
                                        "the stream ended inside the opening handshake")
                           : make_error(errc::connection_lost,
                                        "the peer ended the stream without a close frame"));
    end();
  }
  if (input_.empty() && state_.holding) release_held();
  return std::nullopt;
}

// Gives back the memory of what the last event showed.
void Session::recycle() noexcept {
  if (!state_.done) [[likely]]
    return;
  state_.done = false;
  Work& work = *work_;
  if (work.message_done) {
    work.message_done = false;
    work.message.release();
  }
  if (work.carry_done) {
    work.carry_done = false;
    state_.in_atom = false;
    work.carry.release();
    work.handshake.reset();
  }
}

// The next `size` bytes of an atom in one piece, or null when they have not all arrived. What came
// of it waits in Work::carry.
std::byte* Session::contiguous(std::size_t size) noexcept {
  Buffer& carry = work_->carry;
  if (!state_.in_atom && input_.size() >= size) [[likely]]
    return input_.data();
  if (carry.size() < size) {
    const std::size_t part = std::min(size - carry.size(), input_.size());
    if (!carry.append(input_.data(), part)) {
      fail_for_memory();
      return nullptr;
    }
    state_.in_atom = !carry.empty();
    input_ = input_.subspan(part);
    if (carry.size() < size) return nullptr;
  }
  return carry.data();
}

// The atom of `size` bytes that contiguous() gave has been read. Its bytes stay where they are
// until recycle().
void Session::consume(std::size_t size) noexcept {
  if (!state_.in_atom)
    input_ = input_.subspan(size);
  else
    state_.done = work_->carry_done = true;
}

// The message that most messages are: unfragmented, up to 65,535 bytes (a text: up to one part),
// whole in the input, and with nothing under way. Whatever else it is, or is wrong with it,
// is found in next_frame().
std::optional<Event> Session::next_whole_message() noexcept {
  const std::size_t mask_size = is_client_ ? 0 : 4;
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
  if (input_.size() < header_size + length || length > options_.limits.message_bytes)
    return std::nullopt;

  const auto type = static_cast<MessageType>(first & 0xFU);
  const MutableBytes payload = input_.subspan(header_size, length);
  bool ascii = false;
  if (mask_size != 0) {
    MaskingKey key;
    std::memcpy(key.data(), payload.data() - mask_size, mask_size);
    ascii = mask(payload.data(), payload.data(), length, key);
  }
  if (type == MessageType::text && !ascii) {
    Utf8Checker utf8;
    const std::size_t good = utf8.check(payload);
    if (!utf8.complete()) {
      fail_text(good);
      return std::nullopt;
    }
  }
  input_ = input_.subspan(header_size + length);
  heard_ = true;
  ++options_.traffic.messages_received;
  options_.traffic.message_bytes_received += length;
  return Event{Message{type, payload}};
}

std::optional<Event> Session::next_frame() noexcept {
  do {
    if (!in_payload_) {
      if (!read_frame_header()) break;
      if (is_control(work_->frame.opcode)) return read_control_frame();
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
  const FrameHeader& frame = work_->frame = FrameHeader::read(wire);
  if (is_control(frame.opcode)) return true;

  if (!FrameHeader::has_proper_length(wire, frame.length)) {
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
  const bool compressed = is_compressing() && (first & 0x70U) == 0x40;  // RSV1
  if ((first & 0x70U) != 0 && !compressed) {
    fault = "a reserved bit is set, and no extension was negotiated that gives it a meaning";
  } else if (!is_known(opcode)) {
    fault = "a frame has a reserved opcode";
  } else if (compressed && (is_control(opcode) || opcode == Opcode::continuation)) {
    fault = "RSV1 is set in a frame that begins no message";
  } else if (masked == is_client_) {
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
  Work& work = *work_;
  if (work.frame.opcode != Opcode::continuation) {
    work.message_type = static_cast<MessageType>(work.frame.opcode);
    state_.in_message = true;
    work.first_piece = true;
    work.message_size = 0;
    work.compressed = work.frame.rsv != 0;
    work.compressed_size = 0;
    work.fragments = 0;
    work.utf8.reset();
  }
  if (++work.fragments > std::max<std::size_t>(options_.limits.message_fragments, 1)) {
    fail(close_code::policy_violation,
         make_error(errc::too_many_fragments,
                    "a message in over %zu fragments, which is Limits::message_fragments",
                    options_.limits.message_fragments));
    return false;
  }
  if (!work.compressed) {  // else it shows when it is decompressed
    if (work.frame.length > options_.limits.message_bytes - work.message_size) {
      fail_size(work.message_size + work.frame.length);
      return false;
    }
    work.message_size += work.frame.length;
  }
  work.frame_left = work.frame.length;
  in_payload_ = true;
  return true;
}

// Takes what has come of a data frame's payload. An event when it completes a message, or is a
// piece of one; nothing when more has to come, or the session failed.
std::optional<Event> Session::read_payload() noexcept {
  Work& work = *work_;
  if (work.compressed) return read_compressed();
  Buffer& message = work.message;
  const MutableBytes came = input_.first(
      static_cast<std::size_t>(std::min<std::uint64_t>(work.frame_left, input_.size())));
  input_ = input_.subspan(came.size());
  // What was read to best_space() lies a little behind where it belongs.
  const bool in_place = message.has_in_room(came.data());
  const MutableBytes payload =
      in_place ? MutableBytes{message.data() + message.size(), came.size()} : came;
  const std::size_t good = unmask_and_check(payload, came.data());
  work.frame_left -= payload.size();

  bool last = false;
  if (work.frame_left == 0) {
    in_payload_ = false;
    heard_ = true;
    work.quiet_bytes = 0;
    last = work.frame.fin;
    state_.in_message = !last;
  } else {
    note_quiet_bytes(payload.size());
  }

  const bool broken_text = good != payload.size() || (last && !work.utf8.complete());
  if (broken_text) [[unlikely]] {
    fail_text(work.message_size - work.frame_left - payload.size() + good);
    // Whoever streams has seen the good bytes if they came alone, so it sees them now.
    if (!state_.streaming || good == 0) return std::nullopt;
    return Event{Piece{work.message_type, payload.first(good), work.first_piece, false}};
  }

  if (state_.streaming) {
    if (payload.empty() && !last) return std::nullopt;
    const Piece piece{work.message_type, payload, work.first_piece, last};
    work.first_piece = false;
    return Event{piece};
  }
  if (last && work.fragments == 1 && message.data() == nullptr) [[likely]]
    return Event{Message{work.message_type, payload}};

  if (in_place) {
    message.commit(payload.size());
  } else if (!message.append(payload.data(), payload.size())) {
    fail_for_memory();
    return std::nullopt;
  }
  if (!last) return std::nullopt;
  state_.done = work.message_done = true;
  expects_large_ = message.size() >= large_message;
  grows_fast_ = false;
  return Event{Message{work.message_type, {message.data(), message.size()}}};
}

// Counts bytes of a frame that is still coming.
void Session::note_quiet_bytes(std::size_t size) noexcept {
  std::size_t& quiet = work_->quiet_bytes;
  if ((quiet += size) < options_.limits.idle_bytes) return;
  heard_ = true;
  quiet %= std::max<std::size_t>(options_.limits.idle_bytes, 1);  // the same for any split
}

void Session::fail_size(std::uint64_t size) noexcept {
  fail(close_code::message_too_big,
       make_error(errc::message_too_big,
                  "a message of %" PRIu64 " bytes or more; Limits::message_bytes is %zu", size,
                  options_.limits.message_bytes));
}

// Fails for the first byte of a text that is not UTF-8, or for its end inside a character.
void Session::fail_text(std::uint64_t at) noexcept {
  fail(close_code::invalid_payload,
       make_error(errc::invalid_utf8, "a text message is not UTF-8 at its byte %" PRIu64, at));
}

// Unmasks what came to `payload`, the same place or one in front of it; returns how many of the
// bytes are good, which for binary is all. What is behind a bad byte may stay masked.
std::size_t Session::unmask_and_check(MutableBytes payload, const std::byte* came) noexcept {
  Work& work = *work_;
  FrameHeader& frame = work.frame;
  const bool is_binary = work.message_type == MessageType::binary;
  const std::size_t part_size = is_binary ? payload.size() : text_part;
  std::size_t good = 0;
  do {
    const MutableBytes part = payload.subspan(good, std::min(part_size, payload.size() - good));
    bool is_ascii = false;
    if (frame.masked)
      is_ascii = mask(part.data(), came + good, part.size(), frame.key);
    else if (came != payload.data())
      std::memmove(part.data(), came + good, part.size());
    const std::size_t good_in_part =
        is_binary || (is_ascii && work.utf8.complete()) ? part.size() : work.utf8.check(part);
    good += good_in_part;
    if (good_in_part != part.size()) break;
  } while (good != payload.size());
  if (frame.masked && payload.size() != work.frame_left)
    frame.key = rotated(frame.key, payload.size());
  return good;
}

std::optional<Event> Session::read_control_frame() noexcept {
  const FrameHeader& frame = work_->frame;
  const std::size_t header_size = frame.wire_size();
  const auto length = static_cast<std::size_t>(frame.length);
  std::byte* const wire = contiguous(header_size + length);
  if (wire == nullptr) return std::nullopt;
  std::byte* const payload = wire + header_size;
  if (frame.masked) mask(payload, payload, length, frame.key);
  consume(header_size + length);
  heard_ = true;
  switch (frame.opcode) {
    case Opcode::ping: {
      const Bytes answer{payload, length};
      if ((state_.congested ? pong_late(answer) : pong(answer)) == errc::no_memory) {
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
    // 1004 was the code of a frame that is too large, up to draft hybi-10.
    const bool was_one = code == 1004 && version() != ProtocolVersion::rfc6455;
    if (!close_code::may_be_sent(code) && !was_one) {
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
  work_->closed.code = code;
  work_->closed.reason = reason;
  said_all_ = !is_client_ && input_.empty();
  end();
  if (!state_.close_sent && put_close(code, {}) != errc::ok) cut();
  return take_ending();
}

}  // namespace timtow
