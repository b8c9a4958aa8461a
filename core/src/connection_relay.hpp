// What stands between a Transport and whom it tells, and passes on what it has no use for. It
// is the Transport of the one above it, and hears what the one below tells; so it fits between any
// two, and below another of its kind. It is made for one stream, and ends with that.
#pragma once

#include <utility>

#include "timtow/security.hpp"

namespace timtow {

class Relay : public Filter {
 public:
  explicit Relay(TransportEvents& above) noexcept : above_(above) {}
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay() override {
    if (gone_ != nullptr) *gone_ = true;
  }

  // TransportEvents, but for the way in, which each of its kinds has its own way with
  void ended() noexcept override { above_.ended(); }
  void written(std::size_t taken) noexcept override { above_.written(taken); }
  void failed(std::error_code cause) noexcept override {
    const bool was_opened = below_ != nullptr;
    above_.failed(cause);          // which closes us, if it knows us
    if (!was_opened) delete this;  // it never will
  }

  // Transport
  std::size_t write(const Gather& bytes, std::error_code& error) noexcept override {
    return below_->write(bytes, error);
  }
  void write_later(const Gather& rest) noexcept override { below_->write_later(rest); }
  void want_read(bool wanted) noexcept override { below_->want_read(wanted); }
  void shutdown_write() noexcept override { below_->shutdown_write(); }
  void close(How how) noexcept override {
    below_->close(how);
    delete this;
  }
  Endpoint peer() const override { return below_->peer(); }

 protected:
  // Tells the one above something, and then whether we are still there: it may close us.
  template <typename Tell>
  bool survives(Tell tell) noexcept {
    bool gone = false;
    bool* const outer = std::exchange(gone_, &gone);
    tell();
    if (!gone)
      gone_ = outer;
    else if (outer != nullptr)
      *outer = true;
    return !gone;
  }

  TransportEvents& above_;
  Transport* below_ = nullptr;

 private:
  bool* gone_ = nullptr;
};

}  // namespace timtow
