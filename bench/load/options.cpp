#include "options.hpp"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <arpa/inet.h>

#include "fail.hpp"

namespace load {
namespace {

constexpr char help[] =
    R"(bench-load MODE --port P [options]: load on an echo server, and what it cost, as JSON.

modes
  closed   every connection sends --pipeline messages at once, and the next when all are back
  open     --rate messages a second whatever comes back; latency counts from when each was due
  idle     --connections that say nothing, beside --active ones that run as in closed
  churn    connections that open, echo once and close, --concurrency at a time
  fanout   --connections that receive what one more sends, on a server that sends all to all
  slow     --connections that send without pause and read --drain bytes a second, beside
           --active ones that run as in closed

options
  --host ADDRESS       of the server, in 127.0.0.0/8 (127.0.0.1)
  --port P             of the server
  --pid PID            the server's process, to tell its CPU time and memory
  --protocol P         websocket, or tcp: the same bytes, no handshake, echoed as they are
  --connections N      (1)
  --pipeline K         messages at once (1)
  --size B             bytes of payload (16)
  --payload P          binary, ascii, or mixed: UTF-8 of 1 to 4 bytes a character (binary)
  --warmup S           seconds that are not counted (0.3)
  --seconds S          seconds that are (1)
  --messages N         instead: exactly so many messages, none of them for warming up;
                       connections in churn, broadcasts in fanout
  --deadline S         the run fails if it takes longer (60)
  --rate R             messages a second (open)
  --active A           connections that echo (10; idle, slow)
  --concurrency C      connections at a time (16; churn)
  --drain B            bytes a second that each slow reader takes (65536; slow)
)";

class Arguments {
 public:
  Arguments(int argc, char** argv) : argc_(argc), argv_(argv) {}

  bool next() { return ++at_ < argc_; }
  std::string_view argument() const { return argv_[at_]; }

  const char* value() {
    option_ = argv_[at_];
    if (++at_ == argc_) refuse("%s needs a value; --help lists the options", option_);
    return argv_[at_];
  }

  template <typename Number>
  Number number(Number least, Number most) {
    const std::string_view text = value();
    const char* const end = text.data() + text.size();
    Number number{};
    const auto [stop, failure] = std::from_chars(text.data(), end, number);
    if (failure != std::errc{} || stop != end || !(number >= least && number <= most))
      refuse("%s takes a number from %s to %s, not \"%s\"", option_, std::to_string(least).c_str(),
             std::to_string(most).c_str(), text.data());
    return number;
  }

  template <typename Choice>
  Choice one_of(std::initializer_list<Choice> choices) {
    const std::string_view text = value();
    std::string names;
    for (const Choice choice : choices) {
      if (text == name_of(choice)) return choice;
      names += std::string{names.empty() ? "" : ", "} + name_of(choice);
    }
    refuse("%s takes one of %s, not \"%s\"", option_, names.c_str(), text.data());
  }

 private:
  int argc_;
  char** argv_;
  int at_ = 0;
  const char* option_ = "";
};

constexpr std::size_t most_connections = 1'000'000;
constexpr std::size_t most_bytes = std::size_t{1} << 28;  // of a batch

}  // namespace

const char* name_of(Protocol protocol) {
  return protocol == Protocol::websocket ? "websocket" : "tcp";
}

const char* name_of(Payload payload) {
  switch (payload) {
    case Payload::binary:
      return "binary";
    case Payload::ascii:
      return "ascii";
    case Payload::mixed:
      break;
  }
  return "mixed";
}

Options read_options(int argc, char** argv) {
  Options options;
  std::string host = "127.0.0.1";
  Arguments arguments{argc, argv};
  while (arguments.next()) {
    const std::string_view argument = arguments.argument();
    if (argument == "--help") {
      std::fputs(help, stdout);
      std::exit(0);
    } else if (!argument.starts_with("--") && options.mode.empty()) {
      options.mode = argument;
    } else if (argument == "--host") {
      host = arguments.value();
    } else if (argument == "--port") {
      options.server.sin_port = htons(arguments.number<std::uint16_t>(1, 65535));
    } else if (argument == "--pid") {
      options.pid = arguments.number(1, 1 << 30);
    } else if (argument == "--protocol") {
      options.protocol = arguments.one_of({Protocol::websocket, Protocol::tcp});
    } else if (argument == "--payload") {
      options.payload = arguments.one_of({Payload::binary, Payload::ascii, Payload::mixed});
    } else if (argument == "--connections") {
      options.connections = arguments.number<std::size_t>(1, most_connections);
    } else if (argument == "--pipeline") {
      options.pipeline = arguments.number<std::size_t>(1, 1 << 20);
    } else if (argument == "--size") {
      options.size = arguments.number<std::size_t>(0, most_bytes);
    } else if (argument == "--warmup") {
      options.warmup = arguments.number(0.0, 3600.0);
    } else if (argument == "--seconds") {
      options.seconds = arguments.number(0.001, 3600.0);
    } else if (argument == "--messages") {
      options.messages = arguments.number<std::uint64_t>(1, std::uint64_t{1} << 40);
    } else if (argument == "--deadline") {
      options.deadline = arguments.number(0.001, 3600.0);
    } else if (argument == "--rate") {
      options.rate = arguments.number(0.001, 1e8);
    } else if (argument == "--active") {
      options.active = arguments.number<std::size_t>(1, most_connections);
    } else if (argument == "--concurrency") {
      options.concurrency = arguments.number<std::size_t>(1, most_connections);
    } else if (argument == "--drain") {
      options.drain = arguments.number(1.0, 1e7);
    } else {
      refuse("unknown argument \"%s\"; --help lists modes and options", argument.data());
    }
  }
  if (options.mode.empty()) refuse("which mode? --help lists them");
  if (options.server.sin_port == 0) refuse("--port is needed: the server's");
  if (options.pipeline * (options.size + 14) > most_bytes)
    refuse("--pipeline times --size is %zu bytes at once; at most %zu are sent",
           options.pipeline * options.size, most_bytes);
  if (options.mode == "open" && options.rate == 0) refuse("open needs --rate, messages a second");
  options.server.sin_family = AF_INET;
  if (inet_pton(AF_INET, host.c_str(), &options.server.sin_addr) != 1 ||
      ntohl(options.server.sin_addr.s_addr) >> 24 != 127)
    refuse("--host takes an address of 127.0.0.0/8, not \"%s\"", host.c_str());
  return options;
}

}  // namespace load
