// Addresses and networks: RFC 4291 section 2.2, RFC 5952.
#include "timtow/ip_address.hpp"

#include <doctest/doctest.h>

#include <ostream>
#include <string>

using namespace timtow;

namespace {

// As it is written back; empty for what is none.
std::string shown(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address ? to_string(*address) : std::string{};
}

Networks networks(const std::vector<std::string>& texts) {
  Networks all;
  const Error error = Networks::parse(texts, all);
  CHECK_MESSAGE(!error, error.text);
  return all;
}

bool contains(const Networks& all, std::string_view text) {
  return all.contains(*IpAddress::parse(text));
}

}  // namespace

TEST_CASE("addresses: what is one, and how it is written") {
  const char* const same[] = {"0.0.0.0", "192.0.2.1",   "255.255.255.255", "::",
                              "::1",     "2001:db8::1", "fe80::",          "1:2:3:4:5:6:7:8",
                              "1::8",    "1:2::7:8",    "1:0:0:4::8",      "1:2:3:4:5:6:7:0"};
  for (const char* each : same) CHECK(shown(each) == each);
  CHECK(shown("2001:DB8:0:0:0:0:0:1") == "2001:db8::1");
  CHECK(shown("1:0:3:4:5:6:7:8") == "1:0:3:4:5:6:7:8");  // one group alone is written
  CHECK(shown("1::3:4:5:6:7:8") == "1:0:3:4:5:6:7:8");
  CHECK(shown("1:0:0:4:0:0:0:8") == "1:0:0:4::8");    // the longest run
  CHECK(shown("1:0:0:4:5:0:0:8") == "1::4:5:0:0:8");  // the first of them
  CHECK(shown("0001::000a") == "1::a");
  CHECK(shown("::ffff:192.0.2.1") == "192.0.2.1");
  CHECK(shown("::FFFF:c000:201") == "192.0.2.1");
  CHECK(shown("64:ff9b::192.0.2.1") == "64:ff9b::c000:201");
  CHECK(shown("1:2:3:4:5:6:192.0.2.1") == "1:2:3:4:5:6:c000:201");
}

TEST_CASE("addresses: what is none") {
  const char* const none[] = {"",
                              "1",
                              "1.2.3",
                              "1.2.3.4.5",
                              "1.2.3.",
                              ".1.2.3",
                              "1..2.3",
                              "256.1.1.1",
                              "01.2.3.4",  // octal to some
                              "1.2.3.4 ",
                              " 1.2.3.4",
                              "0x1.2.3.4",
                              "-1.2.3.4",
                              "1.2.3.4/8",
                              "1.2.3.4:80",
                              ":",
                              ":::",
                              "1:",
                              ":1",
                              "1::2::3",
                              "1:2:3:4:5:6:7",
                              "1:2:3:4:5:6:7:8:9",
                              "1:2:3:4:5:6:7::8:9",
                              "1:2:3:4::5:6:7:8",
                              "::12345",
                              "::g",
                              "::1%eth0",
                              "[::1]",
                              "::1.2.3",
                              "::1.2.3.4:5",
                              "1:2:3:4:5:6:7:1.2.3.4",
                              "1:::2",
                              "example.org"};
  for (const char* each : none) {
    CAPTURE(each);
    CHECK(shown(each).empty());
  }
}

TEST_CASE("networks: an address is in one by the bits that count") {
  CHECK(contains(networks({"10.0.0.0/8"}), "10.255.0.1"));
  CHECK_FALSE(contains(networks({"10.0.0.0/8"}), "11.0.0.1"));
  CHECK(contains(networks({"192.0.2.128/25"}), "192.0.2.129"));
  CHECK_FALSE(contains(networks({"192.0.2.128/25"}), "192.0.2.127"));
  CHECK(contains(networks({"127.0.0.1"}), "127.0.0.1"));
  CHECK_FALSE(contains(networks({"127.0.0.1"}), "127.0.0.2"));
  CHECK(contains(networks({"127.0.0.1"}), "::ffff:127.0.0.1"));  // as a socket for both tells it
  CHECK(contains(networks({"0.0.0.0/0"}), "192.0.2.1"));
  CHECK_FALSE(contains(networks({"0.0.0.0/0"}), "2001:db8::1"));
  CHECK(contains(networks({"::/0"}), "192.0.2.1"));
  CHECK(contains(networks({"2001:db8::/33"}), "2001:db8:7fff::1"));
  CHECK_FALSE(contains(networks({"2001:db8::/33"}), "2001:db8:8000::1"));
  CHECK(contains(networks({"::ffff:10.0.0.0/104"}), "10.9.9.9"));
  CHECK(contains(networks({"192.0.2.1", "::1"}), "::1"));
  CHECK_FALSE(contains(networks({}), "::1"));
  CHECK(networks({}).empty());
}

TEST_CASE("networks: bits behind the prefix are a mistake, and what was meant is said") {
  const char* const examples[][2] = {
      {"10.1.2.3/8", "10.0.0.0/8"},         {"192.0.2.129/25", "192.0.2.128/25"},
      {"1.2.3.4/0", "0.0.0.0/0"},           {"::1/8", "::/8"},
      {"2001:db8::1/32", "2001:db8::/32"},  {"2001:db8:ffff::/33", "2001:db8:8000::/33"},
      {"::ffff:10.0.0.0/8", "10.0.0.0/8"},  {"::ffff:10.1.2.3/104", "10.0.0.0/8"},
      {"::ffff:10.0.0.1/64", "10.0.0.1/32"}};
  for (const auto& [text, meant] : examples) {
    Networks all = networks({"127.0.0.1"});
    const Error error = Networks::parse({"::1", text}, all);
    CHECK(error.code == errc::bad_address);
    CHECK(error.text == '"' + std::string{text} +
                            "\" is an address within a network; the network is written " + meant);
    CHECK(contains(all, "127.0.0.1"));
    CHECK_FALSE(contains(all, "::1"));
    CHECK_FALSE(networks({meant}).empty());
  }
}

TEST_CASE("networks: a Unix socket is in one by being one, and a link-local address without zone") {
  const Endpoint unix_peer{.host = {}, .port = 0, .path = "/run/x"};
  const Endpoint link_local{.host = "fe80::1%eth0", .port = 1, .path = {}};
  const Endpoint name{.host = "localhost", .port = 1, .path = {}};
  CHECK(networks({"unix:"}).contains(unix_peer));
  CHECK_FALSE(networks({"unix:"}).empty());
  CHECK_FALSE(networks({"unix:"}).contains(link_local));
  CHECK_FALSE(networks({"::/0"}).contains(unix_peer));
  CHECK(networks({"fe80::/10"}).contains(link_local));
  CHECK_FALSE(networks({"0.0.0.0/0", "::/0"}).contains(name));
  CHECK_FALSE(networks({"::/0"}).contains(Endpoint{}));
}

TEST_CASE("networks: what is none is named, and the list stays as it was") {
  for (const char* each : {"", "10", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08",
                           "::/129", "10.0.0.0/8/8", "localhost", "unix:/run/x", "10.0.0.0/8 "}) {
    CAPTURE(each);
    Networks all = networks({"127.0.0.1"});
    const Error error = Networks::parse({"::1", each}, all);
    CHECK(error.code == errc::bad_address);
    CHECK(error.text == '"' + std::string{each} +
                            "\" is no network; networks look like 10.0.0.0/8, 127.0.0.1, "
                            "2001:db8::/32, ::1 or unix:");
    CHECK(contains(all, "127.0.0.1"));
    CHECK_FALSE(contains(all, "::1"));
  }
}
