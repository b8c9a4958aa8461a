// The floor of a loop: a TCP echo on the same adapter, with no WebSocket. What a WebSocket server
// costs more than this is the WebSocket's; what this costs more than floor-raw-epoll is the loop's.
#include <array>
#include <vector>

#include "../program.hpp"
#include "this_loop.hpp"
#include "timtow/loop.hpp"

namespace {

// For all: what is read is written, or copied, before the next read.
std::array<std::byte, 256 * 1024> buffer;

timtow::Gather gather(timtow::Bytes bytes) {
  timtow::Gather all;
  all.add(bytes);
  return all;
}

// Reads only while nothing waits to be written, so that no more than one read is ever kept.
class Echo final : public timtow::TransportEvents {
 private:
  ~Echo() = default;

  void opened(timtow::Transport& transport) noexcept override { transport_ = &transport; }

  timtow::MutableBytes read_space() noexcept override { return buffer; }

  void received(timtow::MutableBytes bytes) noexcept override {
    std::error_code error;
    const std::size_t taken = transport_->write(gather(bytes), error);
    if (error) return close(timtow::How::abortive);
    if (taken == bytes.size()) return;
    const timtow::Bytes rest = bytes.subspan(taken);
    waiting_.assign(rest.begin(), rest.end());
    taken_ = 0;
    transport_->want_read(false);
    transport_->write_later(gather(waiting_));
  }

  void written(std::size_t taken) noexcept override {
    taken_ += taken;
    timtow::Bytes rest = timtow::Bytes{waiting_}.subspan(taken_);
    if (!rest.empty()) {
      std::error_code error;
      taken_ += transport_->write(gather(rest), error);
      if (error) return close(timtow::How::abortive);
      rest = timtow::Bytes{waiting_}.subspan(taken_);
    }
    if (!rest.empty()) return transport_->write_later(gather(rest));
    waiting_ = std::vector<std::byte>{};
    if (ended_) return close(timtow::How::graceful);
    transport_->want_read(true);
  }

  void ended() noexcept override {
    ended_ = true;
    if (waiting_.empty()) close(timtow::How::graceful);
  }

  void failed(std::error_code) noexcept override { close(timtow::How::abortive); }

  void close(timtow::How how) noexcept {
    if (transport_ != nullptr) transport_->close(how);
    delete this;
  }

  timtow::Transport* transport_ = nullptr;
  std::vector<std::byte> waiting_;  // what the peer has not taken, ...
  std::size_t taken_ = 0;           // ... but for so many bytes of it
  bool ended_ = false;
};

class Accept final : public timtow::AcceptEvents {
 public:
  timtow::TransportEvents* accepted(timtow::Bytes) noexcept override { return new Echo; }
  void accept_failed(const timtow::Error& error) noexcept override { bench::fail(error.text); }
};

}  // namespace

int main(int argc, char** argv) {
  const bench::Options options = bench::read_options(argc, argv);
  this_loop::Loop loop;
  Accept accept;
  timtow::Error error;
  timtow::Listener* const listener =
      loop.listen({.host = "127.0.0.1", .port = options.port, .path = {}}, accept, error);
  if (error) bench::fail(error.text);
  bench::announce(listener->endpoint().port);
  loop.run();
}
