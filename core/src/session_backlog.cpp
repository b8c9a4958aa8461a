// Session: peers that read slowly, and what waits for them beside the output.
#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "session_work.hpp"

namespace timtow {

// -- What waits -----------------------------------------------------------------------------------

// Throws std::bad_alloc; nothing has changed then.
void Session::Backlog::add(PreparedMessage message, const Limits& limits) {
  const bool conflates = limits.slow_readers == SlowReaders::conflate;
  const auto same = conflates ? latest.find(message.topic()) : latest.end();
  const std::size_t size = size_of(message);
  if (same != latest.end()) {
    PreparedMessage& before = *same->second;
    forget(before);
    ++traffic.messages_dropped;
    before = std::move(message);
  } else {
    messages.push_back(std::move(message));
    try {
      if (conflates) latest.emplace(messages.back().topic(), std::prev(messages.end()));
    } catch (const std::bad_alloc&) {
      messages.pop_back();
      throw;
    }
  }
  bytes += size;
  while (bytes > limits.output_high_water && messages.size() > 1) {
    ++traffic.messages_dropped;
    pop();
  }
}

void Session::Backlog::pop() noexcept {
  forget(messages.front());
  latest.erase(messages.front().topic());
  messages.pop_front();
}

bool Session::need_backlog() noexcept {
  if (!need_work()) return false;
  if (work_->backlog == nullptr)
    work_->backlog.reset(new (std::nothrow) Backlog{outbox_.pool(), options_.traffic});
  return work_->backlog != nullptr;
}

// -- What is sent ---------------------------------------------------------------------------------

// A whole message, `prepared` if that is not null.
errc Session::send_slowly(const Message& message, const PreparedMessage* prepared) noexcept {
  const Limits& limits = options_.limits;
  if ((sends_specially_ & in_a_message) != 0) return errc::message_unfinished;
  if (const errc refused = state_.hixie ? check_hixie(message) : errc::ok; refused != errc::ok)
    return refused;
  if (in_front_of(message) + message.payload.size() > limits.output_bytes) return errc::output_full;
  Pool& pool = outbox_.pool();
  if (limits.slow_readers == SlowReaders::drop_newest) {
    ++options_.traffic.messages_dropped;
    return errc::slow_reader;
  }
  if (limits.slow_readers == SlowReaders::close) {
    fail(close_code::policy_violation,
         make_error(errc::peer_too_slow,
                    "the peer has left %zu bytes unread; Limits::output_high_water is %zu",
                    outbox_.size(), limits.output_high_water));
    return errc::slow_reader;
  }
  const std::size_t size = message.payload.size();
  if (!need_backlog() || !pool.charge(size)) return errc::no_memory;
  try {
    work_->backlog->add(prepared == nullptr ? PreparedMessage{message} : *prepared, limits);
    return errc::ok;
  } catch (const std::bad_alloc&) {
    pool.refund(size);
    return errc::no_memory;
  }
}

// One answer is enough for all pings that come meanwhile (section 5.5.3).
errc Session::pong_late(Bytes payload) noexcept {
  if (!is_open()) return errc::not_open;
  if (!need_backlog()) return errc::no_memory;
  Backlog& backlog = *work_->backlog;
  std::copy(payload.begin(), payload.end(), backlog.pong.begin());
  backlog.pong_size = payload.size();
  backlog.pong_due = true;
  return errc::ok;
}

// The output has fallen to the low water: what waited beside it follows. (No message is begun then:
// while one is, none is let in here, and while any waits, none is begun.)
void Session::relieve() noexcept {
  state_.congested = false;
  if (work_ == nullptr || work_->backlog == nullptr) return;
  Backlog& backlog = *work_->backlog;
  if (std::exchange(backlog.pong_due, false)) pong({backlog.pong.data(), backlog.pong_size});
  while (!backlog.messages.empty() && !state_.congested) {
    if (send(backlog.messages.front()) != errc::ok) ++options_.traffic.messages_dropped;
    backlog.pop();
  }
  if (backlog.messages.empty()) work_->backlog.reset();
}

}  // namespace timtow
