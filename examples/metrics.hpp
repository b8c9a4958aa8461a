// A server's metrics for those who operate it: printed, and over HTTP for Prometheus.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "timtow/server.hpp"

namespace example {

// One `name value` a line, to stderr.
inline void print_metrics(const timtow::Server& server) {
  const std::string text = to_prometheus(server.metrics());
  for (std::string_view left = text; !left.empty();) {
    const std::string_view line = left.substr(0, left.find('\n') + 1);
    if (!line.starts_with('#')) std::fwrite(line.data(), 1, line.size(), stderr);
    left.remove_prefix(line.size());
  }
}

// Answers GET /metrics, on the loop of the server that it tells of. It is a server as well, but one
// that lets no WebSocket in, and its own connections are in nobody's numbers.
class MetricsServer {
 public:
  MetricsServer(timtow::Loop& loop, const timtow::Server& of) : server_(loop, handlers(of)) {}

  timtow::Error listen(std::uint16_t port) {
    timtow::Error error = server_.listen({.host = "127.0.0.1", .port = port, .path = {}});
    if (!error) {
      std::printf("metrics at http://%s/metrics\n", to_string(server_.endpoints().front()).c_str());
      std::fflush(stdout);
    }
    return error;
  }

 private:
  static timtow::Handlers handlers(const timtow::Server& of) {
    timtow::Handlers handlers;
    handlers.on_request = [&of](timtow::Connection& peer, const timtow::Request& request) {
      if (request.is_upgrade() || request.path() != "/metrics")
        peer.reject(404, "There is only /metrics here.\n");
      else
        peer.respond({.body = to_prometheus(of.metrics()),
                      .headers = {{"Content-Type", timtow::prometheus_content_type}}});
    };
    return handlers;
  }

  timtow::Server server_;
};

}  // namespace example
