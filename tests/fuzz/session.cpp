// A session is put through a script, the first line of the input; the rest is what its peer sends.
//
//   oe:p5h0H9    an open server that echoes: a ping after 5 bytes, events held back for 9 more
//
// Letters before the colon set the session up:
//   c client  o open already  t streaming  i reads in place  d the application answers later
//   e echo  w small writes  m little memory  x drafts, of a server that is not open already
//   z compressed messages, if open already  Z the same, with context takeover
//   k tight limits, all of them, or some: B bytes and headers of a head, M bytes and F fragments of
//   a message, O output, T times
// Behind it, each letter is an action of application, network or clock, and the character after it
// says how many bytes of input are read before: '0' none, '1' one, and so on through ASCII.
// What is left is read at the end. {accept} stands for the right Sec-WebSocket-Accept.
#include "support.hpp"

#ifdef TIMTOW_HAS_DEFLATE
#include "timtow/deflate.hpp"
#endif
#ifdef TIMTOW_FUZZ
#include "frame_mutator.hpp"
#endif

namespace {

using timtow::errc;

struct Script {
  fuzz::Setup setup;
  std::string_view actions;
  std::string_view input;
};

void compress([[maybe_unused]] fuzz::Setup& setup, [[maybe_unused]] bool takes_over) {
#ifdef TIMTOW_HAS_DEFLATE
  static const timtow::Deflate with_takeover{timtow::DeflateOptions{
      .server_no_context_takeover = false, .client_no_context_takeover = false, .min_size = 0}};
  static const timtow::Deflate without_takeover{timtow::DeflateOptions{.min_size = 0}};
  setup.options.compression = takes_over ? &with_takeover : &without_takeover;
  setup.extension =
      takes_over ? "permessage-deflate" : "permessage-deflate; server_no_context_takeover";
  // A message that is compressed may become so large.
  setup.options.limits.message_bytes = 100'000;
  setup.options.limits.inflate_free = 50'000;
  setup.more_memory = 1024 * 1024;
#endif
}

Script parse(std::string_view text) {
  const auto line_end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, line_end);
  const auto colon = std::min(line.find(':'), line.size());
  const auto has = [letters = line.substr(0, colon)](char letter) {
    return letters.find(letter) != letters.npos;
  };
  Script script;
  script.actions = line.substr(std::min(colon + 1, line.size()));
  script.input = text.substr(std::min(line_end + 1, text.size()));

  fuzz::Setup& setup = script.setup;
  setup.role = has('c') ? timtow::Role::client : timtow::Role::server;
  setup.opened = has('o');
  setup.streaming = has('t');
  setup.in_place = has('i');
  setup.answering = !has('d');
  setup.echo = has('e');
  if (has('w')) setup.write_size = 3;
  if (has('m')) setup.budget = 12 * 1024;
  setup.options.drafts = has('x') && setup.role == timtow::Role::server && !setup.opened;
  if ((has('z') || has('Z')) && setup.opened) compress(setup, has('Z'));
  timtow::Limits& limits = setup.options.limits;
  const auto is_tight = [&](char limit) { return has('k') || has(limit); };
  if (is_tight('B')) {
    limits.handshake_bytes = 400;
    limits.handshake_headers = 8;
  }
  if (is_tight('M')) limits.message_bytes = 100;
  if (is_tight('F')) limits.message_fragments = 3;
  if (is_tight('O')) {
    limits.output_high_water = 64;
    limits.output_low_water = 16;
    setup.pongs_coalesce = true;
    // How much waits while reads are worked off depends on how they are split, and so would what
    // an echo is refused.
    if (!setup.echo) limits.output_bytes = 300;
  }
  if (has('T')) {
    limits.handshake_time = std::chrono::seconds{7};
    limits.message_time = std::chrono::seconds{20};
    limits.ping_interval = std::chrono::seconds{3};
    limits.idle_time = std::chrono::seconds{10};
    limits.idle_bytes = 8;
    limits.close_time = std::chrono::seconds{2};
  }
  return script;
}

void act(fuzz::Connection& connection, char action) {
  timtow::Session& session = connection.session();
  const std::string big(5000, 'x');
  const timtow::Message small{timtow::MessageType::text, timtow::as_bytes("a message")};
  const timtow::Message large{timtow::MessageType::binary, timtow::as_bytes(big)};
  switch (action) {
    case 's':
      return connection.did("send", session.send(small), 16);
    case 'S':
      return connection.did("send large", session.send(large), big.size());
    case 'b':
      return connection.did("send borrowed", session.send_borrowed(large), big.size());
    case 'f':
      return connection.did("send fragment", session.send_piece(small, false), 16);
    case 'F':
      return connection.did("send last fragment", session.send_piece(small, true), 16);
    case 'p':
      return connection.did("ping", session.ping(timtow::as_bytes("ping")), 16);
    case 'P':
      return connection.did("ping too long", session.ping(timtow::as_bytes(big)));
    case 'm':
      return connection.did("send prepared", session.send(timtow::PreparedMessage{small}), 16);
    case 'q':
      return connection.did("pong", session.pong(), 16);
    case 'c':
      return connection.did("close", session.close(1000, "enough"), 16);
    case 'n':
      return connection.did("close", session.close(timtow::close_code::none_received), 16);
    case 'x':
      return connection.did("close wrongly", session.close(1006));
    case 'a':
      return connection.did("accept", session.accept().code, 512);
    case 'r':
      return connection.did("reject", session.reject(403, "No.\n").code, 512);
    case 'R': {
      const auto error = session.respond(
          {.status = 200, .body = "x", .headers = {{"X", "injected\r\nSet-Cookie: a=b"}}});
      return connection.did("respond wrongly", error.code);
    }
    case 'h':
      return connection.hold(true);
    case 'H':
      return connection.hold(false);
    case 'u':
      session.pause(true);
      return connection.pump();
    case 'U':
      session.pause(false);
      return connection.pump();
    case 'w':
      return connection.stall(true);
    case 'W':
      return connection.stall(false);
    case '1':
      return connection.pass(std::chrono::seconds{1});
    case 't':
      return connection.pass(std::chrono::seconds{6});
    case 'T':
      return connection.pass(std::chrono::seconds{31});
    case 'g':
      session.give_up(timtow::make_error(errc::connection_lost, "the stream is of no use"));
      return connection.pump();
    case 'e':
      session.end_of_input();
      return connection.pump();
    case 'l':
      session.lost(make_error_code(std::errc::connection_reset));
      return connection.pump();
    default:
      return;
  }
}

std::string run(const Script& script, const fuzz::Sizes& sizes) {
  fuzz::Connection connection{script.setup};
  const std::string with_accept = fuzz::with_accept(script.input, connection.accept());
  std::string_view input = with_accept;
  for (std::size_t i = 0; i < script.actions.size(); i += 2) {
    if (i + 1 < script.actions.size()) {
      const auto distance = static_cast<unsigned char>(script.actions[i + 1]) - unsigned{'0'};
      const auto size = std::min<std::size_t>(distance & 0xFFU, input.size());
      connection.read(input.substr(0, size), sizes);
      input.remove_prefix(size);
    }
    act(connection, script.actions[i]);
  }
  connection.read(input, sizes);
  return connection.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Script script = parse(fuzz::text_of(data, size));
  const std::string whole = run(script, {});
  const std::string byte_by_byte = run(script, fuzz::smallest_of(script.input));
  const std::string in_parts = run(script, fuzz::sizes_of(script.input));
  // What is refused for lack of memory depends on the reads.
  if (script.setup.budget != fuzz::Setup{}.budget) return 0;
  fuzz::check_same(byte_by_byte, whole, "byte by byte");
  fuzz::check_same(in_parts, whole, "in parts");
  return 0;
}
