#include "timtow/timer.hpp"

#include <algorithm>
#include <utility>

#include "timtow/loop.hpp"

namespace timtow {

void TimerQueue::set(Entry& entry, TimePoint at) {
  if (entry.at_ == at) return;
  if (at == never) return remove(entry);
  const bool queued = entry.at_ != never;
  if (!queued) {
    heap_.push_back(&entry);
    entry.index_ = static_cast<std::uint32_t>(heap_.size() - 1);
  }
  entry.at_ = std::max(at, running_);  // never before those that run() has still to call
  entry.turn_ = ++turns_;
  sift(entry.index_);
}

void TimerQueue::run(TimePoint now) {
  const std::uint64_t last_turn = turns_;
  running_ = now;
  while (!heap_.empty()) {
    Entry& first = *heap_.front();
    if (first.at_ > now || first.turn_ > last_turn) break;
    remove(first);
    first.due(now);
  }
  running_ = TimePoint::min();
}

void TimerQueue::place(Entry* entry, std::size_t index) noexcept {
  heap_[index] = entry;
  entry->index_ = static_cast<std::uint32_t>(index);
  if (index == 0) next_ = entry->at_;
}

// Moves the entry at `index` up or down to where it belongs.
void TimerQueue::sift(std::size_t index) noexcept {
  Entry* const entry = heap_[index];
  while (index > 0 && before(*entry, *heap_[(index - 1) / 2])) {
    place(heap_[(index - 1) / 2], index);
    index = (index - 1) / 2;
  }
  for (std::size_t child = 2 * index + 1; child < heap_.size(); child = 2 * index + 1) {
    if (child + 1 < heap_.size() && before(*heap_[child + 1], *heap_[child])) ++child;
    if (!before(*heap_[child], *entry)) break;
    place(heap_[child], index);
    index = child;
  }
  place(entry, index);
}

void TimerQueue::remove(Entry& entry) noexcept {
  if (entry.at_ == never) return;
  entry.at_ = never;
  const std::size_t index = entry.index_;
  Entry* const last = heap_.back();
  heap_.pop_back();
  if (heap_.empty()) next_ = never;
  if (last == &entry) return;
  place(last, index);
  sift(index);
}

// -- Timer ----------------------------------------------------------------------------------------

namespace {

// As good as forever; a clock in nanoseconds cannot count much further.
constexpr Duration longest = std::chrono::hours{24 * 365 * 100};

}  // namespace

struct Timer::Pending final : TimerQueue::Entry, std::enable_shared_from_this<Pending> {
  Pending(Loop& on, std::function<void()> call) : loop(on), callback(std::move(call)) {}

  void due(TimePoint) override {
    const auto alive = shared_from_this();  // the call may destroy the Timer
    callback();
  }

  Loop& loop;
  std::function<void()> callback;
};

Timer::Timer(Loop& loop, std::function<void()> callback)
    : pending_(std::make_shared<Pending>(loop, std::move(callback))) {}

Timer::~Timer() { stop(); }

void Timer::start(Duration after) {
  const Loop::Batch batch{pending_->loop};
  // Not the loop's now(): the event at hand may have taken long already.
  pending_->loop.timers().set(*pending_, Clock::now() + std::clamp(after, Duration{0}, longest));
}

void Timer::stop() noexcept {
  const Loop::Batch batch{pending_->loop};
  pending_->loop.timers().set(*pending_, never);
}

bool Timer::is_running() const noexcept { return pending_->at() != never; }

}  // namespace timtow
