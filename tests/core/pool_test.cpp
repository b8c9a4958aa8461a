// Blocks that are borrowed and given back, their budget, and buffers that grow in them.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "timtow/bytes.hpp"
#include "timtow/pool.hpp"

namespace {

using namespace timtow;

constexpr std::size_t no_budget = static_cast<std::size_t>(-1);

}  // namespace

TEST_CASE("a block is at least as large as asked for, and of one of five sizes up to 64 KiB") {
  struct {
    std::size_t asked;
    std::size_t given;
  } const sizes[] = {{0, 256},          {1, 256},         {256, 256},       {257, 1024},
                     {1024, 1024},      {1025, 4096},     {4096, 4096},     {4097, 16'384},
                     {16'384, 16'384},  {16'385, 65'536}, {65'536, 65'536}, {65'537, 65'537},
                     {100'000, 100'000}};
  for (const auto& each : sizes) {
    CAPTURE(each.asked);
    Pool pool;
    const Block block = pool.allocate(each.asked);
    REQUIRE(block);
    CHECK(block.size == each.given);
    CHECK(pool.in_use() == each.given);
    std::memset(block.data, 0xAA, block.size);
    pool.release(block);
    CHECK(pool.in_use() == 0);
  }
}

TEST_CASE("a block that was given back is given out again") {
  Pool pool;
  for (const std::size_t size : {256UL, 1024UL, 4096UL, 16'384UL, 65'536UL}) {
    const Block first = pool.allocate(size);
    const Block second = pool.allocate(size);
    REQUIRE(first);
    REQUIRE(second);
    CHECK(first.data != second.data);
    pool.release(first);
    pool.release(second);
    const Block third = pool.allocate(size);
    const Block fourth = pool.allocate(size);
    CHECK(((third.data == second.data && fourth.data == first.data) ||
           (third.data == first.data && fourth.data == second.data)));
    pool.release(third);
    pool.release(fourth);
  }
  CHECK(pool.in_use() == 0);
}

TEST_CASE("the budget bounds what is out at once") {
  Pool pool{1024};
  std::vector<Block> blocks;
  for (int i = 0; i < 4; ++i) {
    blocks.push_back(pool.allocate(200));
    REQUIRE(blocks.back());
  }
  CHECK(pool.in_use() == 1024);
  CHECK_FALSE(pool.allocate(1));
  CHECK(pool.in_use() == 1024);
  pool.release(blocks.back());
  blocks.pop_back();
  CHECK_FALSE(pool.allocate(257));  // would be 1024
  const Block again = pool.allocate(256);
  CHECK(again);
  pool.release(again);
  for (const auto& each : blocks) pool.release(each);
  CHECK(pool.in_use() == 0);
  CHECK_FALSE(pool.allocate(1025));
  CHECK_FALSE(pool.allocate(no_budget));
}

TEST_CASE("a grown block has the same bytes") {
  for (const std::size_t from : {256UL, 1024UL, 65'536UL, 100'000UL}) {
    for (const std::size_t to : {257UL, 5000UL, 65'536UL, 65'537UL, 1'000'000UL}) {
      CAPTURE(from);
      CAPTURE(to);
      Pool pool{no_budget, 0};
      Block block = pool.allocate(from);
      REQUIRE(block);
      for (std::size_t i = 0; i < block.size; ++i) block.data[i] = static_cast<std::byte>(i * 7);
      const std::size_t used = block.size;
      block = pool.grow(block, used, to);
      REQUIRE(block);
      CHECK(block.size >= to);
      CHECK(block.size >= from);
      CHECK(pool.in_use() == block.size);
      bool same = true;
      for (std::size_t i = 0; i < used; ++i)
        same = same && block.data[i] == static_cast<std::byte>(i * 7);
      CHECK(same);
      pool.release(block);
      CHECK(pool.in_use() == 0);
    }
  }
}

TEST_CASE("a block that cannot grow stays as it was") {
  for (const std::size_t size : {256UL, 100'000UL}) {
    CAPTURE(size);
    Pool pool{size + 100, 0};
    Block block = pool.allocate(size);
    REQUIRE(block);
    std::memset(block.data, 0x55, block.size);
    CHECK_FALSE(pool.grow(block, block.size, size + 101));
    CHECK(pool.in_use() == size);
    CHECK(block.data[size - 1] == std::byte{0x55});
    pool.release(block);
    CHECK(pool.in_use() == 0);
  }
}

TEST_CASE("a block of nothing grows into one") {
  Pool pool;
  const Block block = pool.grow({}, 0, 10);
  REQUIRE(block);
  CHECK(block.size == 256);
  pool.release(block);
}

TEST_CASE("a buffer grows with what is put in") {
  Pool pool{no_budget, 0};
  Buffer buffer{pool};
  CHECK(buffer.empty());
  CHECK(pool.in_use() == 0);
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string part(static_cast<std::size_t>(i % 60), static_cast<char>('a' + i % 26));
    REQUIRE(buffer.append(as_bytes(part).data(), part.size()));
    expected += part;
    CHECK(pool.in_use() <= std::max<std::size_t>(256, 4 * expected.size()));
  }
  CHECK(as_text({buffer.data(), buffer.size()}) == expected);
  buffer.release();
  CHECK(buffer.empty());
  CHECK(pool.in_use() == 0);
  REQUIRE(buffer.append(as_bytes("again").data(), 5));
  CHECK(as_text({buffer.data(), buffer.size()}) == "again");
}

TEST_CASE("a buffer has room where it is reserved, and keeps it when it is committed") {
  Pool pool{no_budget, 0};
  Buffer buffer{pool};
  std::byte* const at = buffer.reserve(1000);
  REQUIRE(at != nullptr);
  CHECK(buffer.room() >= 1000);
  CHECK(buffer.empty());
  std::memset(at, 'x', 1000);
  buffer.commit(600);
  CHECK(buffer.size() == 600);
  CHECK(buffer.reserve(400) == at + 600);
  buffer.commit(400);
  CHECK(as_text({buffer.data(), buffer.size()}) == std::string(1000, 'x'));
}

TEST_CASE("a buffer drops what is in front") {
  Pool pool{no_budget, 0};
  Buffer buffer{pool};
  REQUIRE(buffer.append(as_bytes("0123456789").data(), 10));
  buffer.drop(7);
  CHECK(as_text({buffer.data(), buffer.size()}) == "789");
  REQUIRE(buffer.append(as_bytes("ab").data(), 2));
  CHECK(as_text({buffer.data(), buffer.size()}) == "789ab");
  buffer.drop(5);
  CHECK(buffer.empty());
}

TEST_CASE("a buffer without memory keeps what it has") {
  Pool pool{1024 + 256, 0};
  Buffer buffer{pool};
  const std::string text(1000, 'x');
  REQUIRE(buffer.append(as_bytes(text).data(), text.size()));
  CHECK_FALSE(buffer.append(as_bytes(text).data(), text.size()));
  CHECK(buffer.reserve(5000) == nullptr);
  CHECK(as_text({buffer.data(), buffer.size()}) == text);
  REQUIRE(buffer.append(as_bytes(text).data(), 24));  // there is room in the block
  CHECK(buffer.size() == 1024);
}

TEST_CASE("a buffer takes the exact size where the budget does not allow to double") {
  Pool pool{350'000, 0};
  Buffer buffer{pool};
  const std::string text(100'000, 'x');
  REQUIRE(buffer.append(as_bytes(text).data(), text.size()));
  REQUIRE(buffer.append(as_bytes(text).data(), text.size()));
  REQUIRE(buffer.append(as_bytes(text).data(), text.size()));
  CHECK(buffer.size() == 300'000);
  CHECK_FALSE(buffer.append(as_bytes(text).data(), text.size()));
  CHECK(buffer.size() == 300'000);
}

TEST_CASE("a large block is kept as well, for whoever asks for more than a quarter of it") {
  Pool pool{no_budget, 1'000'000};
  const Block first = pool.allocate(400'000);
  REQUIRE(first.size == 400'000);
  pool.release(first);
  const Block fresh = pool.allocate(100'000);  // no more than a quarter
  CHECK(fresh.size == 100'000);
  const Block again = pool.allocate(100'001);
  CHECK(again.data == first.data);
  CHECK(again.size == 400'000);
  CHECK(pool.in_use() == 500'000);
  const Block larger = pool.allocate(400'001);
  CHECK(larger.size == 400'001);
  pool.release(again);
  pool.release(fresh);
  const Block exact = pool.allocate(400'000);
  CHECK(exact.data == first.data);
  pool.release(exact);
  pool.release(larger);
  CHECK(pool.in_use() == 0);
}

TEST_CASE("a block that grows takes a large one that is free, or grows as the system likes") {
  for (const bool is_one_free : {false, true}) {
    CAPTURE(is_one_free);
    Pool pool;
    if (is_one_free) pool.release(pool.allocate(300'000));
    Block block = pool.allocate(80'000);
    std::memset(block.data, 'x', 80'000);
    block = pool.grow(block, 80'000, 200'000);
    REQUIRE(block);
    CHECK(block.size == (is_one_free ? 300'000 : 200'000));
    CHECK(std::string(reinterpret_cast<const char*>(block.data), 80'000) ==
          std::string(80'000, 'x'));
    CHECK(pool.in_use() == block.size);
    pool.release(block);
    CHECK(pool.in_use() == 0);
  }
}

TEST_CASE("large blocks that are kept count against what may be kept, and against the budget") {
  Pool pool{300'000, 150'000};
  const Block first = pool.allocate(100'000);
  const Block second = pool.allocate(100'000);
  REQUIRE(second);
  CHECK_FALSE(pool.allocate(100'001));
  pool.release(first);
  pool.release(second);  // there is no room to keep it
  const Block again = pool.allocate(100'000);
  CHECK(again.data == first.data);
  const Block rest = pool.allocate(200'000);
  CHECK(rest);
  pool.release(again);
  CHECK_FALSE(pool.allocate(100'001));
  pool.release(rest);
}

TEST_CASE("a large block that is free and over what is left of the budget is not given out") {
  Pool pool{300'000};
  const Block large = pool.allocate(250'000);
  pool.release(large);
  const Block some = pool.allocate(100'000);
  CHECK(some.data == large.data);
  pool.release(some);
  const Block small = pool.allocate(60'000);  // 64 KiB
  const Block fresh = pool.allocate(100'000);
  CHECK(fresh.size == 100'000);
  CHECK(pool.in_use() <= 300'000);
  pool.release(fresh);
  pool.release(small);
  CHECK(pool.in_use() == 0);
}

TEST_CASE("what may be kept is there again when a large block is taken") {
  Pool pool{no_budget, 150'000};
  Block block = pool.allocate(100'000);
  for (int i = 0; i < 5; ++i) {
    pool.release(block);
    const Block again = pool.allocate(90'000);
    CHECK(again.data == block.data);
    CHECK(again.size == 100'000);
    block = again;
  }
  pool.release(block);
}

TEST_CASE("a free block is given out within the budget, and kept within what may be kept") {
  Pool pool{4096, 1024};
  for (const std::size_t size : {4096UL, 1024UL}) {
    pool.release(pool.allocate(size));
    const Block again = pool.allocate_free(size);
    CHECK(static_cast<bool>(again) == (size == 1024));  // the larger was not kept
    if (again) pool.release(again);
  }
  Pool narrow{4096};
  narrow.release(narrow.allocate(4096));
  const Block small = narrow.allocate(1);
  CHECK_FALSE(narrow.allocate_free(4096));
  narrow.release(small);
}
