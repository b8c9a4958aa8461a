#include "timtow/metrics.hpp"

#include <limits>
#include <string_view>
#include <utility>

#include "timtow/error.hpp"
#include "timtow/event.hpp"

namespace timtow {
namespace {

// Writes the text format, metric by metric.
class Text {
 public:
  Text& counter(const char* name, const char* help) { return begin(name, help, "counter"); }
  Text& gauge(const char* name, const char* help) { return begin(name, help, "gauge"); }

  Text& value(std::uint64_t value) { return sample({}, value); }
  Text& value(const char* label, std::string_view is, std::uint64_t value) {
    return sample(std::string{"{"}.append(label).append("=\"").append(is).append("\"}"), value);
  }

  std::string take() { return std::move(text_); }

 private:
  Text& begin(const char* name, const char* help, const char* type) {
    name_ = std::string{"timtow_"} + name;
    text_.append("# HELP ").append(name_).append(" ").append(help).append("\n");
    text_.append("# TYPE ").append(name_).append(" ").append(type).append("\n");
    return *this;
  }
  Text& sample(const std::string& labels, std::uint64_t value) {
    const bool is_any = value == std::numeric_limits<std::uint64_t>::max();
    const std::string number = is_any ? "+Inf" : std::to_string(value);
    text_.append(name_).append(labels).append(" ").append(number).append("\n");
    return *this;
  }

  std::string text_;
  std::string name_;
};

void write_closes(Text& text, const char* name, const char* help, const CloseCounts& closes) {
  text.counter(name, help);
  for (std::size_t i = 0; i < closes.standard.size(); ++i)
    text.value("code", std::to_string(close_code::normal + i), closes.standard[i]);
  text.value("code", "3xxx", closes.libraries)
      .value("code", "4xxx", closes.applications)
      .value("code", "other", closes.others);
}

}  // namespace

void Traffic::count(const Event& event) noexcept {
  if (const auto* const message = event.message()) {
    ++messages_received;
    message_bytes_received += message->payload.size();
  } else if (const auto* const piece = event.piece()) {
    if (piece->last) ++messages_received;
    message_bytes_received += piece->payload.size();
  } else if (event.ping() != nullptr) {
    ++pings_received;
  } else if (event.pong() != nullptr) {
    ++pongs_received;
  }
}

void CloseCounts::count(CloseCode code) noexcept {
  if (code >= close_code::normal && code < close_code::normal + standard.size())
    ++standard[code - close_code::normal];
  else if (code >= 3000 && code <= 3999)
    ++libraries;
  else if (code >= 4000 && code <= 4999)
    ++applications;
  else
    ++others;
}

void Metrics::Refused::count(const Error& error, bool is_of_tls) noexcept {
  if (is_of_tls) {
    ++tls;
    return;
  }
  if (error.code.category() != error_category()) {
    ++(error.code.category() == std::system_category() ||
               error.code.category() == std::generic_category()
           ? gone
           : others);
    return;
  }
  switch (static_cast<errc>(error.code.value())) {
    case errc::too_many_connections:
    case errc::too_many_of_one_address:
      return;
    case errc::bad_request:
    case errc::bad_response:
    case errc::method_not_allowed:
    case errc::http_version:
    case errc::websocket_version:
      ++bad_request;
      return;
    case errc::handshake_too_large:
      ++head_too_large;
      return;
    case errc::handshake_timeout:
      ++timeout;
      return;
    case errc::handshake_incomplete:
    case errc::connection_lost:
      ++gone;
      return;
    case errc::origin_refused:
      ++origin;
      return;
    case errc::no_subprotocol:
      ++subprotocol;
      return;
    case errc::rejected:
      ++by_application;
      return;
    case errc::cancelled:
      ++by_us;
      return;
    case errc::proxy_header_missing:
    case errc::bad_proxy_header:
    case errc::proxy_header_untrusted:
      ++proxy_header;
      return;
    case errc::no_memory:
    case errc::memory_budget:
      ++memory;
      return;
    default:
      ++others;
  }
}

void Metrics::add(const Traffic& traffic) noexcept {
  bytes_received += traffic.bytes_received;
  bytes_sent += traffic.bytes_sent;
  messages_received += traffic.messages_received;
  messages_sent += traffic.messages_sent();
  message_bytes_received += traffic.message_bytes_received;
  message_bytes_sent += traffic.message_bytes_sent();
  pings_received += traffic.pings_received;
  pings_sent += traffic.pings_sent;
  pongs_received += traffic.pongs_received;
  pongs_sent += traffic.pongs_sent;
  dropped += traffic.messages_dropped;
}

std::string to_prometheus(const Metrics& metrics) {
  Text text;
  text.counter("connections_accepted_total", "Peers that connected, those turned away included.")
      .value(metrics.accepted);
  text.counter("connections_opened_total", "Connections whose opening handshake succeeded.")
      .value(metrics.opened);
  text.counter("requests_answered_total", "Answered requests that asked for no WebSocket.")
      .value(metrics.answered);
  text.gauge("connections", "Connections now.")
      .value("state", "opening", metrics.opening)
      .value("state", "open", metrics.open)
      .value("state", "closing", metrics.closing);
  const Metrics::Refused& refused = metrics.refused;
  text.counter("connections_refused_total", "Connections that did not open.")
      .value("cause", "bad_request", refused.bad_request)
      .value("cause", "head_too_large", refused.head_too_large)
      .value("cause", "timeout", refused.timeout)
      .value("cause", "gone", refused.gone)
      .value("cause", "origin", refused.origin)
      .value("cause", "subprotocol", refused.subprotocol)
      .value("cause", "by_application", refused.by_application)
      .value("cause", "by_us", refused.by_us)
      .value("cause", "connections", refused.connections)
      .value("cause", "of_one_address", refused.of_one_address)
      .value("cause", "proxy_header", refused.proxy_header)
      .value("cause", "tls", refused.tls)
      .value("cause", "memory", refused.memory)
      .value("cause", "other", refused.others);
  text.counter("accepts_failed_total", "Times that accept() failed, and rested.")
      .value("cause", "descriptors", metrics.accepts_without_descriptors)
      .value("cause", "other", metrics.accepts_failed);
  text.counter("received_bytes_total", "Bytes of the stream, heads and frames, as they came.")
      .value(metrics.bytes_received);
  text.counter("sent_bytes_total", "Bytes of the stream that the system has taken.")
      .value(metrics.bytes_sent);
  text.counter("messages_received_total", "Whole messages.").value(metrics.messages_received);
  text.counter("messages_sent_total", "Whole messages, as they were queued.")
      .value(metrics.messages_sent);
  text.counter("message_received_bytes_total", "Payloads of messages, decompressed.")
      .value(metrics.message_bytes_received);
  text.counter("message_sent_bytes_total", "Payloads of messages, before compression.")
      .value(metrics.message_bytes_sent);
  text.counter("pings_received_total", "Pings of peers.").value(metrics.pings_received);
  text.counter("pings_sent_total", "Pings of ours.").value(metrics.pings_sent);
  text.counter("pongs_received_total", "Pongs of peers.").value(metrics.pongs_received);
  text.counter("pongs_sent_total", "Pongs of ours.").value(metrics.pongs_sent);
  write_closes(text, "closes_received_total",
               "Open connections that ended, by the peer's close code; 1005 is none in its close "
               "frame, 1006 no close frame.",
               metrics.closes_received);
  write_closes(text, "closes_sent_total", "Close frames of ours, by close code.",
               metrics.closes_sent);
  text.counter("messages_dropped_total", "Messages that slow readers did not get.")
      .value(metrics.dropped);
  text.counter("slow_readers_closed_total", "Connections closed because they read too slowly.")
      .value(metrics.slow_closed);
  text.gauge("largest_output_bytes", "The most bytes that have waited for one peer.")
      .value(metrics.largest_output);
  text.gauge("memory_in_use_bytes", "What connections have borrowed from the loop's pool now.")
      .value(metrics.memory_in_use);
  text.gauge("memory_budget_bytes", "What they may borrow.").value(metrics.memory_budget);
  return text.take();
}

}  // namespace timtow
