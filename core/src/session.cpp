// Session: output, the end, time. Its input is in session_input.cpp, its opening handshake in
// session_handshake.cpp.
#include "timtow/session.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "masking_key_source.hpp"
#include "session_work.hpp"
#include "timtow/mask.hpp"
#include "timtow/words.hpp"

namespace timtow {
namespace {

// How a session ends for which there is not even the memory to say so.
const Error no_memory{make_error_code(errc::no_memory), {}};
const Closed closed_without_memory{.code = close_code::abnormal,
                                   .sent = 0,
                                   .reason = {},
                                   .error = &no_memory,
                                   .response = nullptr};

// Payloads from this size on are borrowed where that is asked for; smaller ones are copied, which
// is cheaper than one more span in a gathered write.
constexpr std::size_t worth_borrowing = 4096;

constexpr std::size_t max_close_reason = max_control_payload - 2;

constexpr std::array spoken{ProtocolVersion::rfc6455, ProtocolVersion::hybi_8,
                            ProtocolVersion::hybi_7, ProtocolVersion::hixie_76,
                            ProtocolVersion::hixie_75};

long long in_milliseconds(Duration duration) noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

FrameHeader header_of(Opcode opcode, bool fin, Bytes payload) noexcept {
  FrameHeader header;
  header.fin = fin;
  header.opcode = opcode;
  header.length = payload.size();
  return header;
}

}  // namespace

Session::Session(Role role, Pool& pool, const SessionOptions& options) noexcept
    : options_(options), is_client_(role == Role::client), outbox_(pool) {}

Session::Session(Role role, Pool& pool) noexcept : Session(role, pool, pool.default_options()) {}

Session::~Session() = default;

// -- What is under way ----------------------------------------------------------------------------

// Whether there is Work now; false when there is no memory for it.
bool Session::need_work() noexcept {
  if (work_ != nullptr) return true;
  Pool& pool = outbox_.pool();
  if (pool.spare() != nullptr)
    work_.reset(static_cast<Work*>(pool.spare().release()));
  else
    work_.reset(new (std::nothrow) Work{pool});
  return work_ != nullptr;
}

// Lets go of it when nothing is under way any more.
void Session::rest() noexcept {
  State rest = state_;
  rest.hixie = false;  // which stays
  if (work_ == nullptr || !rest.is_plain() || !work_->is_at_rest()) return;
  Pool& pool = outbox_.pool();
  if (pool.spare() == nullptr)
    pool.spare() = std::move(work_);
  else
    work_.reset();
}

void Session::set_error(Error error) noexcept {
  failed_ = true;
  if (need_work()) work_->error = std::move(error);
}

ProtocolVersion Session::version() const noexcept { return spoken[version_]; }

void Session::set_version(ProtocolVersion version) noexcept {
  const auto place = std::find(spoken.begin(), spoken.end(), version) - spoken.begin();
  version_ = static_cast<std::uint16_t>(place) & 7U;
}

std::string_view Session::subprotocol() const noexcept {
  return work_ == nullptr ? std::string_view{} : work_->subprotocol;
}

// -- Output ---------------------------------------------------------------------------------------

bool Session::next_masking_key(MaskingKey& key) noexcept {
  MaskingKeySource* const source = outbox_.pool().masking_keys();
  return source != nullptr && source->next(key);
}

// In the next two the copy comes last, for it may be a call, and nothing is to be kept over that.

// The frame that most frames are, written in one stride: two bytes, and a short payload.
errc Session::put_short(std::byte first, Bytes payload) noexcept {
  OutputChunk* const chunk = outbox_.reserve_free(2 + payload.size());
  if (chunk == nullptr) return put_in_new_room(first, payload);
  std::byte* const to = chunk->room_begin();
  to[0] = first;
  to[1] = static_cast<std::byte>(payload.size());
  commit_output(*chunk, 2 + payload.size(), payload);
  detail::copy_short(to + 2, payload.data(), payload.size());
  return errc::ok;
}

errc Session::put_long(std::byte first, Bytes payload) noexcept {
  OutputChunk* const chunk = outbox_.reserve_free(max_frame_header + payload.size());
  if (chunk == nullptr) return put_in_new_room(first, payload);
  std::byte* const start = chunk->room_begin();
  *start = first;
  std::byte* const to = FrameHeader::write_length(start + 1, payload.size(), false);
  commit_output(*chunk, static_cast<std::size_t>(to - start) + payload.size(), payload);
  detail::copy_short(to, payload.data(), payload.size());
  return errc::ok;
}

errc Session::put_in_new_room(std::byte first, Bytes payload) noexcept {
  if (outbox_.reserve(max_frame_header + payload.size()) == nullptr) return errc::no_memory;
  return put_long(first, payload);  // for which there is room now
}

errc Session::put_masked(Opcode opcode, bool fin, Bytes payload) noexcept {
  FrameHeader header = header_of(opcode, fin, payload);
  header.masked = true;
  if (!next_masking_key(header.key)) return errc::no_entropy;
  OutputChunk* const chunk = outbox_.reserve(max_frame_header + payload.size());
  if (chunk == nullptr) return errc::no_memory;
  std::byte* const start = chunk->room_begin();
  std::byte* const to = header.write(start);
  mask(to, payload.data(), payload.size(), header.key);
  commit_output(*chunk, static_cast<std::size_t>(to - start) + payload.size(), payload);
  return errc::ok;
}

errc Session::put_borrowed(Opcode opcode, Bytes payload) noexcept {
  std::array<std::byte, max_frame_header> wire;
  const Bytes head{wire.data(), header_of(opcode, true, payload).write(wire.data())};
  if (!outbox_.append_and_borrow(head, payload)) return errc::no_memory;
  note_frame(payload);
  return errc::ok;
}

void Session::commit_output(OutputChunk& chunk, std::size_t size, Bytes payload) noexcept {
  outbox_.commit(chunk, size);
  note_frame(payload);
}

// A frame was queued, of this payload before it was masked or compressed.
void Session::note_frame(Bytes payload) noexcept {
  ++options_.traffic.frames_sent;
  options_.traffic.frame_bytes_sent += payload.size();
  if (outbox_.size() > options_.limits.output_high_water) [[unlikely]]
    state_.congested = true;
}

// Whether so many bytes of a message may be queued now, as a frame of RFC 6455.
errc Session::check_output(std::size_t size) const noexcept {
  if (!state_.is_plain()) {
    if (!is_open()) return errc::not_open;
    if (state_.hixie) return errc::unsupported_by_draft;
  }
  return outbox_.size() + size > options_.limits.output_bytes ? errc::output_full : errc::ok;
}

errc Session::send(const Message& message) noexcept {
  if (!state_.is_plain() || sends_specially_ != 0) return send_specially(message);
  const std::size_t size = message.payload.size();
  if (outbox_.size() + size > options_.limits.output_bytes) return errc::output_full;
  return put_frame(static_cast<Opcode>(message.type), true, message.payload);
}

errc Session::send(const PreparedMessage& message) noexcept {
  if (is_slow()) return send_slowly(message.message(), &message);
  if (is_client_) return send(message.message());
  const std::size_t size = message.frame().size();
  const errc refused = check_output(size);
  if (refused != errc::ok) return send_otherwise(refused, message.message());
  return sends_specially_ != 0 ? send_specially(message)
                               : put_shared(message.shared(), size, message.message());
}

errc Session::put_shared(const PreparedMessage::Shared& bytes, std::size_t size,
                         const Message& message) noexcept {
  if (!outbox_.share(bytes, size)) return errc::no_memory;
  note_frame(message.payload);
  return errc::ok;
}

errc Session::send_borrowed(const Message& message) noexcept {
  if (is_client_ || message.payload.size() < worth_borrowing || sends_specially_ != 0 || is_slow())
    return send(message);
  const errc refused = check_output(message.payload.size());
  if (refused != errc::ok) return send_otherwise(refused, message);
  return put_borrowed(static_cast<Opcode>(message.type), message.payload);
}

errc Session::send_in_place(const Message& message) noexcept {
  if (is_client_ || sends_specially_ != 0 || is_slow()) return send(message);
  const errc refused = check_output(message.payload.size());
  if (refused != errc::ok) return send_otherwise(refused, message);
  const FrameHeader header = header_of(static_cast<Opcode>(message.type), true, message.payload);
  // Ours is shorter by the masking key.
  const std::size_t size = header.wire_size();
  std::byte* const start = const_cast<std::byte*>(message.payload.data()) - size;
  header.write(start);
  if (!outbox_.borrow({start, size + message.payload.size()})) return errc::no_memory;
  note_frame(message.payload);
  return errc::ok;
}

void Session::own_output() noexcept {
  const bool may_take_over = work_ != nullptr && work_->message_done;
  if (outbox_.own(may_take_over ? &work_->message : nullptr)) return;
  // What is borrowed will be gone, perhaps in the midst of a frame: nothing can follow it.
  if (state_.phase != Phase::ended) set_error(out_of_memory());
  cut();
}

errc Session::send_piece(const Message& piece, bool last) noexcept {
  const bool continues = (sends_specially_ & in_a_message) != 0;
  if (is_slow() && !continues) return errc::slow_reader;  // it would overtake what waits
  errc result = check_output(piece.payload.size());
  if (result != errc::ok) return send_otherwise(result, piece, !continues, last);
  const Opcode opcode = continues ? Opcode::continuation : static_cast<Opcode>(piece.type);
  result = is_compressing() ? put_piece(opcode, last, piece.payload)
                            : put_frame(opcode, last, piece.payload);
  if (result == errc::ok && !last) ++options_.traffic.fragments_sent;
  if (result == errc::ok && continues == last) sends_specially_ ^= in_a_message;
  return result;
}

errc Session::put_control(Opcode opcode, Bytes payload) noexcept {
  if (!is_open()) return errc::not_open;
  if (state_.hixie) return errc::unsupported_by_draft;
  if (payload.size() > max_control_payload) return errc::payload_too_long;
  return put_control_frame(opcode, payload);
}

errc Session::put_control_frame(Opcode opcode, Bytes payload) noexcept {
  const errc result = put_frame(opcode, true, payload);
  if (result != errc::ok) return result;
  Traffic& traffic = options_.traffic;
  ++(opcode == Opcode::ping   ? traffic.pings_sent
     : opcode == Opcode::pong ? traffic.pongs_sent
                              : traffic.closes_sent);
  traffic.control_bytes_sent += payload.size();
  return errc::ok;
}

errc Session::ping(Bytes payload) noexcept { return put_control(Opcode::ping, payload); }

errc Session::pong(Bytes payload) noexcept { return put_control(Opcode::pong, payload); }

errc Session::put_close(CloseCode code, std::string_view reason) noexcept {
  if (state_.hixie) return put_hixie_close();
  std::array<std::byte, max_control_payload> payload;
  std::size_t size = 0;
  if (code != close_code::none_received) {
    reason = reason.substr(0, max_close_reason);
    detail::store_big_endian<CloseCode>(payload.data(), code);
    std::copy_n(as_bytes(reason).data(), reason.size(), payload.data() + 2);
    size = 2 + reason.size();
  }
  const errc result = put_control_frame(Opcode::close, Bytes{payload.data(), size});
  if (result != errc::ok) return result;
  sent_code_ = code & 0x1FFFU;
  state_.close_sent = true;
  clock_due_ = true;
  return errc::ok;
}

errc Session::close(CloseCode code, std::string_view reason) noexcept {
  if ((!close_code::may_be_sent(code) && code != close_code::none_received) ||
      reason.size() > max_close_reason || !is_utf8(as_bytes(reason)) ||
      (code == close_code::none_received && !reason.empty()))
    return errc::invalid_close;
  switch (state_.phase) {
    case Phase::open:
      return state_.close_sent ? errc::not_open : put_close(code, reason);
    case Phase::ended:
      return errc::not_open;
    case Phase::head:
    case Phase::deciding:
    case Phase::proving:
      break;
  }
  fail_handshake(make_error(errc::cancelled, "this side gave up during the opening handshake"));
  return errc::ok;
}

bool Session::put_text(std::string_view text) noexcept { return outbox_.append(as_bytes(text)); }

// -- The end --------------------------------------------------------------------------------------

// Fails the connection (section 7.1.7): says why, and then only waits for the peer to go.
void Session::fail(CloseCode code, Error error) noexcept {
  set_error(std::move(error));
  end();  // first, for the memory of a message may be what the close frame needs
  const std::string_view reason = work_ == nullptr ? std::string_view{} : work_->error.text;
  if (!state_.close_sent && put_close(code, reason) != errc::ok) cut();
}

void Session::fail_for_memory() noexcept {
  if (is_opening()) return fail_handshake(out_of_memory());
  fail(close_code::try_again_later, out_of_memory());
}

// From here on the closed event is all that comes.
void Session::end() noexcept {
  if (state_.phase == Phase::ended) return;
  if (!state_.close_sent) clock_due_ = true;
  state_.phase = Phase::ended;
  ending_due_ = true;
  input_ = {};
  in_payload_ = false;
  if (work_ == nullptr) return;
  work_->backlog.reset();
  if (!work_->message_done) work_->message.release();  // what an event shows stays
}

// What waits in the outbox stays: a completion based loop may be writing it still.
void Session::cut() noexcept {
  end();
  cut_ = true;
  outbox_.give_up();
}

std::optional<Event> Session::take_ending() noexcept {
  if (!ending_due_) return std::nullopt;
  ending_due_ = false;
  if (!need_work()) return Event{&closed_without_memory};
  Work& work = *work_;
  state_.done = work.carry_done = true;  // the event shows what is in it
  work.closed.sent = sent_code_;
  if (failed_) work.closed.error = work.error ? &work.error : &no_memory;
  if (work.handshake && work.handshake->response.status != 0)
    work.closed.response = &work.handshake->response;
  return Event{&work.closed};
}

void Session::end_of_input() noexcept { state_.input_ended = true; }

void Session::lost(std::error_code cause) noexcept {
  if (state_.phase != Phase::ended) {
    try {
      set_error(make_error(cause, "the connection broke: %s", cause.message().c_str()));
    } catch (const std::bad_alloc&) {
      set_error({cause, {}});
    }
  }
  state_.input_ended = true;
  cut();
}

void Session::give_up(const Error& error) noexcept {
  if (state_.phase != Phase::ended) {
    try {
      set_error(error);
    } catch (const std::bad_alloc&) {
      set_error({error.code, {}});
    }
  }
  end();
  outbox_.give_up();
}

bool Session::application_failed(Error error) noexcept {
  if (state_.phase == Phase::ended) return false;
  Error public_error = make_error(errc::handler_threw, "the application failed");
  if (state_.phase == Phase::open)
    fail(close_code::internal_error, std::move(public_error));
  else if (state_.phase == Phase::deciding)
    refuse_or_cut({500, std::move(public_error)});
  else
    fail_handshake(std::move(public_error));
  set_error(std::move(error));
  return true;
}

void Session::shed(Error error) noexcept {
  const bool is_stuck = outbox_.size() >= memory() / 2;
  if (state_.phase == Phase::open)
    fail(close_code::try_again_later, std::move(error));
  else if (is_opening())
    fail_handshake(std::move(error));
  if (is_stuck) cut();
}

std::size_t Session::memory() const noexcept {
  if (work_ == nullptr) return outbox_.size();
  const Work& work = *work_;
  return outbox_.size() + work.carry.capacity() + work.held.capacity() + work.message.capacity() +
         (work.codec == nullptr ? 0 : work.codec->memory()) +
         (work.backlog == nullptr ? 0 : work.backlog->bytes);
}

bool Session::wants_read() const noexcept {
  if (state_.input_ended || cut_ || state_.phase == Phase::deciding) return false;
  return state_.phase == Phase::ended || !(state_.congested || (state_.paused && is_open()));
}

bool Session::wants_shutdown() const noexcept {
  if (cut_ || state_.input_ended) return false;
  if (state_.phase != Phase::ended) return state_.close_sent && ends_by_stream();
  return !is_client_ || failed_;  // a server ends the stream first (section 7.1.1)
}

bool Session::finished() const noexcept {
  return cut_ || (state_.phase == Phase::ended && outbox_.empty() && state_.input_ended);
}

// -- Time -----------------------------------------------------------------------------------------

TimePoint Session::deadline_of_phase(TimePoint now) noexcept {
  if (clock_due_) {
    clock_due_ = false;
    const Duration time =
        is_opening() ? options_.limits.handshake_time : options_.limits.close_time;
    clock_ = time > Duration{} ? later(now, time) : never;
  }
  return finished() ? never : clock_;
}

// Of a message, or a frame's header, that has begun. Whoever is not read cannot end it.
TimePoint Session::deadline_of_message(TimePoint now) noexcept {
  if (!state_.in_message && !state_.in_atom) [[likely]]
    return never;
  TimePoint& begun = work_->begun;
  if (!wants_read())
    begun = never;
  else if (begun == never)
    begun = now;
  const Duration time = options_.limits.message_time;
  return time > Duration{} && begun != never ? later(begun, time) : never;
}

TimePoint Session::deadline_of_open(TimePoint now) noexcept {
  TimePoint due = deadline_of_message(now);
  if (options_.limits.ping_interval > Duration{} && !pinged_ && !state_.hixie)
    due = std::min(due, later(clock_, options_.limits.ping_interval));
  if (options_.limits.idle_time > Duration{})
    due = std::min(due, later(clock_, options_.limits.idle_time));
  return due;
}

void Session::expire(TimePoint now) noexcept {
  const bool early = now < deadline(now);
  at_ease_ = false;
  if (early) return;
  if (is_opening()) {
    return fail_handshake(make_error(errc::handshake_timeout,
                                     "the opening handshake took over %lld ms, which is "
                                     "Limits::handshake_time",
                                     in_milliseconds(options_.limits.handshake_time)));
  }
  if (state_.phase == Phase::ended || state_.close_sent) {
    if (state_.phase == Phase::open)
      set_error(make_error(errc::close_timeout,
                           "no close frame came for %lld ms, which is Limits::close_time",
                           in_milliseconds(options_.limits.close_time)));
    return cut();
  }
  if (options_.limits.idle_time > Duration{} && now >= later(clock_, options_.limits.idle_time))
    return fail(close_code::policy_violation,
                make_error(errc::idle_timeout, "silent for %lld ms, which is Limits::idle_time",
                           in_milliseconds(options_.limits.idle_time)));
  if (now >= deadline_of_message(now))
    return fail(close_code::policy_violation,
                make_error(errc::message_timeout,
                           "a message that has begun is not whole after %lld ms, which is "
                           "Limits::message_time",
                           in_milliseconds(options_.limits.message_time)));
  pinged_ = true;
  ping_is_alone_ = outbox_.empty();
  if (put_control_frame(Opcode::ping, {}) == errc::no_memory) fail_for_memory();
}

}  // namespace timtow
