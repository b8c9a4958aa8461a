// Events and output as lines that a person reads: what the golden logs are made of.
//
//   message text 5 "Hello"                      > text "Hello"
//   ping "hi"                                   > pong "hi"
//   closed 1000 "bye" sent=1000                 > close 1000
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/quote.hpp"
#include "support/wire.hpp"
#include "timtow/event.hpp"
#include "timtow/session.hpp"

namespace test {

using Lines = std::vector<std::string>;

inline std::string joined(const Lines& lines) {
  std::string text;
  for (const auto& line : lines) text.append(line).append("\n");
  return text;
}

// The name of an error: what errc calls it, or the system's message.
inline std::string name_of(const std::error_code& code) {
  using timtow::errc;
  if (code.category() != timtow::error_category()) return code.message();
  switch (static_cast<errc>(code.value())) {
    case errc::ok:
      return "ok";
    case errc::bad_request:
      return "bad_request";
    case errc::method_not_allowed:
      return "method_not_allowed";
    case errc::handshake_too_large:
      return "handshake_too_large";
    case errc::http_version:
      return "http_version";
    case errc::websocket_version:
      return "websocket_version";
    case errc::rejected:
      return "rejected";
    case errc::bad_response:
      return "bad_response";
    case errc::handshake_timeout:
      return "handshake_timeout";
    case errc::handshake_incomplete:
      return "handshake_incomplete";
    case errc::invalid_header:
      return "invalid_header";
    case errc::not_an_upgrade:
      return "not_an_upgrade";
    case errc::no_request:
      return "no_request";
    case errc::origin_refused:
      return "origin_refused";
    case errc::bad_proxy_answer:
      return "bad_proxy_answer";
    case errc::proxy_header_missing:
      return "proxy_header_missing";
    case errc::bad_proxy_header:
      return "bad_proxy_header";
    case errc::proxy_header_untrusted:
      return "proxy_header_untrusted";
    case errc::too_many_connections:
      return "too_many_connections";
    case errc::too_many_of_one_address:
      return "too_many_of_one_address";
    case errc::no_subprotocol:
      return "no_subprotocol";
    case errc::protocol_error:
      return "protocol_error";
    case errc::invalid_utf8:
      return "invalid_utf8";
    case errc::message_too_big:
      return "message_too_big";
    case errc::too_many_fragments:
      return "too_many_fragments";
    case errc::bad_compression:
      return "bad_compression";
    case errc::inflate_ratio:
      return "inflate_ratio";
    case errc::idle_timeout:
      return "idle_timeout";
    case errc::message_timeout:
      return "message_timeout";
    case errc::close_timeout:
      return "close_timeout";
    case errc::connection_lost:
      return "connection_lost";
    case errc::cancelled:
      return "cancelled";
    case errc::memory_budget:
      return "memory_budget";
    case errc::peer_too_slow:
      return "peer_too_slow";
    case errc::handler_threw:
      return "handler_threw";
    case errc::not_open:
      return "not_open";
    case errc::output_full:
      return "output_full";
    case errc::slow_reader:
      return "slow_reader";
    case errc::message_unfinished:
      return "message_unfinished";
    case errc::no_memory:
      return "no_memory";
    case errc::no_entropy:
      return "no_entropy";
    case errc::invalid_close:
      return "invalid_close";
    case errc::payload_too_long:
      return "payload_too_long";
    case errc::unsupported_by_draft:
      return "unsupported_by_draft";
    case errc::tls_needed:
      return "tls_needed";
    default:
      return "errc(" + std::to_string(code.value()) + ")";
  }
}

inline std::string describe(const timtow::Error& error) {
  return name_of(error.code) + " \"" + escaped(error.text) + '"';
}

namespace detail {

inline std::string typed(timtow::MessageType type, timtow::Bytes payload) {
  const std::string name = type == timtow::MessageType::text ? "text " : "binary ";
  return name + std::to_string(payload.size()) + ' ' + in_quotes(timtow::as_text(payload));
}

template <typename List>
void add_list(std::string& line, std::string_view name, const List& list) {
  if (list.empty()) return;
  line.append(" ").append(name).append("=");
  bool first = true;
  for (const auto& each : list) {
    if (!first) line += ',';
    line.append(escaped(each));
    first = false;
  }
}

inline std::string describe(const timtow::Request& request) {
  std::string line = "request " + escaped(request.method) + ' ' + escaped(request.target) +
                     " host=" + escaped(request.host());
  if (!request.origin().empty()) line.append(" origin=").append(escaped(request.origin()));
  add_list(line, "subprotocols", request.subprotocols());
  add_list(line, "extensions", request.extensions());
  if (request.version() != timtow::ProtocolVersion::rfc6455)
    line.append(" version=").append(std::to_string(static_cast<int>(request.version())));
  return request.is_upgrade() ? line : line + " plain";
}

inline std::string describe(const timtow::Response& response) {
  std::string line = "open";
  std::string_view subprotocol = response.headers["Sec-WebSocket-Protocol"];
  if (subprotocol.empty()) subprotocol = response.headers["WebSocket-Protocol"];
  if (!subprotocol.empty()) line.append(" subprotocol=").append(subprotocol);
  return line;
}

inline std::string describe(const timtow::Closed& closed) {
  std::string line = "closed " + std::to_string(closed.code);
  if (!closed.reason.empty()) line.append(" ").append(in_quotes(closed.reason));
  if (closed.sent != 0) line.append(" sent=").append(std::to_string(closed.sent));
  if (closed.response != nullptr)
    line.append(" response=").append(std::to_string(closed.response->status));
  if (closed.error != nullptr) line.append(" error=").append(test::describe(*closed.error));
  return line;
}

}  // namespace detail

inline std::string describe(const timtow::Event& event) {
  if (const auto* request = event.request()) return detail::describe(*request);
  if (const auto* response = event.open()) return detail::describe(*response);
  if (event.opened() != nullptr) return "opened";
  if (const auto* message = event.message())
    return "message " + detail::typed(message->type, message->payload);
  if (const auto* piece = event.piece())
    return std::string{"piece"} + (piece->first ? " first " : " ") + (piece->last ? "last " : "") +
           detail::typed(piece->type, piece->payload);
  if (const auto* ping = event.ping()) return "ping " + in_quotes(timtow::as_text(ping->payload));
  if (const auto* pong = event.pong()) return "pong " + in_quotes(timtow::as_text(pong->payload));
  return detail::describe(*event.closed());
}

// The log of a session's events. Where pieces of a message end and begin is chance, so that those
// that follow each other become one.
class EventLog {
 public:
  void add(const timtow::Event& event) {
    const timtow::Piece* piece = event.piece();
    if (piece == nullptr || !in_piece_ || piece->first) {
      finish_piece();
      if (piece == nullptr) return lines_.push_back(describe(event));
      type_ = piece->type;
      first_ = piece->first;
      payload_.clear();
      in_piece_ = true;
    }
    payload_ += timtow::as_text(piece->payload);
    last_ = piece->last;
    if (last_) finish_piece();
  }
  void add(std::string line) {
    finish_piece();
    lines_.push_back(std::move(line));
  }

  const Lines& lines() {
    finish_piece();
    return lines_;
  }
  Lines take() {
    finish_piece();
    return std::exchange(lines_, {});
  }

 private:
  void finish_piece() {
    if (!std::exchange(in_piece_, false)) return;
    lines_.push_back(
        describe(timtow::Event{timtow::Piece{type_, timtow::as_bytes(payload_), first_, last_}}));
  }

  Lines lines_;
  bool in_piece_ = false;
  timtow::MessageType type_ = timtow::MessageType::binary;
  bool first_ = false;
  bool last_ = false;
  std::string payload_;
};

// What a session wrote, read as its peer would: first HTTP, one line each, then frames. What drafts
// 75 and 76 write behind their heads is shown as bytes.
class OutputLog {
 public:
  explicit OutputLog(timtow::Role writer, bool handshake_done = false)
      : writer_(writer), http_(!handshake_done) {}

  // Sec-WebSocket-Key of the request that was written; it is shown as {key}.
  const std::string& key() const { return key_; }

  // The same of draft 76: both keys, and the eight bytes behind the head.
  const std::string& key1() const { return key1_; }
  const std::string& key2() const { return key2_; }
  const std::string& key3() const { return key3_; }

  // The lines for `bytes`, which ends where the session had nothing more to write.
  Lines read(std::string_view bytes) {
    Lines lines;
    while (!bytes.empty() && http_) read_head(bytes, lines);
    if (hixie_ && !bytes.empty()) {
      lines.push_back("> raw " + in_quotes(bytes));
      bytes = {};
    }
    while (!bytes.empty()) {
      const auto frame = decode(bytes);
      if (!frame) {
        lines.push_back("> no frame: " + in_quotes(bytes));
        break;
      }
      lines.push_back(describe(*frame));
    }
    return lines;
  }

 private:
  void read_head(std::string_view& bytes, Lines& lines) {
    const auto end = bytes.find("\r\n\r\n");
    if (end == bytes.npos) {
      lines.push_back("> no head: " + in_quotes(bytes));
      bytes = {};
      return;
    }
    std::string_view head = bytes.substr(0, end + 2);
    bytes.remove_prefix(end + 4);
    std::size_t body = 0;
    const bool upgraded = writer_ == timtow::Role::client || head.starts_with("HTTP/1.1 101 ");
    while (!head.empty()) {
      std::string line{head.substr(0, head.find("\r\n"))};
      head.remove_prefix(line.size() + 2);
      if (line.starts_with("Content-Length: "))
        body = std::strtoul(line.c_str() + sizeof "Content-Length:", nullptr, 10);
      hide(line, "Sec-WebSocket-Key: ", key_, "{key}");
      hide(line, "Sec-WebSocket-Key1: ", key1_, "{key1}");
      hide(line, "Sec-WebSocket-Key2: ", key2_, "{key2}");
      if (line == "Upgrade: WebSocket") hixie_ = true;
      lines.push_back(">| " + escaped(line));
    }
    lines.emplace_back(">|");
    if (body != 0) {
      lines.push_back("> body " + in_quotes(bytes.substr(0, body)));
      bytes.remove_prefix(std::min(body, bytes.size()));
    }
    if (!key2_.empty()) {
      key3_ = bytes.substr(0, 8);
      bytes.remove_prefix(key3_.size());
      lines.emplace_back("> key3");
    }
    http_ = !upgraded;  // behind a refusal nothing may come, and a frame is no head
  }

  // Keeps what is random of a line, and writes something else in its place.
  static void hide(std::string& line, std::string_view header, std::string& value,
                   std::string_view shown) {
    if (!line.starts_with(header)) return;
    value = line.substr(header.size());
    line.replace(header.size(), value.size(), shown);
  }

  std::string describe(const Frame& frame) const {
    std::string line = ">";
    if (!frame.fin) line += " fin=0";
    if (frame.rsv != 0) line.append(" rsv=").append(std::to_string(frame.rsv));
    if (frame.key.has_value() != (writer_ == timtow::Role::client))
      line += frame.key ? " masked" : " unmasked";
    switch (frame.opcode) {
      case opcode::continuation:
        line += " continuation";
        break;
      case opcode::text:
        line += " text";
        break;
      case opcode::binary:
        line += " binary";
        break;
      case opcode::ping:
        line += " ping";
        break;
      case opcode::pong:
        line += " pong";
        break;
      case opcode::close: {
        line += " close";
        if (frame.payload.size() < 2) break;
        const auto* code = reinterpret_cast<const unsigned char*>(frame.payload.data());
        line.append(" ").append(std::to_string(code[0] << 8 | code[1]));
        if (frame.payload.size() > 2) line.append(" ").append(in_quotes(frame.payload.substr(2)));
        return line;
      }
      default:
        line.append(" opcode=").append(std::to_string(frame.opcode));
        break;
    }
    if (!frame.payload.empty() || frame.opcode < opcode::close)
      line.append(" ").append(in_quotes(frame.payload));
    return line;
  }

  timtow::Role writer_;
  bool http_;
  bool hixie_ = false;
  std::string key_;
  std::string key1_;
  std::string key2_;
  std::string key3_;
};

}  // namespace test
