#include "handshake.hpp"

#include <strings.h>

namespace load {
namespace {

// The example of section 1.3: a key whose answer is known, so nothing has to be hashed.
constexpr char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

bool equal_names(std::string_view left, std::string_view right) {
  return left.size() == right.size() && strncasecmp(left.data(), right.data(), left.size()) == 0;
}

// The value of a header field, or empty.
std::string_view field(std::string_view head, std::string_view name) {
  while (true) {
    const std::size_t end = head.find("\r\n");
    if (end == head.npos) return {};
    head.remove_prefix(end + 2);
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const std::size_t colon = line.find(':');
    if (colon == line.npos || !equal_names(line.substr(0, colon), name)) continue;
    const std::size_t first = line.find_first_not_of(" \t", colon + 1);
    return first == line.npos ? std::string_view{}
                              : line.substr(first, line.find_last_not_of(" \t") + 1 - first);
  }
}

}  // namespace

std::string handshake_request(std::uint16_t port) {
  return "GET / HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
         "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + key +
         "\r\nSec-WebSocket-Version: 13\r\n\r\n";
}

std::string fault_of_answer(std::string_view head) {
  const std::string_view status = head.substr(0, head.find("\r\n"));
  if (!status.starts_with("HTTP/1.1 101"))
    return "expected HTTP/1.1 101, came \"" + std::string{status} + '"';
  const std::string_view answer = field(head, "Sec-WebSocket-Accept");
  if (answer != accept)
    return "expected Sec-WebSocket-Accept: " + std::string{accept} + ", came \"" +
           std::string{answer} + '"';
  return {};
}

}  // namespace load
