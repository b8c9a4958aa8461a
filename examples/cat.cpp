// The client: lines of standard input go to the server, its messages to standard output. One source
// for every loop.
#include <cstdio>
#include <string>
#include <utility>

#include "arguments.hpp"
#include "deflate.hpp"
#include "standard_input.hpp"
#include "this_loop.hpp"
#include "timtow/timtow.hpp"
#include "timtow/url.hpp"
#include "tls.hpp"

namespace {

constexpr char help[] =
    "sends lines to a WebSocket server, and prints what it answers.\n\n"
    "  URL                  ws://host:port/path, wss:// for TLS, or\n"
    "                       ws+unix:/path/to/socket:/path\n"
    "  --subprotocol NAME   offer it; may be given again\n"
    "  --header NAME:VALUE  send it with the request; may be given again\n"
    "  --cookie NAME=VALUE  the same for a cookie\n"
    "  --draft VERSION      ask for a draft before RFC 6455: 8, 7, or 76, 75; 13 is the RFC\n"
    "  --connect ADDRESS    host:port or unix:/path to connect to, if not the URL's\n"
    "  --tls-ca FILE        trust these certificates, in PEM, and not the system's\n"
    "  --proxy URL          http://user:password@host:port to go through, or \"environment\" for "
    "that\n"
    "                       which http_proxy, all_proxy and no_proxy name\n"
    "  --timeout SECONDS    for looking up the name and connecting (10)\n"
    "  --linger SECONDS     how long the server must have been silent before its connection is\n"
    "                       closed behind the end of the input (1)\n"
    "  --deflate            offer to compress messages\n"
    "  --deflate-takeover   the same, each with what was said before in memory\n"
    "  --reconnect          go on when the connection is lost\n"
    "  --help               print this\n"
    "  --version            print the version\n";

struct Options {
  timtow::ClientOptions client;
  timtow::Duration linger = std::chrono::seconds{1};
};

Options read_options(example::Arguments& arguments) {
  Options all;
  std::string tls_ca;
  timtow::ClientOptions& options = all.client;
  const auto pair = [&](char separator) {
    const std::string text{arguments.value()};
    const auto at = text.find(separator);
    if (at == std::string::npos)
      arguments.refuse('"' + text + "\" has no \"" + separator + "\"; --help lists the options");
    const auto value = text.find_first_not_of(' ', at + 1);
    return std::pair{text.substr(0, at),
                     value == std::string::npos ? std::string{} : text.substr(value)};
  };
  const auto seconds = [&] {
    unsigned number = 0;
    arguments.number(number);
    return std::chrono::seconds{number};
  };
  while (arguments.next()) {
    if (arguments.option() == "--subprotocol") {
      options.subprotocols.emplace_back(arguments.value());
    } else if (arguments.option() == "--header") {
      options.headers.push_back(pair(':'));
    } else if (arguments.option() == "--cookie") {
      options.cookies.push_back(pair('='));
    } else if (arguments.option() == "--draft") {
      unsigned char version = 0;
      arguments.number(version);
      options.version = static_cast<timtow::ProtocolVersion>(version);
    } else if (arguments.option() == "--connect") {
      const auto error = timtow::Endpoint::parse(arguments.value(), options.endpoint.emplace());
      if (error) arguments.refuse(error.text);
    } else if (arguments.option() == "--tls-ca") {
      tls_ca = arguments.value();
    } else if (arguments.option() == "--proxy") {
      options.proxy = arguments.value();
      options.proxy_from_environment = options.proxy == "environment";
      if (options.proxy_from_environment) options.proxy.clear();
    } else if (arguments.option() == "--timeout") {
      options.connect_time = seconds();
    } else if (arguments.option() == "--linger") {
      all.linger = seconds();
    } else if (arguments.option() == "--deflate") {
      options.compression = example::deflate(arguments);
    } else if (arguments.option() == "--deflate-takeover") {
      options.compression = example::deflate(arguments, true);
    } else if (arguments.option() == "--reconnect") {
      options.reconnect.emplace();
    } else if (arguments.option().starts_with('-') || !options.url.empty()) {
      arguments.unknown();
    } else {
      options.url = arguments.option();
    }
  }
  if (options.url.empty()) arguments.refuse("which server? --help tells how to say it");
  timtow::Url url;
  if (!timtow::Url::parse(options.url, url) && url.is_secure)
    options.tls = example::client_tls(arguments, tls_ca);
  return all;
}

// Standard input, the client, and standard output.
class Cat {
 public:
  explicit Cat(Options options)
      : client_(loop_, std::move(options.client), handlers()), linger_(options.linger) {}

  // Until the connection is over; the exit status.
  int run(const example::Arguments& arguments) {
    if (const auto error = client_.connect()) arguments.refuse(error.text);
    loop_.run();
    return status_;
  }

 private:
  timtow::Handlers handlers() {
    timtow::Handlers handlers;
    handlers.on_open = [this](timtow::Connection&) {
      opened_ = true;
      send_lines();
    };
    handlers.on_drain = [this](timtow::Connection&) { send_lines(); };
    handlers.on_message = [this](timtow::Connection&, const timtow::Message& message) {
      if (silence_.is_running()) silence_.start(linger_);
      std::fwrite(message.payload.data(), 1, message.payload.size(), stdout);
      if (message.is_text()) std::putchar('\n');
      std::fflush(stdout);
    };
    handlers.on_error = [this](const timtow::Error& error) { lost(error.text); };
    handlers.on_close = [this](timtow::Connection&, const timtow::Closed& closed) {
      if (closed.error != nullptr)
        lost(closed.error->text);
      else if (closed.code > timtow::close_code::going_away &&
               closed.code != timtow::close_code::none_received)
        lost("the server closed with " + std::to_string(closed.code) + ' ' +
             std::string{closed.reason});
      else if (!client_.is_active())
        loop_.stop();
    };
    return handlers;
  }

  // What has come from standard input, as fast as the server takes it.
  void send_lines() {
    const auto connection = client_.connection();
    while (connection && sent_ < lines_.size() && connection->is_open() &&
           !connection->is_congested())
      send(*connection, lines_[sent_++]);
    if (sent_ < lines_.size()) return;
    lines_.clear();
    sent_ = 0;
    if (input_ended_ && opened_) silence_.start(linger_);
    if (connection && !std::exchange(asked_, true)) input_.more();
  }

  void send(timtow::Connection& connection, const std::string& line) {
    if (!timtow::is_utf8(timtow::as_bytes(line)))
      fail("a line was not sent, for it is not UTF-8");
    else if (connection.send(line) != timtow::errc::ok && connection.is_open())
      fail("a line was not sent, for it is too long");
  }

  void take(example::StandardInput::Lines lines) {
    asked_ = false;
    input_ended_ = lines.empty();
    lines_ = std::move(lines);
    send_lines();
  }

  void end() {
    const bool is_open = client_.connection() != nullptr;
    client_.close();
    if (!is_open) loop_.stop();  // it is connecting anew, and there is nothing to say any more
  }

  void complain(const std::string& sentence) {
    std::fprintf(stderr, "cat-%s: %s\n", this_loop::name, sentence.c_str());
  }

  // What was asked for is not done, whatever comes.
  void fail(const std::string& sentence) {
    complain(sentence);
    status_ = 1;
  }

  // The connection, or the attempt to make one, has ended with an error.
  void lost(const std::string& sentence) {
    if (client_.is_active()) return complain(sentence);
    fail(sentence);
    loop_.stop();
  }

  this_loop::Loop loop_;
  timtow::Client client_;
  timtow::Duration linger_;
  timtow::Timer silence_{loop_, [this] { end(); }};
  int status_ = 0;
  example::StandardInput::Lines lines_;
  std::size_t sent_ = 0;
  bool input_ended_ = false;
  bool opened_ = false;  // once at least
  bool asked_ = true;    // for more lines; the first come by themselves
  example::StandardInput input_{loop_, [this](auto lines) { take(std::move(lines)); }};
};

}  // namespace

int main(int argc, char** argv) {
  example::Arguments arguments{argc, argv, std::string{"cat-"} + this_loop::name, help};
  return Cat{read_options(arguments)}.run(arguments);
}
