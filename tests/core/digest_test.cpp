#include <doctest/doctest.h>

#include <ostream>
#include <string>
#include <string_view>

#include "support/hex.hpp"
#include "timtow/digest.hpp"

using namespace timtow;
using test::hex;

namespace {

std::string sha1_of(std::string_view text) { return hex(sha1(as_bytes(text))); }

std::string md5_of(std::string_view text) { return hex(md5(as_bytes(text))); }

std::string base64_of(std::string_view text) { return base64(as_bytes(text)); }

}  // namespace

TEST_CASE("sha1: the examples of FIPS 180 and RFC 3174 section 7.3") {
  CHECK(sha1_of("") == "da 39 a3 ee 5e 6b 4b 0d 32 55 bf ef 95 60 18 90 af d8 07 09");
  CHECK(sha1_of("abc") == "a9 99 3e 36 47 06 81 6a ba 3e 25 71 78 50 c2 6c 9c d0 d8 9d");
  CHECK(sha1_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "84 98 3e 44 1c 3b d2 6e ba ae 4a a1 f9 51 29 e5 e5 46 70 f1");
  CHECK(
      sha1_of("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmn"
              "opqrlmnopqrsmnopqrstnopqrstu") ==
      "a4 9b 24 46 a0 2c 64 5b f4 19 f9 95 b6 70 91 25 3a 04 a2 59");
  CHECK(sha1_of("a") == "86 f7 e4 37 fa a5 a7 fc e1 5d 1d dc b9 ea ea ea 37 76 67 b8");
  CHECK(sha1_of(std::string(1'000'000, 'a')) ==
        "34 aa 97 3c d4 c4 da a4 f6 1e eb 2b db ad 27 31 65 34 01 6f");
  std::string ten;
  for (int i = 0; i < 80; ++i) ten += "01234567";
  CHECK(sha1_of(ten) == "de a3 56 a2 cd dd 90 c7 a7 ec ed c5 eb b5 63 93 4f 46 04 52");
}

// Every length up to two blocks and a bit, so that the padding begins at every place in a block.
// The digests of all prefixes, one behind the other, have this digest (by Python's hashlib).
TEST_CASE("sha1: every length from 0 to 130") {
  std::string message;
  std::string digests;
  for (int length = 0; length <= 130; ++length) {
    digests += as_text(sha1(as_bytes(message)));
    message += static_cast<char>((length * 7 + 3) % 256);
  }
  REQUIRE(digests.size() == 131 * 20);
  CHECK(sha1_of(digests) == "b5 fe d4 93 5d b7 43 80 bc 13 7c 89 24 3f 5f 29 ec 8f cd 55");
}

TEST_CASE("md5: the examples of RFC 1321 section A.5") {
  CHECK(md5_of("") == "d4 1d 8c d9 8f 00 b2 04 e9 80 09 98 ec f8 42 7e");
  CHECK(md5_of("a") == "0c c1 75 b9 c0 f1 b6 a8 31 c3 99 e2 69 77 26 61");
  CHECK(md5_of("abc") == "90 01 50 98 3c d2 4f b0 d6 96 3f 7d 28 e1 7f 72");
  CHECK(md5_of("message digest") == "f9 6b 69 7d 7c b7 93 8d 52 5a 2f 31 aa f1 61 d0");
  CHECK(md5_of("abcdefghijklmnopqrstuvwxyz") == "c3 fc d3 d7 61 92 e4 00 7d fb 49 6c ca 67 e1 3b");
  CHECK(md5_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") ==
        "d1 74 ab 98 d2 77 d9 f5 a5 61 1c 2c 9f 41 9d 9f");
}

// As of sha1 above.
TEST_CASE("md5: every length from 0 to 130") {
  std::string message;
  std::string digests;
  for (int length = 0; length <= 130; ++length) {
    digests += as_text(md5(as_bytes(message)));
    message += static_cast<char>((length * 7 + 3) % 256);
  }
  REQUIRE(digests.size() == 131 * 16);
  CHECK(md5_of(digests) == "c1 1b 16 7a 87 68 34 df 01 31 9a 53 27 58 e5 ba");
}

TEST_CASE("base64: the examples of RFC 4648 section 10") {
  CHECK(base64_of("").empty());
  CHECK(base64_of("f") == "Zg==");
  CHECK(base64_of("fo") == "Zm8=");
  CHECK(base64_of("foo") == "Zm9v");
  CHECK(base64_of("foob") == "Zm9vYg==");
  CHECK(base64_of("fooba") == "Zm9vYmE=");
  CHECK(base64_of("foobar") == "Zm9vYmFy");
}

TEST_CASE("base64: the whole alphabet and bytes with the top bit set") {
  CHECK(
      base64_of({"\x00\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\x93\x51\x55\x97\x61\x96"
                 "\x9b\x71\xd7\x9f\x82\x18\xa3\x92\x59\xa7\xa2\x9a\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3"
                 "\x5d\xb7\xe3\x9e\xbb\xf3\xdf\xbf",
                 48}) == "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
  CHECK(base64_of({"\0", 1}) == "AA==");
  CHECK(base64_of("\xff") == "/w==");
  CHECK(base64_of("\xff\xff") == "//8=");
}

// RFC 6455 section 4.2.1 item 5: a key is the base64 form of 16 bytes.
TEST_CASE("is_base64_of_16_bytes: keys that are one") {
  CHECK(is_base64_of_16_bytes("dGhlIHNhbXBsZSBub25jZQ=="));
  CHECK(is_base64_of_16_bytes("AAAAAAAAAAAAAAAAAAAAAA=="));
  CHECK(is_base64_of_16_bytes("/////////////////////w=="));
  CHECK(is_base64_of_16_bytes("+/+/+/+/+/+/+/+/+/+/+g=="));
  for (int first = 0; first < 256; ++first) {
    std::string bytes(16, static_cast<char>(first));
    bytes.back() = static_cast<char>(255 - first);
    CHECK(is_base64_of_16_bytes(base64_of(bytes)));
  }
}

TEST_CASE("is_base64_of_16_bytes: keys that are none") {
  CHECK_FALSE(is_base64_of_16_bytes(""));
  CHECK_FALSE(is_base64_of_16_bytes("=="));
  CHECK_FALSE(is_base64_of_16_bytes(base64_of(std::string(15, 'x'))));
  CHECK_FALSE(is_base64_of_16_bytes(base64_of(std::string(17, 'x'))));
  CHECK_FALSE(is_base64_of_16_bytes(base64_of(std::string(18, 'x'))));
  CHECK_FALSE(is_base64_of_16_bytes("dGhlIHNhbXBsZSBub25jZQ="));
  CHECK_FALSE(is_base64_of_16_bytes("dGhlIHNhbXBsZSBub25jZQ==="));
  CHECK_FALSE(is_base64_of_16_bytes("dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ=="));
  CHECK_FALSE(is_base64_of_16_bytes("dGhlIHNhbXBsZSBub25jZR=="));  // bits that nothing stands for
  CHECK_FALSE(is_base64_of_16_bytes("dGhlIHNhbXBsZSBub25jZQA="));
  CHECK_FALSE(is_base64_of_16_bytes("dGhlIHNhbXBsZSBub25jZQ=A"));
  CHECK_FALSE(is_base64_of_16_bytes("=GhlIHNhbXBsZSBub25jZQ=="));
  CHECK_FALSE(is_base64_of_16_bytes("dGhlIHNhbXBs-SBub25jZQ=="));  // the alphabet for URLs
  CHECK_FALSE(is_base64_of_16_bytes("dGhlIHNhbXBs SBub25jZQ=="));
}

TEST_CASE("accept_for: the example of RFC 6455 sections 1.3 and 4.2.2") {
  CHECK(accept_for("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK(accept_for("x3JJHMbDL1EzLkh9GBhXDw==") == "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
}
