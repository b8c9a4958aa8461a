// What the handshakes of RFC 6455 and of its drafts have in common.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "timtow/handshake.hpp"

namespace timtow {

inline Refusal bad_request(const char* sentence) noexcept {
  return {400, make_error(errc::bad_request, "%s", sentence)};
}

inline void append_header(std::string& to, std::string_view name, std::string_view value) {
  to.append(name).append(": ").append(value).append("\r\n");
}

inline void append_headers(std::string& to, const std::vector<Header>& headers) {
  for (const auto& [name, value] : headers) append_header(to, name, value);
}

// Headers of the application's: they must not end their line, nor be those that we write.
Error check_headers(const std::vector<Header>& headers,
                    std::initializer_list<std::string_view> ours);

// Whether the response is 101, and switches to a WebSocket.
Error check_switched(const Response& response);
// Whether the subprotocol that it selects, if any, was offered.
Error check_selected(const Headers& headers, std::string_view name,
                     const std::vector<std::string_view>& offered);

}  // namespace timtow
