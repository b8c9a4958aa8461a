// Session: the frames of draft-hixie-thewebsocketprotocol-75 and -76, and what is left of the
// latter's opening handshake when the heads are done.
//
// A frame is 0x00, text, 0xFF. Others are read and dropped: those of another type below 0x80 end
// with 0xFF as well; those from 0x80 on tell their length, seven bits a byte. In -76 the frame 0xFF
// of no length is the closing handshake; in -75 the end of the stream is all there is.
#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "session_work.hpp"
#include "timtow/digest.hpp"

namespace timtow {
namespace {

constexpr std::byte text_begin{0x00};
constexpr std::byte text_end{0xFF};
constexpr std::byte closing_frame[] = {std::byte{0xFF}, std::byte{0x00}};
// 63 bits. Zeros in front of a length are no length, and there could be no end of them.
constexpr unsigned most_length_bytes = 9;

}  // namespace

// -- The opening handshake ------------------------------------------------------------------------

Error Session::request_hixie(const ClientRequest& request, Handshake& handshake) {
  std::array<MaskingKey, hixie_key_randomness / sizeof(MaskingKey)> random;
  for (auto& part : random)
    if (!next_masking_key(part))
      return make_error(errc::no_entropy, "the system gives no randomness for the keys");
  const HixieKeys keys = hixie_keys(std::as_bytes(std::span{random}));
  handshake.terms = hixie_terms(request);
  handshake.challenge = md5(keys.challenge);
  if (!put_text(format_hixie_request(request, handshake.terms, keys))) return out_of_memory();
  return {};
}

// -76: what comes behind the heads. Of a client eight bytes, by which its challenge is whole; of a
// server the 16 bytes that answer it, each of which is judged as it comes.
std::optional<Event> Session::next_challenge() noexcept {
  Handshake& handshake = *work_->handshake;
  for (; !input_.empty() && handshake.challenge_size < handshake.challenge.size();
       input_ = input_.subspan(1)) {
    std::byte& expected = handshake.challenge[handshake.challenge_size];
    if (is_client_ && expected != input_.front()) {
      fail_handshake(make_error(errc::bad_response,
                                "the answer to our challenge is wrong: is this a WebSocket "
                                "server?"));
      return std::nullopt;
    }
    expected = input_.front();
    ++handshake.challenge_size;
  }
  if (handshake.challenge_size < handshake.challenge.size()) return std::nullopt;
  if (!is_client_ && !outbox_.append(md5(handshake.challenge))) {
    fail_for_memory();
    return std::nullopt;
  }
  open();
  state_.done = work_->carry_done = true;  // the event shows what is in it, or nobody needs it
  return is_client_ ? Event{&handshake.response} : Event{Opened{}};
}

// -- Input ----------------------------------------------------------------------------------------

std::optional<Event> Session::next_hixie() noexcept {
  using Next = Work::HixieNext;
  while (state_.phase == Phase::open && !input_.empty()) {
    switch (work_->hixie_next) {
      case Next::type:
        begin_hixie_frame();
        break;
      case Next::length:
        if (auto event = read_hixie_length()) return event;
        break;
      case Next::counted:
        skip_hixie_frame();
        break;
      case Next::text:
      case Next::other_text:
        if (auto event = read_hixie_text()) return event;
        break;
    }
  }
  return std::nullopt;
}

void Session::begin_hixie_frame() noexcept {
  using Next = Work::HixieNext;
  Work& work = *work_;
  const std::byte type = input_.front();
  input_ = input_.subspan(1);
  state_.in_message = true;
  work.hixie_type = type;
  work.hixie_length_bytes = 0;
  work.frame_left = 0;
  work.message_size = 0;
  work.message_type = MessageType::text;
  work.first_piece = true;
  work.utf8.reset();
  if (type >= std::byte{0x80})
    work.hixie_next = Next::length;
  else
    work.hixie_next = type == text_begin ? Next::text : Next::other_text;
}

void Session::end_hixie_frame() noexcept {
  work_->hixie_next = Work::HixieNext::type;
  work_->quiet_bytes = 0;
  work_->begun = never;
  state_.in_message = false;
  heard_ = true;
}

// So many bytes of a frame have come that is not at its end.
void Session::note_hixie_bytes(std::size_t size) noexcept {
  const std::size_t sign_of_life = std::max<std::size_t>(options_.limits.idle_bytes, 1);
  work_->quiet_bytes += size;
  if (work_->quiet_bytes < sign_of_life) return;
  heard_ = true;
  work_->quiet_bytes %= sign_of_life;  // the same for any split
}

std::optional<Event> Session::read_hixie_length() noexcept {
  Work& work = *work_;
  const auto next = std::to_integer<unsigned>(input_.front());
  input_ = input_.subspan(1);
  const bool ends = (next & 0x80U) == 0;
  if (++work.hixie_length_bytes == most_length_bytes && !ends) {
    fail(close_code::protocol_error,
         make_error(errc::protocol_error, "a frame's length takes over %u bytes",
                    most_length_bytes));
    return std::nullopt;
  }
  work.frame_left = work.frame_left << 7U | (next & 0x7FU);
  if (work.frame_left > options_.limits.message_bytes) {
    fail_hixie_size();
    return std::nullopt;
  }
  if (!ends) return std::nullopt;
  if (work.frame_left != 0) {
    work.hixie_next = Work::HixieNext::counted;
    return std::nullopt;
  }
  if (work.hixie_type == text_end && version() == ProtocolVersion::hixie_76) return end_by_peer();
  end_hixie_frame();
  return std::nullopt;
}

void Session::skip_hixie_frame() noexcept {
  Work& work = *work_;
  const auto size =
      static_cast<std::size_t>(std::min<std::uint64_t>(work.frame_left, input_.size()));
  input_ = input_.subspan(size);
  work.frame_left -= size;
  if (work.frame_left == 0)
    end_hixie_frame();
  else
    note_hixie_bytes(size);
}

// Takes what has come of a frame that ends with 0xFF. An event when it completes a message, or is a
// piece of one.
std::optional<Event> Session::read_hixie_text() noexcept {
  Work& work = *work_;
  const bool is_text = work.hixie_next == Work::HixieNext::text;
  const auto may_come = static_cast<std::size_t>(options_.limits.message_bytes - work.message_size);
  // One byte more shows that the frame is too long, unless that ends it.
  const std::size_t window = input_.size() > may_come ? may_come + 1 : input_.size();
  const void* const end = std::memchr(input_.data(), std::to_integer<int>(text_end), window);
  const bool last = end != nullptr;
  const std::size_t came =
      last ? static_cast<std::size_t>(static_cast<const std::byte*>(end) - input_.data()) : window;
  const MutableBytes payload = input_.first(std::min(came, may_come));
  input_ = input_.subspan(came + (last ? 1 : 0));
  work.message_size += payload.size();

  const std::size_t good = is_text ? work.utf8.check(payload) : payload.size();
  const bool broken = good != payload.size() || (is_text && last && !work.utf8.complete());
  const bool too_long = came > may_come;
  if (broken || too_long) {
    if (broken)
      fail_text(work.message_size - payload.size() + good);
    else
      fail_hixie_size();
    // Whoever streams has seen the good bytes if they came alone, so it sees them now.
    if (!is_text || !state_.streaming || good == 0) return std::nullopt;
    return Event{Piece{MessageType::text, payload.first(good), work.first_piece, false}};
  }

  if (last)
    end_hixie_frame();
  else
    note_hixie_bytes(payload.size());
  if (!is_text) return std::nullopt;
  if (state_.streaming) {
    const Piece piece{MessageType::text, payload, work.first_piece, last};
    work.first_piece = false;
    return Event{piece};
  }
  Buffer& message = work.message;
  if (last && message.data() == nullptr) return Event{Message{MessageType::text, payload}};
  if (!message.append(payload.data(), payload.size())) {
    fail_for_memory();
    return std::nullopt;
  }
  if (!last) return std::nullopt;
  state_.done = work.message_done = true;
  return Event{Message{MessageType::text, {message.data(), message.size()}}};
}

void Session::fail_hixie_size() noexcept {
  fail(
      close_code::message_too_big,
      make_error(errc::message_too_big, "a frame of over %zu bytes, which is Limits::message_bytes",
                 options_.limits.message_bytes));
}

// -- Output ---------------------------------------------------------------------------------------

errc Session::check_hixie(const Message& message, bool first) const noexcept {
  if (first && !message.is_text()) return errc::unsupported_by_draft;
  // Never in UTF-8, it would end the frame, and what follows be taken for others.
  const Bytes text = message.payload;
  return std::find(text.begin(), text.end(), text_end) != text.end() ? errc::invalid_utf8
                                                                     : errc::ok;
}

// A frame, or part of one: it has no length in front, so that pieces need not wait for each other.
errc Session::send_hixie(const Message& message, bool first, bool last) noexcept {
  const Bytes text = message.payload;
  if (!is_open()) return errc::not_open;
  if (outbox_.size() + text.size() > options_.limits.output_bytes) return errc::output_full;
  if (first && (sends_specially_ & in_a_message) != 0) return errc::message_unfinished;
  if (const errc refused = check_hixie(message, first); refused != errc::ok) return refused;
  OutputChunk* const chunk = outbox_.reserve(text.size() + 2);
  if (chunk == nullptr) return errc::no_memory;
  std::byte* to = chunk->room_begin();
  if (first) *to++ = text_begin;
  to = std::copy(text.begin(), text.end(), to);
  if (last) *to++ = text_end;
  commit_output(*chunk, static_cast<std::size_t>(to - chunk->room_begin()), text);
  if (!last) ++options_.traffic.fragments_sent;
  sends_specially_ = last ? 0 : in_a_message;
  return errc::ok;
}

// What was refused because it is no matter of RFC 6455's frames.
errc Session::send_otherwise(errc refused, const Message& message, bool first, bool last) noexcept {
  return state_.hixie ? send_hixie(message, first, last) : refused;
}

// -- The end --------------------------------------------------------------------------------------

// Whether the end of our stream is all that tells the peer of our closing. In the midst of a frame
// that is so in -76 as well, for its closing frame would end the message that it cuts.
bool Session::ends_by_stream() const noexcept {
  return state_.hixie && (version() == ProtocolVersion::hixie_75 || sends_specially_ != 0);
}

// Codes and reasons have no place here.
errc Session::put_hixie_close() noexcept {
  if (!ends_by_stream() && !outbox_.append(closing_frame)) return errc::no_memory;
  sent_code_ = close_code::none_received;
  state_.close_sent = true;
  clock_due_ = true;
  return errc::ok;
}

// The peer has closed, in the way of its draft.
std::optional<Event> Session::end_by_peer() noexcept {
  work_->closed.code = close_code::none_received;
  said_all_ = !is_client_ && input_.empty();
  end();
  if (!state_.close_sent && put_close(close_code::none_received, {}) != errc::ok) cut();
  return take_ending();
}

}  // namespace timtow
