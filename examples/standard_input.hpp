// Lines of standard input, on a loop. They are read on a thread of their own, for standard input
// may be a file, a pipe or a terminal, and no loop can wait for all of them.
#pragma once

#include <unistd.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "timtow/loop.hpp"

namespace example {

class StandardInput {
 public:
  using Lines = std::vector<std::string>;

  // Calls `take` on the loop with the lines there are, without their ends, and once with none at
  // the end of the input. What is there first comes by itself, more only after more().
  StandardInput(timtow::Loop& loop, std::function<void(Lines)> take)
      : shared_(std::make_shared<Shared>()) {
    shared_->loop = &loop;
    shared_->take = std::move(take);
    std::thread{[shared = shared_] { read_all(*shared, shared); }}.detach();
  }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;
  // The thread may be waiting for input still; it will find nobody to tell.
  ~StandardInput() {
    const std::lock_guard lock{shared_->mutex};
    shared_->loop = nullptr;
    shared_->wanted.notify_one();
  }

  void more() {
    const std::lock_guard lock{shared_->mutex};
    shared_->is_wanted = true;
    shared_->wanted.notify_one();
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable wanted;
    bool is_wanted = true;
    timtow::Loop* loop = nullptr;
    std::function<void(Lines)> take;
  };

  static void read_all(Shared& shared, const std::shared_ptr<Shared>& keep) {
    std::string text;
    char buffer[64 * 1024];
    while (true) {
      const ssize_t count = ::read(STDIN_FILENO, buffer, sizeof buffer);
      if (count > 0) text.append(buffer, static_cast<std::size_t>(count));
      Lines lines;
      std::size_t start = 0;
      for (std::size_t end = 0; (end = text.find('\n', start)) != std::string::npos;
           start = end + 1)
        lines.push_back(text.substr(start, end - start));
      text.erase(0, start);
      if (count <= 0 && !text.empty()) lines.push_back(std::exchange(text, {}));
      if (!lines.empty() && !hand_over(shared, keep, std::move(lines))) return;
      if (count <= 0) {
        hand_over(shared, keep, {});
        return;
      }
    }
  }

  // False when nobody wants more.
  static bool hand_over(Shared& shared, const std::shared_ptr<Shared>& keep, Lines lines) {
    std::unique_lock lock{shared.mutex};
    shared.wanted.wait(lock, [&] { return shared.is_wanted || shared.loop == nullptr; });
    if (shared.loop == nullptr) return false;
    shared.is_wanted = false;
    shared.loop->post([keep, lines = std::move(lines)]() mutable {
      if (keep->loop != nullptr) keep->take(std::move(lines));
    });
    return true;
  }

  std::shared_ptr<Shared> shared_;
};

}  // namespace example
