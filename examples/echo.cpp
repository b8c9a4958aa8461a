// The echo server: one source for every loop. Open its address in a browser to talk to it.
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "arguments.hpp"
#include "deflate.hpp"
#include "echo_page.hpp"
#include "limits.hpp"
#include "metrics.hpp"
#include "report.hpp"
#include "signals.hpp"
#include "this_loop.hpp"
#include "timtow/timtow.hpp"
#include "tls.hpp"

namespace {

constexpr char help[] =
    "a WebSocket server that sends back what it gets.\n\n"
    "  --host HOST          address or name to listen on (127.0.0.1)\n"
    "  --port PORT          0 for any free one (9001)\n"
    "  --max-message BYTES  the largest message taken (16777216)\n"
    "  --limit NAME=VALUE   any field of timtow::Limits, as message_time=60000: a number, or\n"
    "                       milliseconds; may be given again\n"
    "  --origin ORIGIN      let in pages of another origin, or of \"any\"; may be given again\n"
    "  --trusted-proxy NET  believe what proxies of this network, as 10.0.0.0/8 or unix:, say of\n"
    "                       clients (X-Forwarded-For); may be given again\n"
    "  --forwarded          believe their Forwarded (RFC 7239), and no X-Forwarded-For\n"
    "  --proxy-protocol     demand a PROXY header of them\n"
    "  --drafts             speak the drafts before RFC 6455 as well\n"
    "  --deflate            compress messages for clients that offer it\n"
    "  --deflate-takeover   the same, each with what was said before in memory\n"
    "  --tls-cert FILE      speak TLS: its certificate, with those of its issuers, in PEM\n"
    "  --tls-key FILE       and its key\n"
    "  --metrics PORT       serve metrics for Prometheus at http://127.0.0.1:PORT/metrics, and 0 "
    "is\n"
    "                       any free port; SIGUSR1 prints them in any case\n"
    "  --quiet              do not report connections\n"
    "  --help               print this\n"
    "  --version            print the version\n";

// Any path is a WebSocket, in the first subprotocol offered; / is also the page.
void answer(timtow::Connection& peer, const timtow::Request& request) {
  const auto offered = request.subprotocols();
  if (request.is_upgrade())
    peer.accept({.subprotocol = offered.empty() ? "" : offered.front(), .headers = {}});
  else if (request.path() == "/")
    peer.respond({.body = echo_page, .headers = {{"Content-Type", "text/html; charset=utf-8"}}});
  else
    peer.reject(404, "There is only / here.\n");
}

void allow(timtow::OriginPolicy& origins, std::string_view origin) {
  if (origin == "any")
    origins.any = true;
  else
    origins.allowed.emplace_back(origin);
}

void limit(example::Arguments& arguments, timtow::Limits& limits) {
  const std::string_view setting = arguments.value();
  if (!example::set_limit(limits, setting))
    arguments.refuse(
        '"' + std::string{setting} +
        "\" is not NAME=VALUE with a field of timtow::Limits; --help lists the options");
}

}  // namespace

int main(int argc, char** argv) {
  timtow::Endpoint endpoint{.host = "127.0.0.1", .port = 9001, .path = {}};
  timtow::ServerOptions options;
  std::string tls_cert;
  std::string tls_key;
  std::optional<std::uint16_t> metrics_port;
  bool quiet = false;
  example::Arguments arguments{argc, argv, std::string{"echo-"} + this_loop::name, help};
  while (arguments.next()) {
    if (arguments.option() == "--host")
      endpoint.host = arguments.value();
    else if (arguments.option() == "--port")
      arguments.number(endpoint.port);
    else if (arguments.option() == "--max-message")
      arguments.number(options.limits.message_bytes);
    else if (arguments.option() == "--limit")
      limit(arguments, options.limits);
    else if (arguments.option() == "--origin")
      allow(options.origins, arguments.value());
    else if (arguments.option() == "--trusted-proxy")
      options.trusted_proxies.emplace_back(arguments.value());
    else if (arguments.option() == "--forwarded")
      options.forwarded_header = timtow::ForwardedHeader::forwarded;
    else if (arguments.option() == "--proxy-protocol")
      options.proxy_protocol = true;
    else if (arguments.option() == "--drafts")
      options.drafts = true;
    else if (arguments.option() == "--deflate")
      options.compression = example::deflate(arguments);
    else if (arguments.option() == "--deflate-takeover")
      options.compression = example::deflate(arguments, true);
    else if (arguments.option() == "--tls-cert")
      tls_cert = arguments.value();
    else if (arguments.option() == "--tls-key")
      tls_key = arguments.value();
    else if (arguments.option() == "--metrics")
      arguments.number(metrics_port.emplace());
    else if (arguments.option() == "--quiet")
      quiet = true;
    else
      arguments.unknown();
  }

  const bool is_secure = !tls_cert.empty() || !tls_key.empty();
  if (tls_cert.empty() != tls_key.empty())
    arguments.refuse("--tls-cert and --tls-key go together; --help lists the options");

  this_loop::Loop loop;
  timtow::Handlers handlers;
  handlers.on_request = answer;
  handlers.on_message = [](timtow::Connection& peer, const timtow::Message& message) {
    peer.send(message);
  };
  if (!quiet) example::report(handlers);
  timtow::Server server{loop, handlers, options};
  const auto error =
      is_secure ? server.listen(endpoint, example::server_tls(arguments, tls_cert, tls_key))
                : server.listen(endpoint);
  if (error) arguments.refuse(error.text);

  const example::Signals signals{
      loop, [&] { server.shutdown(std::chrono::seconds{3}, [&] { loop.stop(); }); },
      [&] { example::print_metrics(server); }};
  example::announce(this_loop::name, server, is_secure ? "https" : "http");
  example::MetricsServer metrics{loop, server};
  if (metrics_port)
    if (const auto refused = metrics.listen(*metrics_port)) arguments.refuse(refused.text);
  loop.run();
}
