// The PROXY protocol's header, versions 1 and 2.
#include "timtow/proxy_protocol.hpp"

#include <doctest/doctest.h>

#include <ostream>
#include <string>

using namespace timtow;
using namespace std::string_literals;

namespace {

using Result = ProxyHeader::Result;

const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    if (text[i] == ' ') ++i;
    bytes += static_cast<char>(std::stoi(std::string{text.substr(i, 2)}, nullptr, 16));
  }
  return bytes;
}

std::string v2(int version_and_command, int family, const std::string& rest) {
  return signature + static_cast<char>(version_and_command) + static_cast<char>(family) +
         static_cast<char>(rest.size() >> 8U) + static_cast<char>(rest.size()) + rest;
}

// What is made of the bytes with more behind them, and that it is made of no fewer of them, and at
// the same byte however they come.
std::string read(const std::string& bytes) {
  const auto describe = [](std::string_view text) {
    ProxyHeader header;
    switch (ProxyHeader::parse(as_bytes(text), header)) {
      case Result::incomplete:
        return "incomplete"s;
      case Result::none:
        return "none"s;
      case Result::bad:
        return "bad"s;
      case Result::complete:
        break;
    }
    return std::to_string(header.size) + ' ' + (header.client ? to_string(*header.client) : "-");
  };
  std::string first = "incomplete";
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const std::string now = describe(std::string_view{bytes}.substr(0, size));
    if (first == "incomplete")
      first = now;
    else
      CHECK(now == first);
  }
  if (first != "incomplete") CHECK(describe(bytes + "GET / HTTP/1.1\r\n") == first);
  return first;
}

}  // namespace

TEST_CASE("PROXY protocol 1: addresses, and what says nothing of them") {
  CHECK(read("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n") == "42 192.0.2.1:56324");
  CHECK(read("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n") == "36 [2001:db8::1]:0");
  CHECK(read("PROXY UNKNOWN\r\n") == "15 unknown:0");
  CHECK(read("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n") == "59 unknown:0");
  CHECK(read("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:"
             "ffff:ffff 65535 65535\r\n") == "104 [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

TEST_CASE("PROXY protocol 1: what is malformed, or longer than 107 bytes") {
  for (const char* line :
       {"PROXY ", "PROXY TCP4", "PROXY TCP5 192.0.2.1 192.0.2.2 1 2",
        "PROXY tcp4 192.0.2.1 192.0.2.2 1 2", "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 ",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3", "PROXY TCP4 192.0.2.1  192.0.2.2 1 2",
        "PROXY TCP4 ::1 192.0.2.2 1 2", "PROXY TCP4 192.0.2.1 ::1 1 2",
        "PROXY TCP6 192.0.2.1 ::1 1 2", "PROXY TCP4 192.0.2.256 192.0.2.2 1 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2", "PROXY TCP4 192.0.2.1 192.0.2.2 01 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2", "PROXY TCP4 192.0.2.1 192.0.2.2 1 x",
        "PROXY UNKNOWNX", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"})
    CHECK_MESSAGE(read(line + "\r\n"s) == "bad", line);
  CHECK(read("PROXY UNKNOWN " + std::string(91, 'x') + "\r\n") == "107 unknown:0");
  CHECK(read("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n") == "bad");
  CHECK(read("PROXY UNKNOWN " + std::string(93, 'x')) == "bad");
  CHECK(read("PROXY UNKNOWN\n") == "incomplete");
}

TEST_CASE("PROXY protocol 2: addresses of each family, and what stands behind them is skipped") {
  const std::string v4 = from_hex("c0000201 c0000202 dc04 01bb");
  const std::string v6 =
      from_hex("20010db8000000000000000000000001 00000000000000000000000000000001 dc04 01bb");
  CHECK(read(v2(0x21, 0x11, v4)) == "28 192.0.2.1:56324");
  CHECK(read(v2(0x21, 0x21, v6)) == "52 [2001:db8::1]:56324");
  std::string paths =
      "/run/client"s + std::string(97, '\0') + "/run/server"s + std::string(97, '\0');
  CHECK(read(v2(0x21, 0x31, paths)) == "232 unix:/run/client");
  CHECK(read(v2(0x21, 0x31, std::string(216, '\0'))) == "232 unknown:0");
  CHECK(read(v2(0x21, 0x31, std::string(216, 'x'))) == "232 unix:" + std::string(108, 'x'));
  const std::string tlvs = from_hex("04 0003 000000") + from_hex("ea 0002 ffff ff");
  CHECK(read(v2(0x21, 0x11, v4 + tlvs)) == std::to_string(28 + tlvs.size()) + " 192.0.2.1:56324");
  CHECK(read(v2(0x21, 0x11, v4 + std::string(4096 - 28, 'x'))) == "4096 192.0.2.1:56324");
}

TEST_CASE("PROXY protocol 2: what is the proxy's own has no client, whatever family it names") {
  const std::string v4 = from_hex("c0000201 c0000202 dc04 01bb");
  CHECK(read(v2(0x20, 0x00, "")) == "16 -");
  CHECK(read(v2(0x20, 0x11, v4)) == "28 -");
  CHECK(read(v2(0x20, 0x11, "x")) == "17 -");
  for (const int family : {0x41, 0xF1, 0x13, 0x1F, 0xFF})
    CHECK(read(v2(0x20, family, "x")) == "17 -");
}

TEST_CASE("PROXY protocol 2: a client of no stream, or of no family, is not known") {
  const std::string v4 = from_hex("c0000201 c0000202 dc04 01bb");
  CHECK(read(v2(0x21, 0x00, "")) == "16 unknown:0");
  CHECK(read(v2(0x21, 0x00, "skipped")) == "23 unknown:0");
  CHECK(read(v2(0x21, 0x12, v4)) == "28 unknown:0");
}

TEST_CASE("PROXY protocol 2: what is malformed, too short or too long") {
  const std::string v4 = from_hex("c0000201 c0000202 dc04 01bb");
  for (const int command : {0x11, 0x31, 0x01, 0x22, 0x2F})
    CHECK(read(v2(command, 0x11, v4)) == "bad");
  for (const int family : {0x41, 0xF1, 0x13, 0x1F}) CHECK(read(v2(0x21, family, v4)) == "bad");
  CHECK(read(v2(0x21, 0x11, v4.substr(1))) == "bad");
  CHECK(read(v2(0x21, 0x21, v4)) == "bad");
  CHECK(read(v2(0x21, 0x31, v4)) == "bad");
  CHECK(read(v2(0x21, 0x11, v4 + std::string(4096 - 27, 'x'))) == "bad");
  CHECK(read(v2(0x21, 0x11, std::string(65535, 'x')).substr(0, 16)) == "bad");
}

TEST_CASE("PROXY protocol: what is none is told from the first byte that differs") {
  CHECK(read("") == "incomplete");
  CHECK(read("PROXY") == "incomplete");
  CHECK(read(signature) == "incomplete");
  CHECK(read(signature.substr(0, 11)) == "incomplete");
  CHECK(read("GET / HTTP/1.1\r\n") == "none");
  CHECK(read("PROXX") == "none");
  CHECK(read("POST") == "none");
  CHECK(read("\r\n\r\n\1") == "none");
  CHECK(read("\x16\x03\x01") == "none");
}
