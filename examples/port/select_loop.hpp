// An adapter that is not shipped: timtow on select(2), as docs/porting.md builds it step by step.
#pragma once

#include <sys/select.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "timtow/posix/waiting.hpp"

namespace port {

// A set of descriptors as select() takes it, but without its end at 1024: the kernel counts bits as
// far as it is told to.
class DescriptorSet {
 public:
  void grow_to(int fd) { words_.resize(std::max(words_.size(), word(fd) + 1)); }
  void set(int fd, bool on) noexcept {
    words_[word(fd)] = on ? words_[word(fd)] | bit(fd) : words_[word(fd)] & ~bit(fd);
  }
  bool has(int fd) const noexcept { return (words_[word(fd)] & bit(fd)) != 0; }
  fd_set* data() noexcept { return reinterpret_cast<fd_set*>(words_.data()); }

 private:
  static constexpr std::size_t bits = 8 * sizeof(unsigned long);
  static std::size_t word(int fd) noexcept { return static_cast<std::size_t>(fd) / bits; }
  static unsigned long bit(int fd) noexcept { return 1UL << static_cast<std::size_t>(fd) % bits; }

  std::vector<unsigned long> words_;
};

class SelectLoop : public timtow::posix::WaitingLoop {
 public:
  SelectLoop();  // throws std::system_error
  ~SelectLoop() override;

  std::unique_ptr<timtow::posix::Watcher> watch(int fd, timtow::posix::Interest wanted,
                                                timtow::posix::Ready& whom) override;
  timtow::Transport* make_transport(timtow::posix::Descriptor& fd,
                                    timtow::TransportEvents& events) override;

 private:
  class Watch;
  struct Sets {
    void set(int fd, timtow::posix::Interest to) noexcept;
    timtow::posix::Interest of(int fd) const noexcept;

    DescriptorSet read, write;
  };

  int wait(int timeout) noexcept override;
  void dispatch(int found) noexcept override;
  void make_room_for(int fd);

  std::vector<Watch*> watches_;  // by descriptor
  Sets wanted_;
  Sets found_;
};

}  // namespace port
