// Requests that two readers would see as two different ones (RFC 9112 section 11.2): refused, and
// nothing behind them is ever taken for another.
#include <doctest/doctest.h>

#include "bytes.hpp"
#include "support/harness.hpp"

namespace {

using namespace timtow;
using attack::request_with;
using namespace std::string_literals;
using test::Harness;
using test::Lines;

std::size_t answers_in(std::string_view written) {
  constexpr std::string_view begin = "HTTP/1.1 ";  // and a status; a sentence may name it too
  std::size_t count = 0;
  for (auto at = written.find(begin); at != written.npos; at = written.find(begin, at)) {
    at += begin.size();
    if (at < written.size() && written[at] >= '1' && written[at] <= '9') ++count;
  }
  return count;
}

struct Case {
  std::string name;
  std::string bytes;
};

const Case refused[] = {
    {"a body", request_with("Content-Length: 5\r\n") + "hello"},
    {"a body that is a request",
     request_with("Content-Length: " + std::to_string(test::upgrade_request.size()) + "\r\n") +
         std::string{test::upgrade_request}},
    {"chunks", request_with("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n"},
    {"another coding", request_with("Transfer-Encoding: identity\r\n")},
    {"no coding", request_with("Transfer-Encoding:\r\n")},
    {"length and chunks",
     request_with("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n"},
    {"chunks and length",
     request_with("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") + "0\r\n\r\n"},
    {"chunks, hidden", request_with("Transfer-Encoding: x, chunked\r\n")},
    {"two lengths", request_with("Content-Length: 0\r\nContent-Length: 5\r\n") + "hello"},
    {"two lengths that are the same", request_with("Content-Length: 0\r\nContent-Length: 0\r\n")},
    {"a list of lengths", request_with("Content-Length: 0, 0\r\n")},
    {"a length with a sign", request_with("Content-Length: +0\r\n")},
    {"a negative length", request_with("Content-Length: -0\r\n")},
    {"a length in another base", request_with("Content-Length: 0x0\r\n")},
    {"a length with more digits", request_with("Content-Length: 00\r\n")},
    {"an empty length", request_with("Content-Length:\r\n")},
    {"a length beyond 64 bits", request_with("Content-Length: 18446744073709551616\r\n")},
    {"a space before the colon", request_with("Content-Length : 5\r\n") + "hello"},
    {"a tab before the colon", request_with("Transfer-Encoding\t: chunked\r\n")},
    {"a name in quotes", request_with("\"Content-Length\": 5\r\n")},
    {"a folded line", request_with("X: a\r\n Content-Length: 5\r\n") + "hello"},
    {"a folded line with a tab", request_with("X: a\r\n\tTransfer-Encoding: chunked\r\n")},
    {"LF alone", request_with("X: a\nContent-Length: 5\r\n") + "hello"},
    {"CR alone", request_with("X: a\rContent-Length: 5\r\n") + "hello"},
    {"LF ends the head",
     std::string{test::upgrade_request.substr(0, test::upgrade_request.size() - 2)} + "\n"},
    {"CR CR LF", request_with("X: a\r\r\nContent-Length: 5\r\n")},
    {"NUL", request_with("X: a\0Content-Length: 5\r\n"s)},
    {"two hosts", request_with("Host: other.example\r\n")},
    {"HTTP/1.0", "GET / HTTP/1.0\r\n"s + std::string{test::upgrade_request.substr(20)}},
    {"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
};

}  // namespace

TEST_CASE("smuggling: an ambiguous request is refused, and nothing behind it is answered") {
  const std::string behind = std::string{test::upgrade_request} +
                             test::client_frame(test::opcode::text, "hello") +
                             "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const auto& [name, bytes] : refused) {
    for (const std::size_t size : {std::size_t{1}, bytes.size(), bytes.size() + behind.size()}) {
      const std::string_view what = name;
      CAPTURE(what);
      CAPTURE(size);
      Harness self{Role::server};
      self.on_event = [](Harness&, const Event& event) { CHECK(event.closed() != nullptr); };
      self.feed_by(size, bytes + behind);
      CHECK(
          (self.written.starts_with("HTTP/1.1 400 ") || self.written.starts_with("HTTP/1.1 505 ")));
      CHECK(answers_in(self.written) == 1);
      CHECK(self.closed_events == 1);
      CHECK(self.session.wants_shutdown());
      CHECK_FALSE(
          self.session.finished());  // the rest is read and dropped, so that no reset is sent
    }
  }
}

TEST_CASE("smuggling: behind an answer of the application's nothing is another request") {
  const std::string behind = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"s;
  for (const bool is_upgrade : {false, true}) {
    for (const bool together : {false, true}) {
      Harness self{Role::server};
      const std::string request =
          is_upgrade ? std::string{test::upgrade_request} : "GET / HTTP/1.1\r\nHost: a\r\n\r\n"s;
      self.feed(together ? request + behind : request);
      REQUIRE(self.log.take().size() > 0);
      REQUIRE_FALSE(self.session.reject(403, "No.\n"));
      self.drain();
      self.feed(behind + behind);
      CHECK(self.log.take().size() == 1);  // closed
      CHECK(answers_in(self.written) == 1);
    }
  }
}

TEST_CASE("smuggling: a client takes nothing of a server that refused for frames") {
  Harness self{Role::client};
  REQUIRE_FALSE(self.session.request({.host = "a", .subprotocols = {}, .headers = {}}));
  self.write();
  self.written.clear();
  self.feed("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" +
            test::server_frame(test::opcode::text, "hello") +
            test::upgrade_response("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  CHECK(self.log.take().size() == 1);
  CHECK(self.written.empty());
  CHECK(self.session.finished());
}
