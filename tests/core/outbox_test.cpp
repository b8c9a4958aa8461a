// The queue of output: order, addresses that stay, borrowed payloads, memory.
#include <doctest/doctest.h>

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
