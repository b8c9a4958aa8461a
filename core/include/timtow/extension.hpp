// An extension as Sec-WebSocket-Extensions names it, with its parameters (RFC 6455 section 9.1):
// "permessage-deflate; client_max_window_bits; server_max_window_bits=10".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace timtow {

struct Extension {
  struct Parameter {
    std::string_view name;
    std::optional<std::string> value;  // without the quotes that it may have had
  };

  std::string_view name;
  std::vector<Parameter> parameters;  // in the order they came, and as often

  // One element of the list; nothing if it is malformed. Views into it. Throws std::bad_alloc.
  static std::optional<Extension> parse(std::string_view text);
};

}  // namespace timtow
