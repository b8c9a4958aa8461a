// The other side of permessage-deflate: zlib itself, called as its manual says.
#pragma once

#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace test {

inline Bytef* bytef(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

// A raw stream; `part` gives what a part becomes, up to the end of a byte.
class Deflating {
 public:
  explicit Deflating(int window_bits = 15, int level = 6) {
    REQUIRE(deflateInit2(&z_, level, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  }
  Deflating(const Deflating&) = delete;
  Deflating& operator=(const Deflating&) = delete;
  ~Deflating() { deflateEnd(&z_); }

  std::string part(std::string_view text, int flush = Z_SYNC_FLUSH) {
    std::string made(deflateBound(&z_, static_cast<uLong>(text.size())) + 64, '\0');
    z_.next_in = bytef(text);
    z_.avail_in = static_cast<uInt>(text.size());
    z_.next_out = bytef(made);
    z_.avail_out = static_cast<uInt>(made.size());
    deflate(&z_, flush);
    REQUIRE(z_.avail_in == 0);
    made.resize(made.size() - z_.avail_out);
    return made;
  }
  // As the payload of a message (RFC 7692 section 7.2.1).
  std::string message(std::string_view text) {
    if (text.empty()) return std::string(1, '\0');  // section 7.2.3.6
    std::string made = part(text);
    REQUIRE(made.ends_with(std::string_view{"\0\0\xFF\xFF", 4}));
    made.resize(made.size() - 4);
    return made;
  }

 private:
  z_stream z_{};
};

inline std::string deflated(std::string_view text, int window_bits = 15) {
  return Deflating{window_bits}.message(text);
}

// Takes messages apart with a window of just that size, if there is room for one byte at a time:
// what is in one output may be referred to from however far.
class Inflating {
 public:
  explicit Inflating(int window_bits = 15, std::size_t room = 1) : room_(room) {
    REQUIRE(inflateInit2(&z_, -window_bits) == Z_OK);
  }
  Inflating(const Inflating&) = delete;
  Inflating& operator=(const Inflating&) = delete;
  ~Inflating() { inflateEnd(&z_); }

  std::string message(std::string payload) {
    payload.append("\0\0\xFF\xFF", 4);
    z_.next_in = bytef(payload);
    z_.avail_in = static_cast<uInt>(payload.size());
    std::string text;
    std::string room(room_, '\0');
    do {
      z_.next_out = bytef(room);
      z_.avail_out = static_cast<uInt>(room.size());
      const int result = inflate(&z_, Z_SYNC_FLUSH);
      if (result != Z_OK && result != Z_BUF_ERROR) {
        FAIL_CHECK((z_.msg == nullptr ? "" : z_.msg));
        break;
      }
      text.append(room, 0, room.size() - z_.avail_out);
    } while (z_.avail_out == 0);
    CHECK(z_.avail_in == 0);
    return text;
  }

 private:
  std::size_t room_;
  z_stream z_{};
};

}  // namespace test
