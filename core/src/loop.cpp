#include "timtow/loop.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "timtow/outbox.hpp"

namespace timtow {
namespace {

constexpr std::size_t usual_memory = std::size_t{1} << 30U;
// What holds less is not ended for the sake of its memory.
constexpr std::size_t worth_shedding = 4096;
// Loops ring a few milliseconds late, of the clocks they have.
constexpr std::chrono::milliseconds on_time{10};

}  // namespace

Loop::Loop() : scratch_(new Scratch), now_(Clock::now()) {
  Outbox::lay_tray(pool_);
  limit_memory(usual_memory);
}

Loop::~Loop() = default;

// -- Memory that runs short -----------------------------------------------------------------------

MemoryHolder::MemoryHolder(Loop& loop) noexcept
    : loop_(loop), next_(std::exchange(loop.holders_, this)) {}

MemoryHolder::~MemoryHolder() {
  MemoryHolder** link = &loop_.holders_;
  while (*link != this) link = &(*link)->next_;
  *link = next_;
}

void Loop::strained() noexcept { defer(*this); }

// Ends the largest connections, until an eighth of the budget will be free besides the reserve.
// Those that hold half as much as the largest are as good as it, so that a few looks at all of
// them find enough.
void Loop::run_deferred() noexcept {
  pool_.settle();
  if (!pool_.is_strained()) return;
  const std::size_t target = pool_.budget() / 4 * 3;
  std::size_t wanted = pool_.in_use() - std::min(pool_.in_use(), target);
  while (wanted > 0) {
    std::size_t largest = 0;
    for (const MemoryHolder* each = holders_; each != nullptr; each = each->next_)
      largest = std::max(largest, each->largest());
    if (largest < worth_shedding) break;
    for (MemoryHolder* each = holders_; each != nullptr && wanted > 0; each = each->next_)
      wanted -= std::min(wanted, each->shed(largest / 2, wanted));
  }
  pool_.settle();  // and again when those are gone that were cut
}

// -- Work -----------------------------------------------------------------------------------------

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
