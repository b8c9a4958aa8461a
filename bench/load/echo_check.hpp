// Holds what a connection receives against what it must be, message by message: every header, and
// the payload of the first message and of every 15th. Small messages are compared whole, which is
// cheaper than to choose.
//
// A server may send a message in fragments (RFC 6455, section 5.4). That is what the slow way of
// take() understands, and it compares the whole payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tape.hpp"

namespace load {

class EchoCheck {
 public:
  // `first` is the place of the first message on the tape; `connection` is for what it says when it
  // ends the program.
  EchoCheck(const Tape& tape, std::size_t first, unsigned connection);

  // So many messages more have to come, or less.
  void expect(std::uint64_t messages) { expected_ += messages; }
  void expect_less(std::uint64_t messages) { expected_ -= messages; }

  // Takes what it can off the front and returns how many messages ended in it. What stays begins
  // with a Close frame, which comes between messages.
  std::size_t take(std::string_view& bytes);

  // The bytes to come that it would not look at; and what to call when they have come. Returns how
  // many messages ended with it.
  std::size_t skippable() const;
  std::size_t skip(std::size_t size);

  std::uint64_t expected() const { return expected_; }
  std::uint64_t outstanding() const { return expected_ - messages_; }
  std::uint64_t messages() const { return messages_; }
  std::uint64_t headers() const { return headers_; }
  std::uint64_t payloads() const { return payloads_; }

 private:
  bool take_run(std::string_view& bytes);
  void take_header(std::string_view& bytes);
  void take_payload(std::string_view& bytes);
  void take_fragment(std::string_view& bytes);
  void begin_fragment(std::string_view head);
  void compare_payload(std::string_view bytes) const;
  void end_message();

  const char* right() const { return tape_->echoed.data() + start_ + at_; }
  std::size_t left() const { return tape_->echoed_unit - at_; }
  bool is_sample() const { return small_ || messages_ % 15 == 0; }

  [[noreturn]] void wrong_header(std::string_view came) const;

  const Tape* tape_;
  unsigned connection_;
  bool small_;
  std::size_t start_;   // where the message begins on the tape
  std::size_t at_ = 0;  // how much of it, its header included, has come

  bool fragmented_ = false;   // the message is in fragments
  bool continued_ = false;    // this one is not its first
  bool in_fragment_ = false;  // behind its head
  char head_[10] = {};
  std::size_t head_size_ = 0;
  std::size_t fragment_left_ = 0;

  std::uint64_t expected_ = 0;
  std::uint64_t messages_ = 0;
  std::uint64_t headers_ = 0;
  std::uint64_t payloads_ = 0;
};

}  // namespace load
