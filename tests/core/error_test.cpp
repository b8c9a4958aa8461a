#include <doctest/doctest.h>

#include <ostream>
#include <set>
#include <string>
#include <system_error>

#include "timtow/error.hpp"

using namespace timtow;

TEST_CASE("error: every errc has a message of its own") {
  constexpr int last = static_cast<int>(errc::tls_needed);
  std::set<std::string> messages;
  for (int value = 0; value <= last; ++value) {
    const std::error_code code = static_cast<errc>(value);
    CHECK(code.value() == value);
    CHECK(code.category() == error_category());
    CHECK(static_cast<bool>(code) == (value != 0));
    const std::string message = code.message();
    CHECK_FALSE(message.empty());
    CHECK_MESSAGE(message.find("unknown") == std::string::npos, value);
    CHECK_MESSAGE(messages.insert(message).second, message);
  }
  CHECK(messages.size() == static_cast<std::size_t>(last) + 1);
  // What follows is unknown, and says so with its number.
  CHECK(error_category().message(last + 1) == "unknown error " + std::to_string(last + 1));
  CHECK(error_category().message(-1) == "unknown error -1");
  CHECK(std::string{error_category().name()} == "timtow");
}

TEST_CASE("error: codes compare with errc") {
  const std::error_code code = errc::protocol_error;
  CHECK(code == errc::protocol_error);
  CHECK(code != errc::invalid_utf8);
  CHECK(code != std::error_code{code.value(), std::generic_category()});
}

TEST_CASE("error: an Error is true when it has a code") {
  CHECK_FALSE(static_cast<bool>(Error{}));
  CHECK_FALSE(static_cast<bool>(make_error(errc::ok, "nothing")));
  CHECK(static_cast<bool>(make_error(errc::idle_timeout, "x")));
  CHECK(static_cast<bool>(make_error(std::make_error_code(std::errc::broken_pipe), "x")));
}

TEST_CASE("error: make_error formats as printf does") {
  const Error error =
      make_error(errc::message_too_big, "%zu of %s: 0x%02X", std::size_t{17}, "it", 10U);
  CHECK(error.code == errc::message_too_big);
  CHECK(error.text == "17 of it: 0x0A");
  CHECK(make_error(errc::rejected, "%s", "").text.empty());
}

TEST_CASE("error: make_error keeps 255 bytes of a sentence") {
  for (const std::size_t size : {254U, 255U, 256U, 257U, 1000U}) {
    const std::string sentence(size, 'x');
    const Error error = make_error(errc::rejected, "%s", sentence.c_str());
    CHECK(error.text == sentence.substr(0, 255));
    CHECK(error.code == errc::rejected);
  }
}

TEST_CASE("error: a sentence has no control characters, whatever a peer has put into it") {
  const auto text = [](const char* part) { return make_error(errc::rejected, "<%s]", part).text; };
  CHECK(text("\x1B[31mred\r\nX: y\t\x7F\x01") == "<?[31mred??X: y???]");
  CHECK(text("\xC2\x9B"
             "31m\xC2\x85") == "<?31m?]");  // C1, in UTF-8
  CHECK(text("\xC2\xA0\xC3\x9B\xE2\x82\xAC") == "<\xC2\xA0\xC3\x9B\xE2\x82\xAC]");
  CHECK(text("\x9B\xFF\n") == "<???]");
}
