// Compression: what a peer says and hears is plain. In between, its messages are compressed, by
// zlib itself, and so are those of the server, which it takes apart the same way.
#include <doctest/doctest.h>

#include "deflate/zlib.hpp"
#include "support/dress.hpp"
#include "support/wire.hpp"
#include "timtow/client.hpp"
#include "timtow/deflate.hpp"

namespace {

std::shared_ptr<const timtow::Compression> compression() {
  return std::make_shared<timtow::Deflate>(timtow::DeflateOptions{.min_size = 0});
}

class DeflateDress final : public test::Dress {
 public:
  bool is_ready() const override { return true; }

  // Frames go when they are whole. Who did not ask, or asked elsewhere, says what it says.
  void say(std::string_view bytes, std::string& wire) override {
    said_ += bytes;
    constexpr std::string_view get = "GET ";
    if (!has_asked_ && get.starts_with(std::string_view{said_}.substr(0, get.size()))) {
      const auto end = said_.find("\r\n\r\n");
      if (end == std::string::npos) return;
      wire.append(said_, 0, end + 2);
      wire += "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
      said_.erase(0, end + 4);
      has_asked_ = true;
    }
    const bool is_no_frame = !said_.empty() && (said_[0] & 0x70) != 0;  // and nothing behind it is
    if (!has_asked_ || is_no_frame) return end(wire);
    std::string_view left = said_;
    while (true) {
      const std::string_view before = left;
      const auto frame = test::decode(left);
      if (!frame) break;
      wire += compressed(*frame, before.substr(0, before.size() - left.size()));
    }
    said_.erase(0, said_.size() - left.size());
  }

  void hear(std::string_view came, std::string& got, std::string&) override {
    came_ += came;
    if (!has_heard_ && has_asked_) {
      const auto end = came_.find("\r\n\r\n");
      if (end == std::string::npos) return;
      has_heard_ = true;
      is_compressing_ = came_.find("permessage-deflate") < end;
      got.append(came_, 0, end + 4);
      came_.erase(0, end + 4);
    }
    if (!is_compressing_) {
      got += std::exchange(came_, {});
      return;
    }
    std::string_view left = came_;
    while (const auto frame = test::decode(left)) got += decompressed(*frame);
    came_.erase(0, came_.size() - left.size());
  }

  void end(std::string& wire) override { wire += std::exchange(said_, {}); }
  void ended() override {}

 private:
  // As it came, if no such thing is to be compressed.
  std::string compressed(test::Frame frame, std::string_view as_it_came) {
    if (!frame.key || frame.rsv != 0 || frame.opcode > test::opcode::binary)
      return std::string{as_it_came};
    if (frame.opcode != test::opcode::continuation) {
      deflating_ = std::make_unique<test::Deflating>();
      frame.rsv = 4;
    }
    if (deflating_ == nullptr) return std::string{as_it_came};
    if (frame.fin)
      frame.payload = deflating_->message(frame.payload);
    else if (!frame.payload.empty())
      frame.payload = deflating_->part(frame.payload);
    if (frame.fin) deflating_.reset();
    return test::encode(frame);
  }

  static std::string decompressed(test::Frame frame) {
    if (frame.rsv != 0) {
      CHECK(frame.rsv == 4);
      REQUIRE(frame.fin);  // the suite sends nothing in pieces
      frame.payload = test::Inflating{15, 65536}.message(frame.payload);
      frame.rsv = 0;
    }
    return test::encode(frame);
  }

  bool has_asked_ = false;
  bool has_heard_ = false;
  bool is_compressing_ = false;
  std::string said_;
  std::string came_;
  std::unique_ptr<test::Deflating> deflating_;  // of the message that is said
};

}  // namespace

std::unique_ptr<test::Dress> test::make_dress() { return std::make_unique<DeflateDress>(); }

std::string test::scheme() { return "ws://"; }

timtow::ServerOptions test::dressed(timtow::ServerOptions options) {
  options.compression = compression();
  options.limits.inflate_ratio = 0;  // the suite's large messages are of one byte, over and over
  return options;
}

timtow::ClientOptions test::dressed(timtow::ClientOptions options) {
  options.compression = compression();
  options.limits.inflate_ratio = 0;
  return options;
}

timtow::Error test::listen(timtow::Server& server, const timtow::Endpoint& endpoint) {
  return server.listen(endpoint);
}

timtow::Error test::adopt_listener(timtow::Server& server, timtow::Socket socket) {
  return server.adopt_listener(socket);
}

timtow::Error test::adopt(timtow::Server& server, timtow::Socket socket,
                          timtow::Bytes already_read) {
  return server.adopt(socket, already_read);
}
