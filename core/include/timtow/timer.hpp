// Timers without number on the one alarm that a loop provides: a binary heap, earliest first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "timtow/time.hpp"

namespace timtow {

class Loop;

class TimerQueue {
 public:
  // Something that wants to be called at a time. While it is queued it must neither move nor be
  // destroyed.
  class Entry {
   public:
    Entry() = default;
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    // When it is due; `never` when it is not queued.
    TimePoint at() const noexcept { return at_; }

   protected:
    ~Entry() = default;

   private:
    friend class TimerQueue;
    virtual void due(TimePoint now) = 0;

    TimePoint at_ = never;
    std::uint64_t turn_ = 0;   // of two that are due together, who came first goes first
    std::uint32_t index_ = 0;  // short, for there are many
  };

  // Queues the entry, moves it, or (`never`) takes it out. Throws std::bad_alloc.
  void set(Entry& entry, TimePoint at);

  // When the first is due; `never` when none is.
  TimePoint next() const noexcept { return next_; }

  // Calls those that are due, in order, each taken out first. What they queue waits for the next
  // call, even if it is due already.
  void run(TimePoint now);

  std::size_t size() const noexcept { return heap_.size(); }

 private:
  static bool before(const Entry& a, const Entry& b) noexcept {
    return a.at_ != b.at_ ? a.at_ < b.at_ : a.turn_ < b.turn_;
  }
  void place(Entry* entry, std::size_t index) noexcept;
  void sift(std::size_t index) noexcept;
  void remove(Entry& entry) noexcept;

  std::vector<Entry*> heap_;
  TimePoint next_ = never;  // of the first, for whom it is asked after every event
  std::uint64_t turns_ = 0;
  TimePoint running_ = TimePoint::min();  // while run() is under way: its time
};

// An application's timer: calls its function once for each start(). It may be started, stopped and
// destroyed from inside its own call. It must not outlive its loop.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> callback);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer();

  // Not before `after` has passed. A running timer starts anew.
  void start(Duration after);
  void stop() noexcept;
  bool is_running() const noexcept;

 private:
  struct Pending;
  std::shared_ptr<Pending> pending_;  // shared with the call that is under way
};

}  // namespace timtow
