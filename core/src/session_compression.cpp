// Session: messages that a Codec compresses and decompresses (RFC 7692).
#include <algorithm>
#include <cinttypes>
#include <new>
#include <utility>

#include "session_work.hpp"
#include "timtow/mask.hpp"

namespace timtow {
namespace {

// So much of what is compressed is looked at together. Behind each such part of a message the ratio
// is judged, so that this happens at the same bytes however they came.
constexpr std::size_t compressed_part = 1024;
// What a piece of a streamed message has at most.
constexpr std::size_t piece_room = 16 * 1024;
// What a message that is gathered grows by, at least.
constexpr std::size_t gather_room = 4096;
// A frame up to this size is copied to those before it; a larger one stays where it was made.
constexpr std::size_t worth_adopting = 1024;

}  // namespace

// -- Input ----------------------------------------------------------------------------------------

// Unmasks the next part of what has come, if the one before was taken.
void Session::unmask_compressed() noexcept {
  Work& work = *work_;
  if (work.unmasked != 0) return;
  const std::size_t to_border = compressed_part - work.compressed_size % compressed_part;
  const auto came =
      static_cast<std::size_t>(std::min<std::uint64_t>(work.frame_left, input_.size()));
  work.unmasked = std::min(came, to_border);
  FrameHeader& frame = work.frame;
  if (!frame.masked) return;
  mask(input_.data(), input_.data(), work.unmasked, frame.key);
  frame.key = rotated(frame.key, work.unmasked);
}

// Takes what has come of a compressed frame's payload; as read_payload().
std::optional<Event> Session::read_compressed() noexcept {
  Work& work = *work_;
  Buffer& message = work.message;
  while (in_payload_) {
    unmask_compressed();
    const std::size_t wanted = state_.streaming ? piece_room : gather_room;
    if (message.room() < wanted / 4 && message.reserve(wanted) == nullptr) {
      fail_for_memory();
      return std::nullopt;
    }
    // One more than allowed shows that there is more.
    const std::uint64_t allowed = options_.limits.message_bytes - work.message_size;
    std::size_t room = message.room();
    if (room > allowed) room = static_cast<std::size_t>(allowed) + 1;
    const MutableBytes to{message.data() + message.size(), room};
    const bool is_last = work.frame.fin && work.unmasked == work.frame_left;
    const auto [result, taken, made] =
        work.codec->decompress(input_.first(work.unmasked), is_last, to);
    take_compressed(taken);

    // Whoever streams gets the good bytes in front of what is wrong, as if they had come alone.
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(made, allowed));
    const bool is_text = work.message_type == MessageType::text;
    const std::size_t good = is_text ? work.utf8.check(to.first(size)) : size;
    work.message_size += size;
    message.commit(good);
    const bool done = end_compressed_frame(result);
    const bool shows_piece = state_.streaming && (done || !message.empty());
    if (shows_piece) state_.done = work.message_done = true;
    if (!check_decompressed(result, size - good, made > allowed, done)) {
      if (!shows_piece || message.empty()) return std::nullopt;
      return Event{Piece{work.message_type, message.bytes(), work.first_piece, false}};
    }
    if (shows_piece)
      return Event{
          Piece{work.message_type, message.bytes(), std::exchange(work.first_piece, false), done}};
    if (done) {
      state_.done = work.message_done = true;
      return Event{Message{work.message_type, message.bytes()}};
    }
    if (result == Codec::Result::taken && input_.empty()) break;
  }
  return std::nullopt;
}

void Session::take_compressed(std::size_t size) noexcept {
  Work& work = *work_;
  input_ = input_.subspan(size);
  work.unmasked -= size;
  work.frame_left -= size;
  work.compressed_size += size;
  note_quiet_bytes(size);
}

// True when the message is over, and so far good.
bool Session::end_compressed_frame(Codec::Result result) noexcept {
  if (result != Codec::Result::taken || work_->frame_left != 0) return false;
  in_payload_ = false;
  heard_ = true;
  work_->quiet_bytes = 0;
  state_.in_message = !work_->frame.fin;
  return work_->frame.fin;
}

// Judges what was made last, in the order in which its bytes come. False when the session failed.
bool Session::check_decompressed(Codec::Result result, std::size_t bad_text, bool is_too_big,
                                 bool done) noexcept {
  const Work& work = *work_;
  const Limits& limits = options_.limits;
  if (bad_text != 0) {
    fail_text(work.message_size - bad_text);
  } else if (is_too_big) {
    fail_size(work.message_size + 1);
  } else if (result == Codec::Result::broken) {
    fail(close_code::invalid_payload,
         make_error(errc::bad_compression,
                    "a message cannot be decompressed at its byte %" PRIu64 " on the wire",
                    work.compressed_size));
  } else if (result == Codec::Result::no_memory) {
    fail_for_memory();
  } else if (exceeds_ratio(done)) {
    fail(close_code::message_too_big,
         make_error(errc::inflate_ratio,
                    "a message of %" PRIu64 " bytes came as %" PRIu64
                    "; Limits::inflate_ratio is %zu",
                    work.message_size, work.compressed_size, limits.inflate_ratio));
  } else if (done && !work.utf8.complete()) {
    fail_text(work.message_size);
  } else {
    return true;
  }
  return false;
}

bool Session::exceeds_ratio(bool done) const noexcept {
  const Work& work = *work_;
  const Limits& limits = options_.limits;
  const bool is_due = done || (work.unmasked == 0 && work.compressed_size % compressed_part == 0);
  return is_due && limits.inflate_ratio != 0 && work.message_size > limits.inflate_free &&
         work.message_size / limits.inflate_ratio > work.compressed_size;
}

// -- Output ---------------------------------------------------------------------------------------

errc Session::send_specially(const Message& message) noexcept {
  if (is_slow()) return send_slowly(message);
  const errc refused = check_output(message.payload.size());
  if (refused != errc::ok) return send_otherwise(refused, message);
  if ((sends_specially_ & in_a_message) != 0) return errc::message_unfinished;
  const auto opcode = static_cast<Opcode>(message.type);
  return is_compressing() && work_->codec->is_worth_compressing(message.payload.size())
             ? put_compressed(opcode, true, message.payload)
             : put_frame(opcode, true, message.payload);
}

errc Session::send_specially(const PreparedMessage& prepared) noexcept {
  if ((sends_specially_ & in_a_message) != 0) return errc::message_unfinished;
  Codec& codec = *work_->codec;
  const Message message = prepared.message();
  if (!codec.is_worth_compressing(message.payload.size()))
    return put_shared(prepared.shared(), prepared.frame().size(), message);
  if (codec.form() == 0) return send_specially(message);
  try {
    const auto [bytes, size] = prepared.compressed(codec, outbox_.pool());
    return put_shared(bytes, size, message);
  } catch (const std::bad_alloc&) {
    return errc::no_memory;
  }
}

errc Session::put_piece(Opcode opcode, bool last, Bytes payload) noexcept {
  if (opcode != Opcode::continuation)
    work_->sends_compressed = !last || work_->codec->is_worth_compressing(payload.size());
  return work_->sends_compressed ? put_compressed(opcode, last, payload)
                                 : put_frame(opcode, last, payload);
}

// Queues a frame of the payload compressed, or as it is where that is smaller.
errc Session::put_compressed(Opcode opcode, bool fin, Bytes payload) noexcept {
  const bool is_first = opcode != Opcode::continuation;
  FrameHeader header{.fin = fin,
                     .rsv = static_cast<std::uint8_t>(is_first ? rsv1 : 0U),
                     .opcode = opcode,
                     .masked = is_client_};
  if (is_client_ && !next_masking_key(header.key)) return errc::no_entropy;

  Codec& codec = *work_->codec;
  Buffer frame{outbox_.pool()};
  if (frame.reserve(max_frame_header) == nullptr) return errc::no_memory;
  frame.commit(max_frame_header);  // of which the header will be the end
  if (!codec.compress(payload, fin, frame)) return errc::no_memory;
  header.length = frame.size() - max_frame_header;
  if (is_first && fin && codec.form() != 0 && header.length >= payload.size())
    return put_frame(opcode, true, payload);

  std::byte* const body = frame.data() + max_frame_header;
  std::byte* const start = body - header.wire_size();
  header.write(start);
  if (is_client_) mask(body, body, static_cast<std::size_t>(header.length), header.key);
  const Bytes bytes{start, frame.data() + frame.size()};
  const bool queued =
      bytes.size() <= worth_adopting ? outbox_.append(bytes) : outbox_.adopt(frame, bytes);
  if (!queued) {
    codec.forget();  // for the peer will not know it
    return errc::no_memory;
  }
  note_frame(payload);
  return errc::ok;
}

}  // namespace timtow
