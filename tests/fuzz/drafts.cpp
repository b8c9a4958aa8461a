// A session that speaks drafts is fed the input from its first byte on. That says by its first byte
// who it is, and how it is set up:
//
//   s  a server: a request of any version, key3, frames   S  one that streams
//   7  a client that asked for draft 76   6  for draft 75   8  for version 8
//
// {answer} stands for the 16 bytes that answer the client's keys, {accept} for the Sec-WebSocket-
// Accept.
#include "handshake_drafts.hpp"
#include "support.hpp"
#include "timtow/utf8.hpp"

namespace {

constexpr std::size_t message_bytes = 200;

std::string take_output(timtow::Session& session) { return fuzz::take_output(session, 7); }

// The answer to what the client asked: to its challenge, or to its key.
std::string answered(std::string_view input, const std::string& written) {
  timtow::HeadScanner scanner;
  fuzz::check(scanner.scan(written) == timtow::HeadScanner::Result::complete,
              "a client writes a request that can be read");
  timtow::Request request;
  const std::string_view head = std::string_view{written}.substr(0, scanner.scanned());
  fuzz::check(!parse_request(head, 100, request) && !check_request(request, true),
              "a server accepts what a client writes");
  if (request.version() == timtow::ProtocolVersion::hybi_8)
    return fuzz::with_accept(input, timtow::accept_for(request.headers["Sec-WebSocket-Key"]));
  timtow::HixieChallenge challenge = timtow::hixie_challenge(request);
  const std::string_view key3 = std::string_view{written}.substr(scanner.scanned());
  const bool has_keys = request.version() == timtow::ProtocolVersion::hixie_76;
  fuzz::check(key3.size() == (has_keys ? 8U : 0U), "key3 is of eight bytes");
  std::copy(key3.begin(), key3.end(), reinterpret_cast<char*>(challenge.data()) + 8);
  const auto answer = timtow::md5(challenge);
  // Elsewhere than behind a 101 it would be read, and what a session says of it be random.
  std::string text{input};
  constexpr std::string_view stand_in = "{answer}";
  timtow::HeadScanner its_scanner;
  timtow::Response response;
  const bool is_whole = its_scanner.scan(text) == timtow::HeadScanner::Result::complete;
  const std::size_t end = its_scanner.scanned();
  if (is_whole && text.compare(end, stand_in.size(), stand_in) == 0 &&
      !parse_response(input.substr(0, end), 100, response) && response.status == 101)
    text.replace(end, stand_in.size(), timtow::as_text(answer));
  return text;
}

// What was written behind a head of draft 75 or 76 is frames of text, and perhaps the closing one.
void check_frames(std::string_view bytes) {
  while (!bytes.empty()) {
    if (bytes == std::string_view("\xFF\0", 2)) return;
    const auto end = bytes.find('\xFF');
    fuzz::check(bytes[0] == '\0' && end != bytes.npos, "what is written are frames of the draft");
    fuzz::check(timtow::is_utf8(timtow::as_bytes(bytes.substr(1, end - 1))), "text is UTF-8");
    bytes.remove_prefix(end + 1);
  }
}

std::string run(std::string_view input, const fuzz::Sizes& sizes) {
  const char who = input.empty() ? 's' : input[0];
  input.remove_prefix(std::min<std::size_t>(1, input.size()));
  timtow::SessionOptions options{.drafts = true};
  options.limits.handshake_bytes = 2048;
  options.limits.handshake_headers = 16;
  options.limits.message_bytes = message_bytes;
  timtow::Pool pool{std::numeric_limits<std::size_t>::max(), 0};
  {
    const bool is_client = who == '6' || who == '7' || who == '8';
    timtow::Session session{is_client ? timtow::Role::client : timtow::Role::server, pool, options};
    session.stream_messages(who == 'S');
    std::string asked{input};
    if (is_client) {
      const auto version = who == '6'   ? timtow::ProtocolVersion::hixie_75
                           : who == '7' ? timtow::ProtocolVersion::hixie_76
                                        : timtow::ProtocolVersion::hybi_8;
      fuzz::check(
          !session.request(
              {.host = "example.org", .subprotocols = {"chat"}, .headers = {}, .version = version}),
          "a client may ask for a draft");
      asked = answered(input, take_output(session));
    }
    fuzz::Log log;
    std::string written;
    bool closed = false;
    std::size_t received = 0;
    const auto pump = [&] {
      while (const auto event = session.next()) {
        fuzz::check(!closed, "the closed event is the last");
        log.add(*event);
        closed = event->closed() != nullptr;
        if (const auto* request = event->request()) {
          const auto offered = request->subprotocols();
          if (session.accept(
                  {.subprotocol = offered.empty() ? "" : offered.front(), .headers = {}}))
            session.reject(404, "No.\n");
        } else if (const auto* message = event->message()) {
          fuzz::check(message->payload.size() <= message_bytes, "no message is over the limit");
          log.add("echo " + make_error_code(session.send(*message)).message());
        }
      }
      session.own_output();
      if (is_client)
        take_output(session);  // masked with what is random, or an echo as a server's is
      else
        written += take_output(session);
      fuzz::check(pool.in_use() <= 32 * 1024 + 8 * received, "memory grows with what came");
    };
    std::string_view rest = asked;
    for (std::size_t i = 0; !rest.empty(); ++i) {
      const std::size_t size =
          sizes.empty() ? rest.size() : std::min(sizes[i % sizes.size()], rest.size());
      const auto copy = std::make_unique<std::byte[]>(size);
      std::copy_n(timtow::as_bytes(rest).data(), size, copy.get());
      received += size;
      session.receive({copy.get(), size});
      pump();
      rest.remove_prefix(size);
    }
    const bool is_hixie = timtow::is_hixie(session.version());
    if (session.is_open() && is_hixie)
      fuzz::check(session.ping() == timtow::errc::unsupported_by_draft, "there are no pings");
    session.close(timtow::close_code::going_away, "that was it");
    pump();
    session.end_of_input();
    pump();
    fuzz::check(closed && session.finished() && session.output_size() == 0,
                "a session is finished after close() and the end of the stream");
    if (!is_client && is_hixie && written.starts_with("HTTP/1.1 101 ")) {
      std::string_view frames = written;
      frames.remove_prefix(frames.find("\r\n\r\n") + 4);
      if (session.version() == timtow::ProtocolVersion::hixie_76)
        frames.remove_prefix(std::min<std::size_t>(16, frames.size()));
      check_frames(frames);
    }
    written = log.lines() + "\n" + written;
    session.drop_output();
    return written;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text_of(data, size);
  fuzz::check_splits(input, [&](const fuzz::Sizes& sizes) { return run(input, sizes); });
  return 0;
}
