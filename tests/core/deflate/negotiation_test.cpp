// What is offered, accepted and chosen: RFC 7692 sections 5 and 7.1.
#include <doctest/doctest.h>

#include "support/harness.hpp"
#include "timtow/deflate.hpp"
#include "timtow/extension.hpp"

namespace {

using namespace timtow;
using test::Harness;

// With context takeover, which the peer may then ask not to have.
constexpr DeflateOptions open_handed{.server_no_context_takeover = false,
                                     .client_no_context_takeover = false};

DeflateOptions with(int server_bits, int client_bits) {
  DeflateOptions options = open_handed;
  options.server_max_window_bits = server_bits;
  options.client_max_window_bits = client_bits;
  return options;
}

std::vector<std::string_view> list(std::string_view header) {
  return Headers{{{"Sec-WebSocket-Extensions", header}}}.list("Sec-WebSocket-Extensions");
}

// What a server answers; "none" when it declines.
std::string answer(std::string_view offers, const DeflateOptions& options = open_handed) {
  Pool pool;
  std::string text;
  const auto codec = Deflate{options}.accept(list(offers), pool, text);
  return codec == nullptr ? "none" : text;
}

// What a client says to an answer; "ok" when it suits.
std::string verdict(std::string_view chosen, const DeflateOptions& options = open_handed) {
  Pool pool;
  std::unique_ptr<Codec> codec;
  const Error error = Deflate{options}.confirm(list(chosen), pool, codec);
  if (!error) return codec == nullptr ? "none" : "ok";
  CHECK(codec == nullptr);
  CHECK(error.code == errc::bad_response);
  return error.text;
}

}  // namespace

TEST_CASE(
    "permessage-deflate, server: an offer is answered by what both can (RFC 7692 section 7.1)") {
  CHECK(answer("permessage-deflate") == "permessage-deflate");
  CHECK(answer("permessage-deflate; client_max_window_bits") == "permessage-deflate");
  CHECK(answer("permessage-deflate; client_max_window_bits=10") ==
        "permessage-deflate; client_max_window_bits=10");
  CHECK(answer("permessage-deflate; client_max_window_bits=15") ==
        "permessage-deflate; client_max_window_bits=15");
  CHECK(answer("permessage-deflate; server_max_window_bits=10") ==
        "permessage-deflate; server_max_window_bits=10");
  CHECK(answer("permessage-deflate; server_max_window_bits=8") ==
        "permessage-deflate; server_max_window_bits=8");
  CHECK(answer("permessage-deflate; server_no_context_takeover") ==
        "permessage-deflate; server_no_context_takeover");
  CHECK(answer("permessage-deflate; client_no_context_takeover") ==
        "permessage-deflate; client_no_context_takeover");
  CHECK(answer("permessage-deflate ;\tserver_max_window_bits = \"1\\2\"") ==
        "permessage-deflate; server_max_window_bits=12");
}

TEST_CASE("permessage-deflate, server: its own wishes") {
  CHECK(answer("permessage-deflate", {}) ==
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  CHECK(answer("permessage-deflate", with(9, 15)) ==
        "permessage-deflate; server_max_window_bits=9");
  CHECK(answer("permessage-deflate; server_max_window_bits=12", with(9, 15)) ==
        "permessage-deflate; server_max_window_bits=9");
  CHECK(answer("permessage-deflate; server_max_window_bits=9", with(12, 15)) ==
        "permessage-deflate; server_max_window_bits=9");
  // Only a client that says that it can be limited is (section 7.1.2.2).
  CHECK(answer("permessage-deflate", with(15, 9)) == "permessage-deflate");
  CHECK(answer("permessage-deflate; client_max_window_bits", with(15, 9)) ==
        "permessage-deflate; client_max_window_bits=9");
  CHECK(answer("permessage-deflate; client_max_window_bits=12", with(15, 9)) ==
        "permessage-deflate; client_max_window_bits=9");
  CHECK(answer("permessage-deflate; client_max_window_bits=8", with(15, 9)) ==
        "permessage-deflate; client_max_window_bits=8");
  CHECK(answer("permessage-deflate", with(-1, 99)) ==
        "permessage-deflate; server_max_window_bits=8");
}

TEST_CASE(
    "permessage-deflate, server: an offer that is not understood is declined (sections 5.1, 7.1)") {
  for (const char* const parameters : {"x",
                                       "x=1",
                                       "server_no_context_takeover=1",
                                       "server_no_context_takeover=true",
                                       "client_no_context_takeover=",
                                       "server_no_context_takeover; server_no_context_takeover",
                                       "client_no_context_takeover; client_no_context_takeover",
                                       "server_max_window_bits",
                                       "server_max_window_bits=7",
                                       "server_max_window_bits=16",
                                       "server_max_window_bits=08",
                                       "server_max_window_bits=010",
                                       "server_max_window_bits=1",
                                       "server_max_window_bits=1x",
                                       "server_max_window_bits=150",
                                       "server_max_window_bits=\"\"",
                                       "server_max_window_bits=+9",
                                       "server_max_window_bits=9; server_max_window_bits=9",
                                       "client_max_window_bits=7",
                                       "client_max_window_bits=16",
                                       "client_max_window_bits=a",
                                       "client_max_window_bits=09",
                                       "client_max_window_bits; client_max_window_bits",
                                       "client_max_window_bits; client_max_window_bits=9",
                                       "Server_Max_Window_Bits=9",
                                       "client_max_window_bits =",
                                       "; ",
                                       ""}) {
    CAPTURE(parameters);
    CHECK(answer(std::string{"permessage-deflate; "} + parameters) == "none");
  }
  CHECK(answer("permessage-deflatex") == "none");
  CHECK(answer("x-webkit-deflate-frame") == "none");
  CHECK(answer("") == "none");
}

TEST_CASE(
    "permessage-deflate, server: of several offers the first that suits is taken (section 5.1)") {
  CHECK(answer("permessage-deflate; server_max_window_bits=10, permessage-deflate") ==
        "permessage-deflate; server_max_window_bits=10");
  CHECK(answer("permessage-deflate; server_max_window_bits=99, permessage-deflate") ==
        "permessage-deflate");
  CHECK(answer("x; y=1, permessage-bzip2, permessage-deflate; z, "
               "permessage-deflate; client_no_context_takeover, permessage-deflate") ==
        "permessage-deflate; client_no_context_takeover");
}

TEST_CASE("permessage-deflate, client: what it offers") {
  CHECK(Deflate{open_handed}.offer() == "permessage-deflate; client_max_window_bits");
  CHECK(Deflate{}.offer() ==
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "client_max_window_bits");
  CHECK(Deflate{with(8, 9)}.offer() ==
        "permessage-deflate; server_max_window_bits=8; client_max_window_bits=9");
}

TEST_CASE("permessage-deflate, client: an answer that suits") {
  CHECK(verdict("") == "none");
  CHECK(verdict("permessage-deflate") == "ok");
  CHECK(verdict("permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                "server_max_window_bits=8; client_max_window_bits=8") == "ok");
  CHECK(verdict("permessage-deflate; client_max_window_bits=\"15\"") == "ok");
  CHECK(verdict("permessage-deflate; server_no_context_takeover", {}) == "ok");
  CHECK(verdict("permessage-deflate; server_max_window_bits=9", with(10, 15)) == "ok");
  CHECK(verdict("permessage-deflate; client_max_window_bits=9", with(15, 9)) == "ok");
  CHECK(verdict("permessage-deflate", with(15, 9)) == "ok");
}

TEST_CASE(
    "permessage-deflate, client: an answer to what was not offered fails the handshake (section "
    "7.1)") {
  const char* const wrong[][2] = {
      {"x", "x"},
      {"server_no_context_takeover; x=\"a,b\"", "x"},
      {"client_max_window_bits", "client_max_window_bits"},
      {"client_max_window_bits=16", "client_max_window_bits"},
      {"server_max_window_bits", "server_max_window_bits"},
      {"server_max_window_bits=0", "server_max_window_bits"},
      {"server_no_context_takeover=1", "server_no_context_takeover"},
      {"client_no_context_takeover; client_no_context_takeover", "client_no_context_takeover"}};
  for (const auto& [parameters, which] : wrong) {
    const std::string response = std::string{"permessage-deflate; "} + parameters;
    CAPTURE(response);
    CHECK(verdict(response) == "permessage-deflate: the response's parameter \"" +
                                   std::string{which} +
                                   "\" is unknown, comes twice, or has no such value");
  }
  const std::string foreign = "the response selects an extension that we did not offer";
  CHECK(verdict("permessage-bzip2") == foreign);
  CHECK(verdict("permessage-deflate, permessage-deflate") == foreign);
  CHECK(verdict("permessage-deflate, x") == foreign);
  CHECK(verdict("permessage-deflate;") == foreign);
  CHECK(
      verdict("permessage-deflate; client_no_context_takeover", {}) ==
      "permessage-deflate: the response does not grant server_no_context_takeover, which we asked "
      "for");
  CHECK(
      verdict("permessage-deflate", with(10, 15)) ==
      "permessage-deflate: the response grants no server_max_window_bits as small as we asked for");
  CHECK(
      verdict("permessage-deflate; server_max_window_bits=11", with(10, 15)) ==
      "permessage-deflate: the response grants no server_max_window_bits as small as we asked for");
  CHECK(verdict("permessage-deflate; client_max_window_bits=10", with(15, 9)) ==
        "permessage-deflate: the response selects a client_max_window_bits larger than we offered");
}

TEST_CASE("a session that compresses: the opening handshake says so") {
  const Deflate deflate{open_handed};
  Harness server{Role::server, {}, &deflate};
  std::string request{test::upgrade_request};
  request.insert(request.size() - 2,
                 "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n"
                 "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n");
  server.feed(request);
  CHECK_FALSE(server.session.is_compressing());
  REQUIRE_FALSE(server.session.accept());
  server.drain();
  CHECK(server.written.find(
            "\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n") !=
        std::string::npos);
  CHECK(server.session.is_compressing());

  Harness client{Role::client, {}, &deflate};
  client.open("permessage-deflate; server_max_window_bits=9");
  CHECK(client.session.is_compressing());
}

TEST_CASE("a session that could compress, and does not") {
  const Deflate deflate;
  SUBCASE("the client offers nothing") {
    Harness server{Role::server, {}, &deflate};
    server.open();
    CHECK_FALSE(server.session.is_compressing());
    CHECK(server.pool.in_use() == 0);
  }
  SUBCASE("the server chooses nothing") {
    Harness client{Role::client, {}, &deflate};
    client.open();
    CHECK_FALSE(client.session.is_compressing());
  }
  SUBCASE("the application says no") {
    Harness server{Role::server, {}, &deflate};
    std::string request{test::upgrade_request};
    request.insert(request.size() - 2, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    server.feed(request);
    REQUIRE_FALSE(server.session.accept({.subprotocol = {}, .headers = {}, .compress = false}));
    server.drain();
    CHECK(server.written.find("Extensions") == std::string::npos);
    CHECK_FALSE(server.session.is_compressing());
  }
}

TEST_CASE("a client whose server chooses what was not offered fails") {
  const Deflate deflate;
  Harness client{Role::client, {}, &deflate};
  REQUIRE_FALSE(client.session.request({.host = "a", .subprotocols = {}, .headers = {}}));
  client.write();
  CHECK(client.written.find("\r\nSec-WebSocket-Extensions: permessage-deflate; ") !=
        std::string::npos);
  test::OutputLog log{Role::client};
  log.read(client.written);
  std::string response = test::upgrade_response(accept_for(log.key()));
  response.insert(response.size() - 2, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  client.feed(response);
  CHECK(
      client.log.take() ==
      test::Lines{"closed 1006 response=101 error=bad_response \"permessage-deflate: the response "
                  "does not grant server_no_context_takeover, which we asked for\""});
}
