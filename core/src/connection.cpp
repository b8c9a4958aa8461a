#include "timtow/connection.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

namespace timtow {
namespace {

// From this size on a payload is written at once, in place of being copied to wait for the batch.
constexpr std::size_t large_payload = 16 * 1024;
// What goes back as it came is not copied if it is as large as this, or, being all that there is to
// write, as this.
constexpr std::size_t medium_payload = 4096;
constexpr std::size_t small_payload = 256;

// Of which there may be many at once, so that the owner tells how many.
bool is_told_in_sum(const std::error_code& code) noexcept {
  return code == errc::too_many_connections || code == errc::too_many_of_one_address;
}

}  // namespace

Connection::Connection(std::uint64_t id, Loop& loop, std::shared_ptr<Owner> owner, Role role,
                       const SessionOptions& options) noexcept
    : id_(id), loop_(loop), owner_(*owner), session_(role, loop.pool(), options) {
  session_.stream_messages(static_cast<bool>(owner_.handlers().on_piece));
  if (owner_.alive_++ == 0) owner_.self_ = std::move(owner);
}

Connection::~Connection() {
  if (--owner_.alive_ == 0) const auto last = std::exchange(owner_.self_, nullptr);
}

void Connection::start(Transport& transport, const Request* request,
                       MutableBytes already_read) noexcept {
  opened(transport);
  if (request != nullptr && !session_.receive_request(*request)) {
    pumping_ = true;
    guard([&] { dispatch(Event{request}); });
    pumping_ = false;
  }
  received(already_read);
}

void Connection::refuse(const Refusal& refusal, bool cut) noexcept {
  const Loop::Batch batch{loop_};
  cut ? session_.lost(refusal.error.code) : reject(refusal);
  serve_later();
}

// What cannot be told is cut.
void Connection::reject(const Refusal& refusal) noexcept {
  if (const Error error = session_.reject(refusal)) session_.lost(error.code);
}

void Connection::meet() noexcept {
  try {
    if (const Refusal refusal = owner_.meet(*this)) refuse(refusal, security() != nullptr);
  } catch (const std::bad_alloc&) {
    refuse({503, make_error(errc::no_memory, "no memory to count the connection")}, true);
  }
}

// -- What the transport tells ---------------------------------------------------------------------

void Connection::opened(Transport& transport) noexcept {
  const Loop::Batch batch{loop_};
  transport_ = &transport;
  loop_.defer(*this);
}

MutableBytes Connection::read_space() noexcept { return session_.read_space(loop_.scratch()); }

void Connection::received(MutableBytes bytes) noexcept {
  const Loop::Batch batch{loop_};
  session_.receive(bytes);
  serve();
}

void Connection::ended() noexcept {
  const Loop::Batch batch{loop_};
  session_.end_of_input();
  serve();
}

void Connection::written(std::size_t taken) noexcept {
  const Loop::Batch batch{loop_};
  unusual_.stalled = unusual_.waiting = false;
  session_.sent(taken);
  serve();
}

void Connection::failed(std::error_code cause) noexcept {
  const Loop::Batch batch{loop_};
  broke(cause);
  serve();
}

// What secures the stream knows better why, if it was that which failed.
void Connection::broke(std::error_code cause) noexcept {
  if (const Security* const its = security(); its != nullptr && its->error())
    session_.give_up(its->error());
  else
    session_.lost(cause);
}

void Connection::due(TimePoint now) noexcept {
  unusual_.to_be_heard = loop_.was_held_up() && !unusual_.to_be_heard;
  if (unusual_.to_be_heard) return set_deadline(now + Loop::hearing);
  session_.expire(now);
  serve();
}

// -- What happened --------------------------------------------------------------------------------

// Hands out what there is to tell, writes what there is to write, and aligns the rest with that.
void Connection::serve() noexcept {
  do pump();
  while (!write_output());  // a stream that broke is one more thing to tell
  align();
}

// Hands out all events there are.
void Connection::pump() noexcept {
  pumping_ = true;
  const auto hand_out = [this] {
    open_if_accepted();
    while (const auto event = session_.next()) dispatch(*event);
  };
  while (!guard(hand_out))
    ;  // what a failure leads to is handed out as well
  pumping_ = false;
}

// Calls what calls handlers. False when one threw.
template <typename Call>
[[gnu::always_inline]] inline bool Connection::guard(Call call) noexcept {
  try {
    call();
    return true;
  } catch (const std::exception& exception) {
    handler_threw(exception.what());
  } catch (...) {
    handler_threw("something that is no std::exception");
  }
  return false;
}

void Connection::handler_threw(const char* what) noexcept {
  Error error = make_error(errc::handler_threw, "a handler threw: %.200s", what);
  if (session_.is_ended())
    owner_.report(error);
  else
    session_.application_failed(std::move(error));
  serve_later();
}

void Connection::open_if_accepted() {
  if (!unusual_.open_due) return;
  unusual_.open_due = false;
  loop_.show(nullptr);
  if (session_.was_cut()) return;  // by the handler that accepted it
  opened_ = true;
  ++owner_.metrics_.opened;
  ++owner_.metrics_.open;
  if (const auto& on_open = owner_.handlers().on_open) on_open(*this);
}

void Connection::dispatch(const Event& event) {
  const auto* const message = event.message();
  if (message == nullptr) return dispatch_other(event);
  loop_.show(message->payload.data());
  if (const auto& on_message = owner_.handlers().on_message) on_message(*this, *message);
}

void Connection::dispatch_other(const Event& event) {
  loop_.show(nullptr);
  const Handlers& on = owner_.handlers();
  if (const auto* piece = event.piece()) {
    on.on_piece(*this, *piece);
  } else if (const auto* ping = event.ping()) {
    if (on.on_ping) on.on_ping(*this, ping->payload);
  } else if (const auto* pong = event.pong()) {
    if (on.on_pong) on.on_pong(*this, pong->payload);
  } else if (const auto* closed = event.closed()) {
    const struct Forget {
      ~Forget() {
        if (extra != nullptr) extra->user_data.reset();
      }
      std::unique_ptr<Extra>& extra;
    } forget{extra_};
    count_end(*closed);
    if (closed->response != nullptr && on.on_response) on.on_response(*this, *closed->response);
    if (opened_) {
      if (on.on_close) on.on_close(*this, *closed);
    } else if (closed->error != nullptr && on.on_error && !is_told_in_sum(closed->error->code)) {
      on.on_error(*closed->error);
    }
  } else if (const auto* request = event.request()) {
    if (!is_admitted(*request)) return;
    if (on.on_request)
      on.on_request(*this, *request);
    else
      answer(*request);
  } else if (const auto* response = event.open()) {
    if (on.on_response) on.on_response(*this, *response);
    unusual_.open_due = true;
  } else if (event.opened() != nullptr) {
    unusual_.open_due = true;
  }
  open_if_accepted();
}

void Connection::count_end(const Closed& closed) noexcept {
  Metrics& metrics = owner_.metrics_;
  ++metrics.closing;
  if (opened_) {
    --metrics.open;
    metrics.closes_received.count(closed.code);
    if (closed.error != nullptr && closed.error->code == errc::peer_too_slow) ++metrics.slow_closed;
    if (closed.sent != 0) metrics.closes_sent.count(closed.sent);
  } else if (closed.error != nullptr) {
    const Security* const its = security();
    metrics.refused.count(*closed.error, its != nullptr && its->error());
  } else {
    ++metrics.answered;
  }
}

// Answers a request that the owner does not want the application to see.
bool Connection::is_admitted(const Request& request) noexcept {
  try {
    std::optional<Forwarded> told;
    const Refusal refusal = owner_.admit(request, *this, told);
    if (told) {
      session_.went_to(request, told->host, told->scheme);
      extra().client = std::move(told->client);
    }
    if (!refusal) return true;
    reject(refusal);
  } catch (const std::bad_alloc&) {
    session_.lost(make_error_code(errc::no_memory));
  }
  return false;
}

// What is answered for an application without on_request.
void Connection::answer(const Request& request) {
  try {
    std::string_view subprotocol;
    Error error;
    if (!request.is_upgrade())
      error = session_.respond({.status = 426,
                                .body = "This is a WebSocket server: ask for an upgrade.\n",
                                .headers = {{"Upgrade", "websocket"}}});
    else if (const Refusal refusal = owner_.choose(request, subprotocol))
      return reject(refusal);
    else
      error = accept({.subprotocol = subprotocol, .headers = {}});
    if (error) session_.lost(error.code);
  } catch (const std::bad_alloc&) {
    session_.lost(make_error_code(errc::no_memory));
  }
}

// -- What the application wants -------------------------------------------------------------------

// None of these calls a handler: what they lead to is handed out when the event at hand is over.

Error Connection::accept(const Accept& accept) {
  const Loop::Batch batch{loop_};
  Error error = session_.accept(accept);
  if (!error) unusual_.open_due = !session_.is_proving();
  serve_later();
  return error;
}

Error Connection::respond(const Reply& reply) {
  const Loop::Batch batch{loop_};
  Error error = session_.respond(reply);
  serve_later();
  return error;
}

Error Connection::reject(int status, std::string_view body) {
  return respond({.status = status, .body = body, .headers = {}});
}

errc Connection::send(const Message& message) {
  if (pumping_ && message.payload.size() < small_payload) [[likely]]
    return session_.send(message);  // an answer: flushed with the others
  return send_otherwise(message);
}

errc Connection::send_otherwise(const Message& message) {
  const std::size_t size = message.payload.size();
  if (pumping_ && !unusual_.stalled) {
    const bool alone = session_.output_size() == 0 && session_.has_read_all();
    if ((alone || size >= medium_payload) &&
        loop_.stays(message.payload, Session::in_front_of(message)))
      return session_.send_in_place(message);
  }
  if (pumping_ && size < large_payload) return session_.send(message);
  const Loop::Batch batch{loop_};
  serve_later();
  if (size < large_payload) return session_.send(message);
  const errc result = session_.send_borrowed(message);
  write_output();
  session_.own_output();
  return result;
}

errc Connection::send(const PreparedMessage& message) {
  const Loop::Batch batch{loop_};
  serve_later();
  return session_.send(message);
}

errc Connection::send_piece(const Message& piece, bool last) {
  const Loop::Batch batch{loop_};
  serve_later();
  return session_.send_piece(piece, last);
}

errc Connection::ping(Bytes payload) {
  const Loop::Batch batch{loop_};
  serve_later();
  return session_.ping(payload);
}

errc Connection::close(CloseCode code, std::string_view reason) {
  const Loop::Batch batch{loop_};
  const errc result = session_.close(code, reason);
  serve_later();
  return result;
}

void Connection::go_away() {
  const Loop::Batch batch{loop_};
  session_.close(close_code::going_away, "the server is shutting down");
  if (session_.is_ended()) session_.end_of_input();
  serve_later();
}

void Connection::abort() {
  const Loop::Batch batch{loop_};
  if (session_.is_ended() && transport_ != nullptr) write_output();
  // When all is said, and only the end of the peer's stream is waited for, a reset could destroy
  // our close frame on its way.
  if (session_.is_ended() && session_.output_size() == 0)
    session_.end_of_input();
  else
    session_.lost(errc::cancelled);
  serve_later();
}

Connection::Extra& Connection::extra() {
  if (extra_ == nullptr) extra_ = std::make_unique<Extra>();
  return *extra_;
}

std::any& Connection::user_data() { return extra().user_data; }

Endpoint Connection::peer() const {
  return transport_ == nullptr ? Endpoint{} : transport_->peer();
}

Endpoint Connection::client_address() const {
  return extra_ != nullptr && extra_->client ? *extra_->client : peer();
}

void Connection::pause() {
  const Loop::Batch batch{loop_};
  session_.pause(true);
  serve_later();
}

void Connection::resume() {
  const Loop::Batch batch{loop_};
  session_.pause(false);
  serve_later();
}

// -- After the event ------------------------------------------------------------------------------

// Whoever pumps goes on to serve; otherwise the batch does it when it ends.
void Connection::serve_later() noexcept {
  if (!pumping_ && transport_ != nullptr) loop_.defer(*this);
}

void Connection::run_deferred() noexcept {
  if (transport_ != nullptr) return serve();
  session_.drop_output();  // the application may keep us
  loop_.pool().settle();
  Owner& owner = owner_;
  const auto alive = owner.self_;
  const std::uint32_t tag = tag_;
  --owner.metrics_.closing;
  owner.remove(id_);  // our last act
  owner.released(tag);
}

// False when the stream broke at it, or there is no memory for what waits.
bool Connection::write_output() noexcept {
  while (session_.output_size() != 0 && !unusual_.stalled) {
    const Gather output = session_.output();
    std::error_code& error = loop_.write_error();
    const std::size_t taken = transport_->write(output, error);
    if (error) [[unlikely]] {
      broke(std::exchange(error, {}));
      return false;
    }
    session_.sent(taken);
    if (taken < output.size_bytes()) [[unlikely]] {
      unusual_.stalled = true;
      session_.own_output();
      return !session_.was_cut();
    }
  }
  return true;
}

// Brings the transport and the deadline in line with the session.
void Connection::align() noexcept {
  const bool as_usual = session_.is_calm() && !unusual_.any();
  if (as_usual ? session_.is_at_ease(loop_.now()) : settle()) return;
  const TimePoint deadline = session_.deadline(loop_.now());
  // A later deadline is looked up when the earlier one is due: most are moved and never reached.
  if (deadline < at()) set_deadline(deadline);
}

// True when the connection is over.
bool Connection::settle() noexcept {
  std::uint64_t& largest = owner_.metrics_.largest_output;
  largest = std::max<std::uint64_t>(largest, session_.output_size());
  const std::size_t holds = session_.memory();
  const std::size_t most = session_.limits().connection_bytes;
  if (holds > most && !session_.is_ended()) {
    shed(make_error(errc::memory_budget, "it holds %zu bytes; Limits::connection_bytes is %zu",
                    holds, most));
    return false;  // it is served again, to tell of that
  }
  if (unusual_.stalled && !unusual_.waiting && session_.output_size() != 0) {
    unusual_.waiting = true;
    transport_->write_later(session_.output());
  }
  if (!session_.is_open() && settle_ending()) return true;
  if (unusual_.read_stopped == session_.wants_read()) {
    unusual_.read_stopped = !unusual_.read_stopped;
    transport_->want_read(!unusual_.read_stopped);
  }
  if (unusual_.drain_due != session_.is_congested()) settle_congestion();
  return false;
}

// Ended for the sake of the memory that it holds.
void Connection::shed(Error error) noexcept {
  session_.shed(std::move(error));
  serve_later();
}

void Connection::set_deadline(TimePoint deadline) noexcept {
  try {
    loop_.timers().set(*this, deadline);
  } catch (const std::bad_alloc&) {  // and without it a peer could stay for ever
    session_.lost(make_error_code(errc::no_memory));
    serve_later();
  }
}

// What an opening, closing or ended connection needs. True when it is over.
bool Connection::settle_ending() noexcept {
  if (!session_.finished()) {
    if (!session_.wants_shutdown() || session_.output_size() != 0) return false;
    // What secures the stream has a last word, which may have to wait, and is answered.
    if (!session_.has_said_all() || security() != nullptr) {
      if (!unusual_.shut_down) transport_->shutdown_write();
      unusual_.shut_down = true;
      return false;
    }
  }
  if (transport_ != nullptr)  // it may have failed before it opened
    transport_->close(session_.was_cut() ? How::abortive : How::graceful);
  transport_ = nullptr;
  loop_.timers().set(*this, never);
  loop_.defer(*this);  // to be released: not here, where somebody may still be at work on it
  return true;
}

void Connection::settle_congestion() noexcept {
  unusual_.drain_due = session_.is_congested();
  if (unusual_.drain_due) return;
  const auto& on_drain = owner_.handlers().on_drain;
  if (on_drain && session_.is_open()) guard([&] { on_drain(*this); });
}

}  // namespace timtow
