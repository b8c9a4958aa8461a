#include "select_loop.hpp"

#include "timtow/posix/stream.hpp"

namespace port {

using timtow::posix::Interest;

void SelectLoop::Sets::set(int fd, Interest to) noexcept {
  read.set(fd, has(to, Interest::read));
  write.set(fd, has(to, Interest::write));
}

Interest SelectLoop::Sets::of(int fd) const noexcept {
  return timtow::posix::interest_in(read.has(fd), write.has(fd));
}

class SelectLoop::Watch : public timtow::posix::Watcher {
 public:
  Watch(SelectLoop& loop, int fd, Interest wanted) : Watcher(fd, wanted), loop_(loop) {
    loop_.make_room_for(fd);
    loop_.watches_[static_cast<std::size_t>(fd)] = this;
    Watch::changed();
  }

  // What was found for this descriptor must not be told to the next one of the same number.
  ~Watch() override {
    for (Sets* sets : {&loop_.wanted_, &loop_.found_}) sets->set(fd(), Interest::none);
    loop_.watches_[static_cast<std::size_t>(fd())] = nullptr;
  }

  using Watcher::tell;

 private:
  void changed() noexcept override { loop_.wanted_.set(fd(), wanted()); }

  SelectLoop& loop_;
};

SelectLoop::SelectLoop() {
  make_room_for(wake_up_fd());
  wanted_.read.set(wake_up_fd(), true);
}

SelectLoop::~SelectLoop() = default;

std::unique_ptr<timtow::posix::Watcher> SelectLoop::watch(int fd, Interest wanted,
                                                          timtow::posix::Ready& whom) {
  return std::make_unique<timtow::posix::Telling<Watch>>(whom, *this, fd, wanted);
}

timtow::Transport* SelectLoop::make_transport(timtow::posix::Descriptor& fd,
                                              timtow::TransportEvents& events) {
  return new timtow::posix::Stream<Watch>{fd, events, *this};
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
  for (std::size_t i = 0; i < watches_.size() && !is_stopped(); ++i)
    if (watches_[i] != nullptr) watches_[i]->tell(found_.of(static_cast<int>(i)));
}

}  // namespace port
