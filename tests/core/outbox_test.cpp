// The queue of output: order, addresses that stay, borrowed payloads, memory.
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "timtow/outbox.hpp"

namespace {

using namespace timtow;

constexpr std::size_t no_budget = static_cast<std::size_t>(-1);

// All that waits, as one text. Sends nothing.
std::string content(const Outbox& outbox) {
  std::string all;
  const Gather output = outbox.output();
  for (std::size_t i = 0; i < output.size(); ++i) {
    CHECK_FALSE(output[i].empty());
    all += as_text(output[i]);
  }
  CHECK(all.size() == output.size_bytes());
  return all;
}

bool append(Outbox& outbox, std::string_view text) { return outbox.append(as_bytes(text)); }

}  // namespace

TEST_CASE("an outbox gives back what was put in, in order") {
  Pool pool{no_budget, 0};
  Outbox outbox{pool};
  CHECK(outbox.empty());
  CHECK(outbox.output().empty());
  CHECK(append(outbox, ""));
  CHECK(outbox.empty());
  CHECK(pool.in_use() == 0);

  CHECK(append(outbox, "Hel"));
  CHECK(append(outbox, "lo"));
  CHECK(outbox.size() == 5);
  CHECK(content(outbox) == "Hello");
  CHECK(outbox.output().size() == 1);  // small ones share a chunk, and leave together
  outbox.sent(5);
  CHECK(outbox.empty());
  CHECK(outbox.output().empty());
  CHECK(pool.in_use() == 0);
}

TEST_CASE("an outbox of many chunks, sent in steps of every size") {
  std::string all;
  for (std::size_t i = 0; i < 20'000; ++i) all += static_cast<char>('a' + i % 26);
  for (const std::size_t step : {1UL, 2UL, 7UL, 100UL, 4048UL, 4049UL, 5000UL, 20'000UL}) {
    CAPTURE(step);
    Pool pool{no_budget, 0};
    Outbox outbox{pool};
    for (std::size_t at = 0; at < all.size();) {  // pieces of 0, 1, 2 ... bytes
      const std::size_t size = std::min(all.size() - at, at % 997);
      REQUIRE(append(outbox, std::string_view{all}.substr(at, size)));
      at += size;
      if (size == 0) REQUIRE(append(outbox, std::string_view{all}.substr(at++, 1)));
    }
    REQUIRE(outbox.size() == all.size());
    std::string out;
    while (!outbox.empty()) {
      const std::size_t size = std::min(step, outbox.output().size_bytes());
      out += content(outbox).substr(0, size);
      outbox.sent(size);
      CHECK(outbox.size() == all.size() - out.size());
    }
    CHECK(out == all);
    CHECK(pool.in_use() == 0);
  }
}

TEST_CASE("bytes that were shown stay at their address until they are sent") {
  Pool pool{no_budget, 0};
  Outbox outbox{pool};
  struct Shown {
    const std::byte* at;
    std::size_t size;
    std::string text;
  };
  REQUIRE(append(outbox, "first"));
  const std::string borrowed(5000, 'b');
  REQUIRE(outbox.append_and_borrow(as_bytes("head"), as_bytes(borrowed)));
  REQUIRE(append(outbox, "last"));
  REQUIRE(outbox.own());
  std::vector<Shown> shown;
  const Gather before = outbox.output();
  for (std::size_t i = 0; i < before.size(); ++i)
    shown.push_back({before[i].data(), before[i].size(), std::string{as_text(before[i])}});
  REQUIRE(shown.size() == 3);  // "first" and "head" share one

  for (int i = 0; i < 200; ++i) REQUIRE(append(outbox, std::string(100, 'x')));
  REQUIRE(outbox.own());
  for (const auto& each : shown) CHECK(as_text({each.at, each.size}) == each.text);

  outbox.sent(3);
  CHECK(outbox.output().front().data() == shown[0].at + 3);
  CHECK(as_text({shown[0].at + 3, shown[0].size - 3}) == "sthead");
  CHECK(as_text({shown[1].at, shown[1].size}) == shown[1].text);
}

TEST_CASE("output shows at most sixteen spans, and the others when these are sent") {
  Pool pool{no_budget, 0};
  Outbox outbox{pool};
  const std::string body(10, 'b');
  for (int i = 0; i < 40; ++i) REQUIRE(outbox.append_and_borrow(as_bytes("h"), as_bytes(body)));
  CHECK(outbox.size() == 40 * 11);
  CHECK(outbox.output().size() == Gather::capacity);
  std::string all;
  while (!outbox.empty()) {
    all += content(outbox);
    outbox.sent(outbox.output().size_bytes());
  }
  std::string expected;
  for (int i = 0; i < 40; ++i) expected += 'h' + body;
  CHECK(all == expected);
}

TEST_CASE("a borrowed payload is shown where it is, and copied by own()") {
  Pool pool{no_budget, 0};
  Outbox outbox{pool};
  std::string body(5000, 'b');
  REQUIRE(append(outbox, "before "));
  REQUIRE(outbox.append_and_borrow(as_bytes("head "), as_bytes(body)));
  REQUIRE(append(outbox, " behind"));
  CHECK(outbox.size() == 7 + 5 + 5000 + 7);
  const Gather output = outbox.output();
  REQUIRE(output.size() == 3);
  CHECK(as_text(output[0]) == "before head ");
  CHECK(as_text(output[1]).data() == body.data());
  CHECK(as_text(output[2]) == " behind");

  const std::string expected = "before head " + body + " behind";
  REQUIRE(outbox.own());
  std::fill(body.begin(), body.end(), '?');
  CHECK(content(outbox) == expected);
  CHECK(outbox.size() == expected.size());
  REQUIRE(append(outbox, "!"));
  CHECK(content(outbox) == expected + '!');
  outbox.sent(expected.size() + 1);
  CHECK(pool.in_use() == 0);
}

TEST_CASE("a borrowed payload, sent in part at every byte before it is owned") {
  const std::string body = "0123456789";
  const std::string expected = "ab" + body + "cd";
  for (std::size_t sent = 0; sent <= expected.size(); ++sent) {
    CAPTURE(sent);
    Pool pool{no_budget, 0};
    Outbox outbox{pool};
    std::string borrowed = body;
    REQUIRE(append(outbox, "a"));
    REQUIRE(outbox.append_and_borrow(as_bytes("b"), as_bytes(borrowed)));
    REQUIRE(append(outbox, "cd"));
    outbox.sent(sent);
    REQUIRE(outbox.own());
    std::fill(borrowed.begin(), borrowed.end(), '?');
    REQUIRE(append(outbox, "ef"));
    CHECK(outbox.size() == expected.size() - sent + 2);
    CHECK(content(outbox) == expected.substr(sent) + "ef");
    outbox.sent(outbox.size());
    CHECK(outbox.empty());
    CHECK(pool.in_use() == 0);
  }
}

TEST_CASE("an outbox without memory takes nothing, and keeps what it has") {
  SUBCASE("none at all") {
    Pool pool{0};
    Outbox outbox{pool};
    CHECK_FALSE(append(outbox, "Hello"));
    CHECK_FALSE(outbox.append_and_borrow(as_bytes("head"), as_bytes("body")));
    CHECK(outbox.empty());
    CHECK(outbox.output().empty());
  }
  SUBCASE("for the first chunk") {
    Pool pool{4096, 0};
    Outbox outbox{pool};
    CHECK(append(outbox, "Hello"));
    CHECK_FALSE(append(outbox, std::string(5000, 'x')));
    CHECK(content(outbox) == "Hello");
    CHECK(append(outbox, ", World"));  // there is room in the chunk
    CHECK(content(outbox) == "Hello, World");
  }
  SUBCASE("for a borrowed payload's head, or for its place in the queue") {
    for (const std::size_t budget : {255UL, 256UL, 4095UL, 4096UL}) {
      CAPTURE(budget);
      Pool pool{budget, 0};
      Outbox outbox{pool};
      CHECK_FALSE(outbox.append_and_borrow(as_bytes("head"), as_bytes("body")));
      CHECK(outbox.empty());
      CHECK(pool.in_use() == 0);
    }
  }
  SUBCASE("to own what is borrowed") {
    Pool pool{4096 + 2 * 256, 0};
    Outbox outbox{pool};
    const std::string first(100, '1');
    const std::string second(5000, '2');
    REQUIRE(outbox.append_and_borrow(as_bytes("a"), as_bytes(first)));
    REQUIRE(outbox.append_and_borrow(as_bytes(""), as_bytes(second)));
    CHECK_FALSE(outbox.own());
    CHECK(content(outbox) == "a" + first + second);
    CHECK(outbox.size() == 5101);
  }
}

TEST_CASE("an outbox that goes gives back its memory") {
  Pool pool{no_budget, 0};
  {
    Outbox outbox{pool};
    REQUIRE(append(outbox, std::string(10'000, 'x')));
    REQUIRE(outbox.append_and_borrow(as_bytes("head"), as_bytes("body")));
    REQUIRE(append(outbox, "Hello"));
    CHECK(pool.in_use() != 0);
    outbox.clear();
    CHECK(outbox.empty());
    CHECK(outbox.output().empty());
    CHECK(pool.in_use() == 0);
    REQUIRE(append(outbox, "again"));
    CHECK(content(outbox) == "again");
  }
  CHECK(pool.in_use() == 0);
}

// -- The tray -------------------------------------------------------------------------------------

TEST_CASE("the tray is taken by an empty outbox, comes back when its bytes are sent, and is one") {
  Pool pool{no_budget, 0};
  Outbox::lay_tray(pool);
  Outbox first{pool};
  Outbox second{pool};
  REQUIRE(append(first, "Hello"));
  CHECK(pool.in_use() == 0);
  const std::byte* const tray = first.output().front().data();

  REQUIRE(append(second, "World"));  // out: another has it
  CHECK(pool.in_use() == 4096);
  CHECK(content(second) == "World");

  first.sent(2);
  CHECK(content(first) == "llo");
  REQUIRE(append(first, "!"));
  CHECK(content(first) == "llo!");
  first.sent(4);
  second.sent(5);
  CHECK(pool.in_use() == 0);
  for (Outbox* outbox : {&second, &first}) {
    REQUIRE(append(*outbox, "again"));
    CHECK(outbox->output().front().data() == tray);
    CHECK(content(*outbox) == "again");
    outbox->sent(5);
  }
}

TEST_CASE("more than the tray holds goes on behind it") {
  Pool pool{no_budget, 0};
  Outbox::lay_tray(pool);
  Outbox outbox{pool};
  std::string all;
  for (int i = 0; i < 100; ++i) {
    const std::string part(1000, static_cast<char>('a' + i % 26));
    REQUIRE(append(outbox, part));
    all += part;
  }
  CHECK(outbox.size() == all.size());
  CHECK(outbox.output().front().size() > 60'000);
  std::string out;
  while (!outbox.empty()) {
    const std::size_t size = std::min<std::size_t>(7777, outbox.output().size_bytes());
    out += content(outbox).substr(0, size);
    outbox.sent(size);
  }
  CHECK(out == all);
  CHECK(pool.in_use() == 0);
}

TEST_CASE("own() moves what is left in the tray to memory of its own, and lends from it no more") {
  for (const std::size_t sent : {0UL, 1UL, 6UL}) {
    CAPTURE(sent);
    Pool pool{no_budget, 0};
    Outbox::lay_tray(pool);
    Outbox outbox{pool};
    std::string lent = " lent ";
    REQUIRE(append(outbox, "Hello,"));
    const std::byte* const tray = outbox.output().front().data();
    REQUIRE(outbox.borrow(as_bytes(lent)));
    REQUIRE(append(outbox, "end"));
    outbox.sent(sent);
    REQUIRE(outbox.own());
    lent.assign(lent.size(), '?');

    Outbox other{pool};
    REQUIRE(append(other, "mine now"));
    CHECK(other.output().front().data() == tray);
    CHECK(content(outbox) == std::string{"Hello, lent end"}.substr(sent));
    REQUIRE(append(outbox, "!"));
    CHECK(content(outbox) == std::string{"Hello, lent end!"}.substr(sent));
    outbox.sent(outbox.size());
    other.sent(8);
    CHECK(pool.in_use() == 0);
  }
}

TEST_CASE(
    "what is lent to an empty outbox is shown by the tray, which then holds bytes as before") {
  Pool pool{no_budget, 0};
  Outbox::lay_tray(pool);
  Outbox outbox{pool};
  std::string lent(5000, 'l');
  for (int i = 0; i < 2; ++i) {
    REQUIRE(outbox.borrow(as_bytes(lent)));
    CHECK(pool.in_use() == 0);
    CHECK(as_text(outbox.output().front()).data() == lent.data());
    outbox.sent(1000);
    REQUIRE(append(outbox, "behind"));
    CHECK(content(outbox) == lent.substr(1000) + "behind");
    outbox.sent(outbox.size());
  }
  REQUIRE(append(outbox, std::string(50'000, 'x')));
  CHECK(pool.in_use() == 0);
  CHECK(outbox.output().size() == 1);
  REQUIRE(append(outbox, std::string(20'000, 'y')));  // there is no room for that
  CHECK(outbox.output().size() == 2);
  outbox.clear();
  REQUIRE(outbox.borrow(as_bytes(lent)));
  outbox.sent(1);
  REQUIRE(outbox.own());
  std::fill(lent.begin(), lent.end(), '?');
  CHECK(content(outbox) == std::string(4999, 'l'));
}

// -- Memory that is taken over, or shared ---------------------------------------------------------

TEST_CASE("own() takes over the block of what it would copy, if most of it waits and comes last") {
  Pool pool{no_budget, 0};
  Buffer source{pool};
  const std::string text(10'000, 's');
  REQUIRE(source.append(as_bytes(text).data(), text.size()));
  const std::byte* const data = source.data();
  const Bytes bytes{source.data(), source.size()};
  Outbox outbox{pool};
  bool is_copied = true;
  SUBCASE("all of it") {
    REQUIRE(outbox.append_and_borrow(as_bytes("head"), bytes));
    is_copied = false;
  }
  SUBCASE("all but some") {
    REQUIRE(outbox.append_and_borrow(as_bytes("head"), bytes));
    outbox.sent(4 + 4000);
    is_copied = false;
  }
  SUBCASE("less than half") {
    REQUIRE(outbox.append_and_borrow(as_bytes("head"), bytes));
    outbox.sent(4 + 6000);
  }
  SUBCASE("with something behind it") {
    REQUIRE(outbox.append_and_borrow(as_bytes("head"), bytes));
    REQUIRE(append(outbox, "tail"));
  }
  std::string elsewhere = text;
  SUBCASE("not what is elsewhere") {
    REQUIRE(outbox.append_and_borrow(as_bytes("head"), as_bytes(elsewhere)));
  }
  SUBCASE("twice") {
    REQUIRE(outbox.append_and_borrow(as_bytes("head"), bytes));
    REQUIRE(outbox.append_and_borrow(as_bytes("head"), bytes));
    is_copied = false;
  }
  const std::string before = content(outbox);
  REQUIRE(outbox.own(&source));
  CHECK((source.data() == data) == is_copied);
  source.release();
  elsewhere.assign(elsewhere.size(), '?');
  CHECK(content(outbox) == before);
  outbox.sent(1);
  CHECK(content(outbox) == before.substr(1));
  outbox.sent(outbox.size());
  CHECK(pool.in_use() == 0);
}

TEST_CASE("shared bytes are shown where they are, and kept as long as somebody shows them") {
  Pool pool{no_budget, 0};
  const std::string text(1000, 't');
  std::optional message{PreparedMessage{{MessageType::text, as_bytes(text)}}};
  const std::weak_ptr<const std::byte[]> alive = message->shared();
  const Bytes frame = message->frame();
  {
    Outbox first{pool};
    Outbox second{pool};
    REQUIRE(append(first, "before"));
    REQUIRE(first.share(message->shared(), frame.size()));
    REQUIRE(append(first, "behind"));
    REQUIRE(second.share(message->shared(), frame.size()));
    const std::string expected{as_text(frame)};
    message.reset();
    CHECK(content(first) == "before" + expected + "behind");
    CHECK(first.output()[1].data() == second.output()[0].data());
    REQUIRE(first.own());
    CHECK(first.output()[1].data() == second.output()[0].data());
    first.sent(first.size());
    CHECK_FALSE(alive.expired());
    second.sent(500);
    CHECK(content(second) == expected.substr(500));
  }
  CHECK(alive.expired());
  CHECK(pool.in_use() == 0);
}

TEST_CASE("few shared bytes are copied where there is room, which costs less than a span") {
  Pool pool{no_budget, 0};
  const PreparedMessage message{{MessageType::text, as_bytes("few")}};
  Outbox outbox{pool};
  REQUIRE(append(outbox, "before"));
  REQUIRE(outbox.share(message.shared(), message.frame().size()));
  CHECK(outbox.output().size() == 1);
  CHECK(content(outbox) == "before" + std::string{as_text(message.frame())});
}

TEST_CASE("an outbox that is given up shows nothing, and keeps what it showed until it goes") {
  Pool pool{no_budget, 0};
  {
    Outbox outbox{pool};
    REQUIRE(append(outbox, "under way"));
    const Bytes shown = outbox.output().front();
    outbox.give_up();
    CHECK(outbox.empty());
    CHECK(outbox.output().empty());
    CHECK(as_text(shown) == "under way");
    outbox.sent(4);  // the operation that was under way tells so
    CHECK(outbox.empty());
    CHECK(pool.in_use() != 0);
  }
  CHECK(pool.in_use() == 0);
}

TEST_CASE("outbox: what is shared counts against the budget once it stays, until it is sent") {
  Pool pool;
  Outbox::lay_tray(pool);
  Outbox outbox{pool};
  const PreparedMessage message{{MessageType::binary, as_bytes(std::string(5000, 'x'))}};
  const std::size_t size = message.frame().size();
  const auto charged = [&] { return pool.in_use() / 1000; };  // in thousands: chunks are small
  CHECK(outbox.append(as_bytes("first")));  // in the tray, and so replaced by own()
  CHECK(outbox.share(message.shared(), size));
  CHECK(charged() == 0);
  CHECK(outbox.own());
  CHECK(charged() == 5);
  CHECK(outbox.share(message.shared(), size));
  CHECK(charged() == 10);
  outbox.sent(5 + size);
  CHECK(charged() == 5);
  CHECK(outbox.share(message.shared(), size));
  CHECK(charged() == 10);
  outbox.sent(2 * size);
  CHECK(pool.in_use() == 0);
  CHECK(outbox.share(message.shared(), size));
  CHECK(charged() == 0);
}

TEST_CASE("outbox: what is shared is refused when there is no budget for it to stay") {
  Pool pool{6000};
  Outbox outbox{pool};
  const PreparedMessage message{{MessageType::binary, as_bytes(std::string(5000, 'x'))}};
  const std::size_t size = message.frame().size();
  CHECK(outbox.share(message.shared(), size));
  CHECK(outbox.own());
  CHECK_FALSE(outbox.share(message.shared(), size));
  CHECK(outbox.size() == size);
  outbox.clear();
  CHECK(outbox.share(message.shared(), size));
  CHECK(outbox.share(message.shared(), size));
  CHECK_FALSE(outbox.own());
}
