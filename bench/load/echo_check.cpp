#include "echo_check.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

#include "fail.hpp"

namespace load {
namespace {

constexpr std::size_t small_message = 256;
constexpr unsigned char fin = 0x80;
constexpr unsigned char close = 0x88;

bool equal(const char* left, const char* right, std::size_t size) {
  return std::memcmp(left, right, size) == 0;
}

unsigned char first_byte(std::string_view bytes) { return static_cast<unsigned char>(bytes[0]); }

std::string hexadecimal(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    char digits[4];
    std::snprintf(digits, sizeof digits, " %02x", static_cast<unsigned char>(byte));
    text += digits;
  }
  return text.empty() ? text : text.substr(1);
}

// Of a header whose first two bytes are there: how many more tell the length.
std::size_t extra_length_bytes(std::string_view header) {
  const int length = header[1] & 0x7F;
  return length == 126 ? 2 : length == 127 ? 8 : 0;
}

std::uint64_t length_of(std::string_view header) {
  const std::size_t extra = extra_length_bytes(header);
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < extra; ++i)
    length = length << 8 | static_cast<unsigned char>(header[2 + i]);
  return extra == 0 ? static_cast<std::uint64_t>(header[1] & 0x7F) : length;
}

// "82 10 (binary, 16 bytes)": a header, or what there is of it, in words.
std::string in_words(std::string_view header) {
  static constexpr std::string_view names[16] = {
      "continuation", "text", "binary", {}, {}, {}, {}, {}, "close", "ping", "pong"};
  std::string words = hexadecimal(header) + " (";
  const unsigned opcode = first_byte(header) & 15u;
  words += names[opcode].empty() ? "opcode " + std::to_string(opcode) : names[opcode];
  if ((first_byte(header) & fin) == 0) words += ", not final";
  if ((first_byte(header) & 0x70) != 0) words += ", reserved bits";
  if (header.size() < 2) return words + ")";
  const auto second = static_cast<unsigned char>(header[1]);
  if ((second & 0x80) != 0) words += ", masked";
  if (header.size() < 2 + extra_length_bytes(header)) return words + ")";
  return words + ", " + std::to_string(length_of(header)) + " bytes)";
}

unsigned long long number(std::uint64_t value) { return value; }

}  // namespace

EchoCheck::EchoCheck(const Tape& tape, std::size_t first, unsigned connection)
    : tape_(&tape),
      connection_(connection),
      small_(tape.echoed_unit <= small_message),
      start_(first * tape.echoed_unit) {}

std::size_t EchoCheck::take(std::string_view& bytes) {
  const std::uint64_t before = messages_;
  while (!bytes.empty()) {
    if (at_ == 0 && tape_->framed && first_byte(bytes) == close) break;
    if (outstanding() == 0)
      fail("connection %u: more came back than was sent, after %llu echoes", connection_,
           number(messages_));
    if (fragmented_) {
      take_fragment(bytes);
    } else if (!take_run(bytes)) {
      if (at_ < tape_->echoed_header)
        take_header(bytes);
      else
        take_payload(bytes);
    }
  }
  return messages_ - before;
}

std::size_t EchoCheck::skippable() const {
  return at_ < tape_->echoed_header || fragmented_ || is_sample() ? 0 : left();
}

std::size_t EchoCheck::skip(std::size_t size) {
  at_ += size;
  if (left() > 0) return 0;
  end_message();
  return 1;
}

// Small messages that are as they must be, as many as there are to the end of the tape.
bool EchoCheck::take_run(std::string_view& bytes) {
  const std::size_t unit = tape_->echoed_unit;
  const std::size_t size =
      std::min({bytes.size(), tape_->echoed.size() - (start_ + at_), outstanding() * unit - at_});
  if (!small_ || !equal(bytes.data(), right(), size)) return false;
  bytes.remove_prefix(size);
  const std::size_t ended = (at_ + size) / unit;
  at_ = (at_ + size) % unit;
  start_ += ended * unit;
  if (start_ == tape_->echoed.size()) start_ = 0;
  messages_ += ended;
  headers_ += ended;
  payloads_ += ended;
  return true;
}

void EchoCheck::take_header(std::string_view& bytes) {
  const std::size_t size = std::min(bytes.size(), tape_->echoed_header - at_);
  if (!equal(bytes.data(), right(), size)) {
    fragmented_ = tape_->framed && at_ == 0 && first_byte(bytes) == (*right() & 0x7F);
    if (!fragmented_) wrong_header(bytes);
    at_ = tape_->echoed_header;
    return;
  }
  bytes.remove_prefix(size);
  at_ += size;
  if (at_ == tape_->echoed_header) ++headers_;
  if (left() == 0) end_message();
}

void EchoCheck::take_payload(std::string_view& bytes) {
  const std::size_t size = std::min(bytes.size(), left());
  if (is_sample()) compare_payload(bytes.substr(0, size));
  bytes.remove_prefix(size);
  at_ += size;
  if (left() == 0) end_message();
}

void EchoCheck::take_fragment(std::string_view& bytes) {
  if (!in_fragment_) {
    head_[head_size_++] = bytes.front();
    bytes.remove_prefix(1);
    const std::string_view head{head_, head_size_};
    if (head_size_ < 2 || head_size_ < 2 + extra_length_bytes(head)) return;
    begin_fragment(head);
  }
  const std::size_t size = std::min(bytes.size(), fragment_left_);
  compare_payload(bytes.substr(0, size));
  bytes.remove_prefix(size);
  at_ += size;
  fragment_left_ -= size;
  if (fragment_left_ > 0) return;
  in_fragment_ = false;
  head_size_ = 0;
  if ((first_byte({head_, 1}) & fin) == 0) return;
  fragmented_ = false;
  ++headers_;
  end_message();
}

// The first has the message's opcode, the last is final and completes its length.
void EchoCheck::begin_fragment(std::string_view head) {
  const unsigned char first = first_byte(head);
  const int opcode = continued_ ? 0 : tape_->echoed[start_] & 15;
  const std::uint64_t length = length_of(head);
  const bool final = (first & fin) != 0;
  if ((first & 0x7F) != opcode || (head[1] & 0x80) != 0 || length > left() ||
      (final && length != left()))
    fail(
        "connection %u, message %llu: expected a fragment, opcode %d, of the %zu bytes that are "
        "left; came %s",
        connection_, number(messages_), opcode, left(), in_words(head).c_str());
  continued_ = true;
  in_fragment_ = true;
  fragment_left_ = static_cast<std::size_t>(length);
}

// `bytes` belong at at_, in the payload.
void EchoCheck::compare_payload(std::string_view bytes) const {
  if (equal(bytes.data(), right(), bytes.size())) return;
  const auto [wrong, wanted] = std::mismatch(bytes.begin(), bytes.end(), right());
  fail("connection %u, message %llu: byte %zu of the payload is %s, expected %s", connection_,
       number(messages_),
       at_ - tape_->echoed_header + static_cast<std::size_t>(wrong - bytes.begin()),
       hexadecimal({&*wrong, 1}).c_str(), hexadecimal({wanted, 1}).c_str());
}

void EchoCheck::end_message() {
  if (is_sample() || continued_) ++payloads_;
  ++messages_;
  at_ = 0;
  continued_ = false;
  start_ += tape_->echoed_unit;
  if (start_ == tape_->echoed.size()) start_ = 0;
}

void EchoCheck::wrong_header(std::string_view came) const {
  const std::string_view expected_header{tape_->echoed.data() + start_, tape_->echoed_header};
  // What has come of it before was right.
  std::string header{expected_header.substr(0, at_)};
  header += came.substr(0, sizeof head_ - at_);
  if (header.size() >= 2) header.resize(std::min(header.size(), 2 + extra_length_bytes(header)));
  fail("connection %u, message %llu: expected the header %s, came %s", connection_,
       number(messages_), in_words(expected_header).c_str(), in_words(header).c_str());
}

}  // namespace load
