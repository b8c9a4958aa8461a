// One WebSocket connection without its socket: bytes in, events out; messages in, bytes out.
//
//   Session ws{Role::server, pool};
//   ws.receive(bytes);                            // what a read brought
//   while (auto event = ws.next()) ...            // what it means
//   ws.output(), ws.sent(n)                       // what to write
//
// The rules that make it work:
// - The same bytes give the same events, however they are split over receive().
// - The bytes given to receive() are borrowed and unmasked in place. They are the session's until
//   next() has returned nothing, or hold() was called; no byte of them is looked at later.
// - next() hands out views. They die at the next call of next(), receive() or hold().
// - After any call that may have changed something (what came or ended, an answer to a request, a
//   send, a close, a deadline) call next() until it returns nothing, then write the output.
// - Nothing throws and nothing calls back. A session is as thread-safe as an int.
// - Time is passed in: deadline(now) says when to call expire().
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "timtow/bytes.hpp"
#include "timtow/close_code.hpp"
#include "timtow/compression.hpp"
#include "timtow/error.hpp"
#include "timtow/event.hpp"
#include "timtow/frame.hpp"
#include "timtow/handshake.hpp"
#include "timtow/outbox.hpp"
#include "timtow/pool.hpp"
#include "timtow/prepared_message.hpp"
#include "timtow/session_options.hpp"
#include "timtow/time.hpp"

namespace timtow {

enum class Role : std::uint8_t { server, client };

class Session {
 public:
  // The pool and the options must outlive the session.
  Session(Role role, Pool& pool, const SessionOptions& options) noexcept;
  Session(Role role, Pool& pool) noexcept;
  Session(Role role, Pool& pool, const SessionOptions&& options) = delete;  // would dangle
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  // -- Input ------------------------------------------------------------------------------------

  // Takes what a read brought; ended or failed sessions take it and drop it.
  void receive(MutableBytes bytes) noexcept;
  // The stream has ended: the peer will send no more.
  void end_of_input() noexcept;
  // The stream broke. Nothing can be written any more.
  void lost(std::error_code cause) noexcept;

  // Nothing can be said or understood any more, but who secures the stream may still tell the peer
  // why: so it is ended and read on, as after an error of the peer's, and not cut.
  void give_up(const Error& error) noexcept;
  // The application failed at an event of this one, for a reason that is not the peer's to know:
  // closes with 1011, or answers the request that waits with 500. The error is that of the closed
  // event; but not if that was handed out or is due, which false tells.
  bool application_failed(Error error) noexcept;
  // Others need its memory: closes with 1013, or answers 503. Where output is what it holds most
  // of, it is cut, for nobody knows when that would be taken.
  void shed(Error error) noexcept;
  // Bytes that it holds: an estimate, told from little.
  std::size_t memory() const noexcept;

  // The next event, or nothing until more is received.
  std::optional<Event> next() noexcept;
  // Keeps what next() has not looked at yet, so that the bytes given to receive() may go while the
  // application is not ready for more events. The next receive() may come before or after it is.
  void hold() noexcept;

  // While paused, next() has nothing to say of an open connection, what was received is held, and
  // wants_read() is false; the peer's silence does not count. Opening and closing go on.
  void pause(bool paused) noexcept {
    if (state_.paused) heard_ = true;  // silence is counted from now on
    state_.paused = paused;
    at_ease_ = false;
  }

  // Where the next read would best go: the end of a large message that is being gathered, so that
  // it lands where it will stay; or `usual`, of which a part is enough where the next such message
  // is likely to begin, for what is read of it there has to be copied. Valid until the next call of
  // receive() or next().
  MutableBytes read_space(MutableBytes usual = {}) noexcept {
    return (in_payload_ | expects_large_) ? best_space(usual) : usual;
  }
  // Whether all that was received has been looked at.
  bool has_read_all() const noexcept { return input_.empty(); }

  // False while the peer must not send more: its output has passed the high water, or a request
  // waits for an answer. To keep reading would let memory grow.
  bool wants_read() const noexcept;

  // From now on messages come as Piece events as their bytes arrive, and are not held in memory.
  // Limits::message_bytes still bounds each message. To be called before the connection is open.
  void stream_messages(bool on) noexcept { state_.streaming = on; }

  // -- The opening handshake --------------------------------------------------------------------

  // Server: starts from a request that another HTTP server has read, in place of receive()ing it;
  // bytes that came behind it are receive()d afterwards. Its views must stay until it is answered.
  // Either it is fine, and accept() puts the 101 response into the output; or it is refused, and
  // the output holds the answer that the Refusal describes.
  Refusal receive_request(const Request& request) noexcept;

  // Server: where the client went with the request that waits, as a proxy in front of us tells it:
  // "example.org", "https"; empty where it does not. The response on drafts 75 and 76 says it.
  // Throws std::bad_alloc.
  void went_to(const Request& request, std::string_view host, std::string_view scheme);

  // Server: answers the request that waits, with 101 ... When these return an error, nothing was
  // queued and the request still waits. The session is open then; but on draft 76 it is when the
  // Opened event comes.
  Error accept(const Accept& accept = {}) noexcept;
  // ... or with anything else, and ends the session. The stream is never used for another request.
  Error respond(const Reply& reply) noexcept;
  Error reject(int status, std::string_view body) noexcept {
    return respond({.status = status, .body = body, .headers = {}});
  }
  // ... or as a Refusal says, whose error is then that of the closed event. This may come before
  // the request, which then is not read.
  Error reject(const Refusal& refusal) noexcept;

  // Client: sends the request. To be called first, and once.
  Error request(const ClientRequest& request) noexcept;

  // -- Output -----------------------------------------------------------------------------------

  // Queues a message. Text must be UTF-8 (section 5.6): is_utf8() tells, where it is in doubt.
  // Returns errc::ok, or not_open, output_full, message_unfinished, no_memory: nothing was queued.
  // Limits::slow_readers says what becomes of it where the output has passed the high water.
  // Drafts 75 and 76 have text only: unsupported_by_draft for binary, for pings and for pongs; and
  // invalid_utf8 for a byte 0xFF, which would end their frame.
  errc send(const Message& message) noexcept;
  errc send(std::string_view text) noexcept { return send({MessageType::text, as_bytes(text)}); }
  errc send(Bytes binary) noexcept { return send({MessageType::binary, binary}); }
  // As send(), of a message that was made ready for many: a server does not copy it.
  errc send(const PreparedMessage& message) noexcept;
  // As send(), but a large payload is not copied: it must stay until own_output(), or until it is
  // sent(). (A client masks what it sends, so it copies always.)
  errc send_borrowed(const Message& message) noexcept;
  // As send_borrowed(), of the message that the last event showed, which lay whole in what was
  // received, and once only: the header is put in front of it, where the one lay that it came with.
  errc send_in_place(const Message& message) noexcept;
  // So many bytes, which must have been received together with the message.
  static std::size_t in_front_of(const Message& message) noexcept {
    return FrameHeader{.length = message.payload.size()}.wire_size();
  }
  // Copies what is still borrowed. Of a message that an event showed the memory may be taken over
  // instead: its view is then good until it is sent.
  void own_output() noexcept;
  // Queues part of a message as one fragment; `last` ends the message. The type counts in the
  // first one only. Pings and pongs may go between.
  errc send_piece(const Message& piece, bool last) noexcept;
  // Queues a ping, or a pong that nobody asked for; at most 125 bytes.
  errc ping(Bytes payload = {}) noexcept;
  errc pong(Bytes payload = {}) noexcept;

  // Starts the closing handshake: queues a close frame behind what was sent (but for what waits for
  // a slow reader beside the output, which is dropped). Messages still arrive
  // until the peer answers with its own. A code that may_be_sent(), or none_received for a frame
  // without one; a reason of at most 123 bytes of UTF-8. In the opening handshake it gives up
  // (a server answers 503). Drafts 75 and 76 know neither code nor reason, and 75 no close frame:
  // our side of the stream ends in its place.
  errc close(CloseCode code = close_code::normal, std::string_view reason = {}) noexcept;

  // What to write next; nothing when empty. Stays where it is until sent() (but for borrowed
  // payloads: until own_output()).
  Gather output() const noexcept { return outbox_.output(); }
  void sent(std::size_t size) noexcept {
    if (size != 0) {
      options_.traffic.bytes_sent += size;
      outbox_.sent(size);
      took_ = took_ | had_to_wait_;
      if (state_.congested && outbox_.size() <= options_.limits.output_low_water) relieve();
    }
    had_to_wait_ = !outbox_.empty();
  }
  // The stream is closed: what output() has shown is under way no more, and its memory goes back.
  void drop_output() noexcept { outbox_.clear(); }
  // Bytes that wait to be sent.
  std::size_t output_size() const noexcept { return outbox_.size(); }
  // Whether the output has passed the high water and not yet fallen to the low water, with nothing
  // waiting beside it.
  bool is_congested() const noexcept { return state_.congested; }

  // Nothing more will be queued: once the output is empty, end our side of the stream (FIN), and
  // read on until finished(), so that the peer gets our last words and not a reset.
  bool wants_shutdown() const noexcept;
  // The stream may be closed.
  bool finished() const noexcept;
  // Server: whether both close frames are said and nothing came behind the peer's. Then its end of
  // the stream need not be waited for, once the output is empty: who keeps to the RFC (section
  // 7.1.1) sends no more, so that closing resets nothing.
  bool has_said_all() const noexcept { return said_all_; }
  // Whether it ended without regard to what was still to be sent: lost(), or a deadline. There is
  // then no reason to close the stream gracefully.
  bool was_cut() const noexcept { return cut_; }
  // Open, and none of the above is asked for: wants_read(), and nothing is to be ended. Told from
  // little, because it is nearly always so.
  bool is_calm() const noexcept { return state_.is_plain(); }

  // -- Time -------------------------------------------------------------------------------------

  // When to call expire(), or `never`. Clocks that this session started since the last call start
  // from `now`: ask after each round of receiving and sending.
  TimePoint deadline(TimePoint now) noexcept {
    if (state_.phase != Phase::open || state_.close_sent) return deadline_of_phase(now);
    const bool took_more_than_ping = took_ && !ping_is_alone_;
    if (outbox_.empty()) ping_is_alone_ = false;
    took_ = false;
    if (heard_ || took_more_than_ping || state_.paused) {
      heard_ = false;
      pinged_ = false;
      clock_ = now;
    }
    at_ease_ = !pinged_;
    return deadline_of_open(now);
  }
  // Stands in for deadline() while is_calm(), on the way that every message takes: true when the
  // deadline has at most moved later since it was last asked for.
  bool is_at_ease(TimePoint now) noexcept {
    if (!at_ease_) return false;
    if (heard_ | took_) {
      heard_ = took_ = false;
      clock_ = now;
    }
    return true;
  }
  // Acts on what is due: sends a ping, closes, or gives up. Too early it does nothing.
  void expire(TimePoint now) noexcept;

  // -- State ------------------------------------------------------------------------------------

  // Whether messages can be sent: the opening handshake is done and no close frame was sent.
  bool is_open() const noexcept { return state_.phase == Phase::open && !state_.close_sent; }
  // Whether it was accepted, and is open once draft 76 has what comes behind the heads.
  bool is_proving() const noexcept { return state_.phase == Phase::proving; }
  // Whether nothing that arrives matters any more: the closed event was handed out, or is next.
  bool is_ended() const noexcept { return state_.phase == Phase::ended; }
  const Limits& limits() const noexcept { return options_.limits; }
  Role role() const noexcept { return is_client_ ? Role::client : Role::server; }
  // Negotiated; empty when none.
  std::string_view subprotocol() const noexcept;
  // What is spoken: of a server once a request waits for its answer.
  ProtocolVersion version() const noexcept;
  // Whether messages may be compressed, on either side: that was negotiated.
  bool is_compressing() const noexcept { return (sends_specially_ & compressing) != 0; }

 private:
  enum class Phase : std::uint8_t {
    open = 0,  // frames; 0 for is_plain()
    head,      // server: the request is coming; client: the response is
    deciding,  // server: the application has the request
    proving,   // draft 76: what comes behind the heads is on its way
    ended,     // nothing that arrives matters any more
  };
  struct Handshake;
  struct Work;

  // What is under way, session.cpp.
  bool need_work() noexcept;
  void rest() noexcept;
  [[gnu::cold]] void set_error(Error error) noexcept;

  // Input, session_input.cpp.
  [[gnu::noinline]] MutableBytes best_space(MutableBytes usual) noexcept;
  [[gnu::noinline]] void receive_more(MutableBytes bytes) noexcept;
  [[gnu::noinline]] std::optional<Event> next_of_any() noexcept;
  std::optional<Event> next_at_work() noexcept;
  std::optional<Event> next_whole_message() noexcept;
  std::optional<Event> next_frame() noexcept;
  bool read_frame_header() noexcept;
  bool check_frame_start(const std::byte* wire) noexcept;
  bool begin_data_frame() noexcept;
  std::optional<Event> read_control_frame() noexcept;
  std::optional<Event> read_close_frame(Bytes payload) noexcept;
  std::optional<Event> read_payload() noexcept;
  [[gnu::cold]] void fail_text(std::uint64_t at) noexcept;
  [[gnu::cold]] void fail_size(std::uint64_t size) noexcept;
  void note_quiet_bytes(std::size_t size) noexcept;
  std::size_t unmask_and_check(MutableBytes payload, const std::byte* came) noexcept;
  std::byte* contiguous(std::size_t size) noexcept;
  void consume(std::size_t size) noexcept;
  void recycle() noexcept;
  void release_held() noexcept;

  // Compressed messages, session_compression.cpp.
  void unmask_compressed() noexcept;
  std::optional<Event> read_compressed() noexcept;
  void take_compressed(std::size_t size) noexcept;
  bool end_compressed_frame(Codec::Result result) noexcept;
  bool check_decompressed(Codec::Result result, std::size_t bad_text, bool is_too_big,
                          bool done) noexcept;
  bool exceeds_ratio(bool done) const noexcept;
  [[gnu::noinline]] errc send_specially(const Message& message) noexcept;
  [[gnu::noinline]] errc send_specially(const PreparedMessage& prepared) noexcept;
  [[gnu::noinline]] errc put_piece(Opcode opcode, bool last, Bytes payload) noexcept;
  errc put_compressed(Opcode opcode, bool fin, Bytes payload) noexcept;

  // The opening handshake, session_handshake.cpp.
  std::optional<Event> next_head() noexcept;
  std::optional<Event> take_request(std::string_view head);
  std::optional<Event> take_response(std::string_view head);
  void refuse(const Refusal& refusal);
  void refuse_or_cut(const Refusal& refusal) noexcept;
  const Compression* usable_compression() const noexcept;
  void compress_with(std::unique_ptr<Codec> codec) noexcept;
  void fail_handshake(Error error) noexcept;
  void take_version(const Request& request);
  Error request_hixie(const ClientRequest& request, Handshake& handshake);
  void open() noexcept;
  bool is_opening() const noexcept {
    return state_.phase != Phase::open && state_.phase != Phase::ended;
  }

  // Drafts 75 and 76, session_hixie.cpp.
  void set_version(ProtocolVersion version) noexcept;
  std::optional<Event> next_challenge() noexcept;
  std::optional<Event> next_hixie() noexcept;
  void begin_hixie_frame() noexcept;
  void end_hixie_frame() noexcept;
  void note_hixie_bytes(std::size_t size) noexcept;
  std::optional<Event> read_hixie_length() noexcept;
  void skip_hixie_frame() noexcept;
  std::optional<Event> read_hixie_text() noexcept;
  void fail_hixie_size() noexcept;
  errc check_hixie(const Message& message, bool first = true) const noexcept;
  errc send_hixie(const Message& message, bool first, bool last) noexcept;
  [[gnu::cold]] errc send_otherwise(errc refused, const Message& message, bool first = true,
                                    bool last = true) noexcept;
  bool ends_by_stream() const noexcept;
  errc put_hixie_close() noexcept;
  std::optional<Event> end_by_peer() noexcept;

  // Peers that read slowly, session_backlog.cpp.
  struct Backlog;
  bool is_slow() const noexcept {
    return state_.congested && is_open() && options_.limits.slow_readers != SlowReaders::wait;
  }
  [[gnu::cold]] errc send_slowly(const Message& message,
                                 const PreparedMessage* prepared = nullptr) noexcept;
  [[gnu::cold]] bool need_backlog() noexcept;
  [[gnu::cold]] errc pong_late(Bytes payload) noexcept;
  [[gnu::cold]] void relieve() noexcept;

  // Output and the end, session.cpp.
  errc check_output(std::size_t size) const noexcept;
  inline errc put_frame(Opcode opcode, bool fin, Bytes payload) noexcept;
  [[gnu::noinline]] errc put_short(std::byte first, Bytes payload) noexcept;
  [[gnu::noinline]] errc put_long(std::byte first, Bytes payload) noexcept;
  [[gnu::noinline]] errc put_in_new_room(std::byte first, Bytes payload) noexcept;
  [[gnu::noinline]] errc put_masked(Opcode opcode, bool fin, Bytes payload) noexcept;
  errc put_borrowed(Opcode opcode, Bytes payload) noexcept;
  errc put_shared(const PreparedMessage::Shared& bytes, std::size_t size,
                  const Message& message) noexcept;
  void commit_output(OutputChunk& chunk, std::size_t size, Bytes payload) noexcept;
  void note_frame(Bytes payload) noexcept;
  errc put_control(Opcode opcode, Bytes payload) noexcept;
  errc put_control_frame(Opcode opcode, Bytes payload) noexcept;
  errc put_close(CloseCode code, std::string_view reason) noexcept;
  bool put_text(std::string_view text) noexcept;
  bool next_masking_key(MaskingKey& key) noexcept;
  [[gnu::cold]] void fail(CloseCode code, Error error) noexcept;
  [[gnu::cold]] void fail_for_memory() noexcept;
  void end() noexcept;
  void cut() noexcept;
  std::optional<Event> take_ending() noexcept;
  TimePoint deadline_of_phase(TimePoint now) noexcept;
  TimePoint deadline_of_open(TimePoint now) noexcept;
  TimePoint deadline_of_message(TimePoint now) noexcept;

  // All that a connection at rest owns: there may be many. The rest is Work.
  const SessionOptions& options_;

  // What keeps a message from its short way through; told from one comparison.
  struct alignas(4) State {
    Phase phase = Phase::head;
    bool streaming = false;
    bool paused : 1 = false;
    bool input_ended : 1 = false;
    bool in_message : 1 = false;  // a message has begun and not ended
    bool in_atom : 1 = false;     // part of a head, or of a frame's header, waits in Work::carry
    bool done : 1 = false;        // what an event shows of Work is to be recycled
    bool holding : 1 = false;     // input_ is the tail of Work::held
    bool close_sent : 1 = false;
    bool congested : 1 = false;
    bool hixie : 1 = false;  // open, and the frames are those of drafts 75 and 76
    std::uint8_t nothing : 7 = 0;

    // Open, and nothing under way.
    bool is_plain() const noexcept { return std::bit_cast<std::uint32_t>(*this) == 0; }
  } state_;

  CloseCode sent_code_ : 13 = 0;
  std::uint16_t version_ : 3 = 0;  // place among those that are spoken
  bool is_client_ : 1;
  bool in_payload_ : 1 = false;     // a data frame's payload is coming
  bool expects_large_ : 1 = false;  // the last message was large
  // Why messages are not just sent as they are; told together, for nearly always there is none.
  enum : std::uint8_t {
    in_a_message = 1,  // send_piece() has begun one
    compressing = 2,   // Work::codec is there
  };
  std::uint8_t sends_specially_ : 2 = 0;
  bool cut_ : 1 = false;            // the stream is of no use any more
  bool ending_due_ : 1 = false;     // the closed event is still to be handed out
  bool failed_ : 1 = false;         // it tells of an error
  bool said_all_ : 1 = false;       // server: both close frames, and nothing came behind
  bool grows_fast_ : 1 = false;     // so is this one, most likely
  bool clock_due_ : 1 = true;       // the phase's clock_ starts at the next deadline()
  bool heard_ : 1 = true;           // a whole frame since deadline() was last asked
  bool took_ : 1 = false;           // output that had to wait was taken since then
  bool had_to_wait_ : 1 = false;    // the system did not take all: what it takes next, the peer did
  bool ping_is_alone_ : 1 = false;  // only our ping is to be taken: that is no sign of life
  bool pinged_ : 1 = false;
  bool at_ease_ : 1 = false;  // only silence has a deadline, and it was asked for

  TimePoint clock_ = never;  // open: the last sign of life; else: when the phase has to be over

  MutableBytes input_;  // borrowed
  Outbox outbox_;
  std::unique_ptr<Work> work_;
};

}  // namespace timtow
