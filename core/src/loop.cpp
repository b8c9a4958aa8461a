#include "timtow/loop.hpp"

#include <functional>
#include <utility>

#include "timtow/outbox.hpp"

namespace timtow {

namespace {

// Loops ring a few milliseconds late, of the clocks they have.
constexpr std::chrono::milliseconds on_time{10};

}  // namespace

Loop::Loop() : scratch_(new Scratch), now_(Clock::now()) { Outbox::lay_tray(pool_); }

Loop::~Loop() = default;

void Loop::post(std::function<void()> function) {
  bool first = false;
  {
    const std::lock_guard lock{posted_mutex_};
    first = posted_.empty();
    posted_.push_back(std::move(function));
  }
  if (first) wake();
}

void Loop::run_posted() noexcept {
  std::vector<std::function<void()>> functions;
  {
    const std::lock_guard lock{posted_mutex_};
    functions.swap(posted_);
  }
  for (auto& function : functions) {
    const Batch batch{*this};
    function();
  }
}

bool Loop::stays(Bytes payload, std::size_t in_front) noexcept {
  if (payload.data() != shown_) return false;
  shown_ = nullptr;
  const std::less<const std::byte*> before;
  const MutableBytes here = scratch().subspan(in_front);
  return !before(payload.data(), here.data()) && before(payload.data(), here.data() + here.size());
}

void Loop::alarm() noexcept {
  const Batch batch{*this};
  was_held_up_ = now_ - armed_ > on_time;
  armed_ = never;
  timers_.run(now_);
}

void Loop::defer(Deferred& deferred) noexcept {
  if (deferred.next_ != nullptr) return;
  deferred.next_ = &deferred;
  (last_deferred_ == nullptr ? first_deferred_ : last_deferred_->next_) = &deferred;
  last_deferred_ = &deferred;
}

void Loop::finish_batch() noexcept {
  while (first_deferred_ != nullptr) {
    Deferred& deferred = *first_deferred_;
    Deferred* const next = std::exchange(deferred.next_, nullptr);
    first_deferred_ = next == &deferred ? nullptr : next;
    if (first_deferred_ == nullptr) last_deferred_ = nullptr;
    deferred.run_deferred();
  }
  const TimePoint next = timers_.next();
  if (next != armed_) {
    armed_ = next;
    arm(next);
  }
}

}  // namespace timtow
