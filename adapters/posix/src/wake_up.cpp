#include "timtow/posix/wake_up.hpp"

#include <sys/eventfd.h>

namespace timtow::posix {

WakeUp::WakeUp() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!fd_) throw std::system_error(last_error(), "eventfd");
}

// Writing fails only when the counter is full: then the loop is awake already.
void WakeUp::signal() noexcept { [[maybe_unused]] const int failed = eventfd_write(fd_.get(), 1); }

void WakeUp::clear() noexcept {
  eventfd_t count = 0;
  [[maybe_unused]] const int failed = eventfd_read(fd_.get(), &count);
}

}  // namespace timtow::posix
