#include "select_loop.hpp"

namespace port {

using timtow::posix::Interest;
using timtow::posix::Ready;

class SelectLoop::Watch final : public timtow::posix::Watcher {
 public:
  Watch(SelectLoop& loop, int fd, Interest interest, Ready& ready)
      : loop_(loop), fd_(fd), ready_(ready) {
    loop_.make_room_for(fd);
    loop_.watches_[static_cast<std::size_t>(fd)] = this;
    want(interest);
  }

  // What was found for this descriptor must not be told to the next one of the same number.
  ~Watch() override {
    want({});
    loop_.found_.read.set(fd_, false);
    loop_.found_.write.set(fd_, false);
    loop_.watches_[static_cast<std::size_t>(fd_)] = nullptr;
  }

  void want(Interest interest) noexcept override {
    loop_.wanted_.read.set(fd_, interest.read);
    loop_.wanted_.write.set(fd_, interest.write);
  }

  void tell(Interest now) noexcept { ready_.ready(now); }

 private:
  SelectLoop& loop_;
  int fd_;
  Ready& ready_;
};

SelectLoop::SelectLoop() {
  make_room_for(wake_up_fd());
  wanted_.read.set(wake_up_fd(), true);
}

SelectLoop::~SelectLoop() = default;

std::unique_ptr<timtow::posix::Watcher> SelectLoop::watch(int fd, Interest interest, Ready& ready) {
  return std::make_unique<Watch>(*this, fd, interest, ready);
}

void SelectLoop::make_room_for(int fd) {
  if (static_cast<std::size_t>(fd) >= watches_.size())
    watches_.resize(static_cast<std::size_t>(fd) + 1);
  for (Sets* sets : {&wanted_, &found_}) {
    sets->read.grow_to(fd);
    sets->write.grow_to(fd);
  }
}

int SelectLoop::wait(int timeout) noexcept {
  found_ = wanted_;
  timeval time{.tv_sec = timeout / 1000, .tv_usec = timeout % 1000 * 1000};
  return ::select(static_cast<int>(watches_.size()), found_.read.data(), found_.write.data(),
                  nullptr, timeout < 0 ? nullptr : &time);
}

void SelectLoop::dispatch(int) noexcept {
  if (found_.read.has(wake_up_fd())) woken();
  for (std::size_t i = 0; i < watches_.size() && !is_stopped(); ++i) {
    const int fd = static_cast<int>(i);
    const Interest now{.read = found_.read.has(fd), .write = found_.write.has(fd)};
    if (watches_[i] != nullptr && now != Interest{}) watches_[i]->tell(now);
  }
}

}  // namespace port
