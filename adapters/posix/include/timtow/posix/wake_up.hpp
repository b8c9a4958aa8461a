// A descriptor that any thread can make readable, to wake a loop that waits on descriptors.
#pragma once

#include "timtow/posix/socket.hpp"

namespace timtow::posix {

class WakeUp {
 public:
  WakeUp();  // throws std::system_error

  int fd() const noexcept { return fd_.get(); }
  // From any thread: fd() becomes readable.
  void signal() noexcept;
  // fd() is readable no more.
  void clear() noexcept;

 private:
  Descriptor fd_;
};

}  // namespace timtow::posix
