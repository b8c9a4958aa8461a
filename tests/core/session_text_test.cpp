// Long texts, which a session unmasks and checks in parts of 16 KiB.
#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "support/harness.hpp"
#include "timtow/session.hpp"

using namespace timtow;
using test::Harness;

namespace {

constexpr std::size_t part = 16 * 1024;

// What a session makes of a text in one frame that comes in reads of `read_size` bytes: "whole" if
// that is the message it hands out, or the log.
std::string outcome_of(Role role, std::string_view text, std::size_t read_size, bool streaming) {
  Harness self{role};
  self.session.stream_messages(streaming);
  self.open();
  std::string received;
  bool last = false;
  self.on_event = [&](Harness&, const Event& event) {
    if (const auto* message = event.message()) received += message->text(), last = true;
    if (const auto* piece = event.piece()) received += as_text(piece->payload), last = piece->last;
  };
  self.feed_by(read_size, self.frame(test::opcode::text, text));
  if (last) return received == text ? "whole" : "changed";
  // What came before the bad byte has been seen by one that streams.
  if (streaming && !text.starts_with(received)) return "changed";
  const auto lines = self.log.take();
  return lines.empty() ? "nothing" : lines.back();
}

void check_all_ways(const std::string& text, const std::string& outcome) {
  for (const Role role : {Role::server, Role::client})
    for (const bool streaming : {false, true})
      for (const std::size_t read_size : {100'000U, 65'536U, 16'391U, 5'001U})
        CHECK(outcome_of(role, text, read_size, streaming) == outcome);
}

}  // namespace

TEST_CASE("a long text: characters across the parts that it is checked in") {
  for (const std::size_t size : {part - 1, part, part + 1, 2 * part, 3 * part + 5}) {
    check_all_ways(std::string(size, 'a'), "whole");
    for (const std::size_t border : {part, 2 * part}) {
      for (std::size_t back = 0; back <= 4; ++back) {
        std::string text(size, 'a');
        if (border - back + 4 > size) continue;
        text.replace(border - back, 4, "\xF0\x9F\x98\x80");
        check_all_ways(text, "whole");
      }
    }
  }
}

TEST_CASE("a long text: a bad byte beside the borders of its parts is found exactly") {
  for (const std::size_t at : {part - 1, part, part + 1, 2 * part - 1, 2 * part, 2 * part + 1}) {
    for (const char* const filling : {"a", "\xC3\xA9"}) {
      std::string text;
      while (text.size() < 2 * part + 100) text += filling;
      text[at] = '\xFF';
      check_all_ways(text,
                     "closed 1006 sent=1007 error=invalid_utf8 \"a text message is not UTF-8 at "
                     "its byte " +
                         std::to_string(at) + "\"");
    }
  }
}

TEST_CASE("a long text: a part of ASCII behind a cut character is not good") {
  std::string text(2 * part, 'a');
  text[part - 1] = '\xC3';
  check_all_ways(text,
                 "closed 1006 sent=1007 error=invalid_utf8 \"a text message is not UTF-8 at its "
                 "byte 16384\"");
}
