// TLS between a transport and whoever is above it: the filter, with OpenSSL alone as its peer, and
// a wire between the two on which anything may happen. What happens the input tells: its first byte
// how it is set up, and each byte that follows one act, with what that needs behind it.
//
//   0x01  the filter is a client's           0x02  the peer speaks TLS 1.2 at most
//   0x04  the loop completes what it writes  0x08  what is heard above is answered with the same
//   0x10  the handshake is done first        0x20  there is room for 7 bytes at a time above
//
// - Above nothing is told inside an operation, nothing unwanted, and nothing after the end.
// - What is heard is what was said, from its beginning on, whatever was done to the wire; so of a
//   peer that said nothing, nothing is heard. And nothing is heard after a failure.
// - The same wire leads to the same end with the same error, however it is split.
// - When all is over, the transport is closed, and nothing is left in the pool.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "support.hpp"
#include "support/certificate.hpp"
#include "support/fake_loop.hpp"
#include "support/tls_peer.hpp"
#include "timtow/security.hpp"
#include "timtow/tls.hpp"

namespace {

using fuzz::check;
using timtow::as_text;
using timtow::Bytes;
using timtow::Error;
using timtow::Gather;
using timtow::How;
using timtow::Loop;
using timtow::MutableBytes;
using timtow::Transport;

// What supports the tests complains by doctest.
void complain(const doctest::AssertData& failed) {
  if (!failed.m_failed) return;
  std::fprintf(stderr, "%s:%d: ", failed.m_file, failed.m_line);
  check(false, failed.m_expr);
}

// Of one and the same size whenever they are made, and so is what they sign: the same script says
// the same at the same place of the wire.
struct World {
  test::Certificate certificate{{.names = "DNS:*.example.org", .algorithm = "ED25519"}};
  test::Folder folder;
  std::string file = certificate.write(folder / "localhost.pem");
  std::shared_ptr<timtow::tls::ServerContext> server;
  std::shared_ptr<timtow::tls::ClientContext> client;
  std::array<test::Context, 4> peers;  // of the setups that are the same to them

  World() {
    Error error;
    client = timtow::tls::ClientContext::make({.ca_file = file}, error);
    check(!error, "a client's context can be made");
    for (std::size_t setup = 0; setup < peers.size(); ++setup) {
      peers[setup] = (setup & 0x01) != 0 ? test::server_context() : test::client_context();
      SSL_CTX* const context = peers[setup].get();
      if ((setup & 0x02) != 0) SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
      if ((setup & 0x01) != 0) certificate.use_in(context);
    }
    server = timtow::tls::ServerContext::make({.certificates = {{file, file}}}, error);
    check(!error, "a server's context can be made");
  }
};

const World& world() {
  static doctest::Context context;
  static const World made = [] {
    context.setAsDefaultForAssertsOutOfTestCases();
    context.setAssertHandler(complain);
    return World{};
  }();
  return made;
}

// Whoever is above: it writes what it has as a connection does, and answers failures as one.
class Above final : public timtow::TransportEvents {
 public:
  explicit Above(Loop& loop, std::size_t space, bool answers)
      : loop_(loop), space_(space), answers_(answers) {}

  std::string heard;
  std::string said;
  std::string log;  // how it ended, and behind how much

  bool is_closed() const { return closed_; }

  void say(std::string_view text) {
    if (ended_writing_ || closed_) return;
    said += text;
    const Loop::Batch batch{loop_};
    push();
  }
  void want_read(bool wanted) {
    if (closed_) return;
    wants_read_ = wanted;
    const Loop::Batch batch{loop_};
    operate([&] { transport_->want_read(wanted); });
  }
  void end_writing() {
    if (closed_ || ended_writing_ || waiting_) return;
    const Loop::Batch batch{loop_};
    ended_writing_ = true;
    operate([&] { transport_->shutdown_write(); });
  }
  void close(How how) {
    if (closed_) return;
    const Loop::Batch batch{loop_};
    closed_ = true;
    operate([&] { std::exchange(transport_, nullptr)->close(how); });
  }

 private:
  void opened(Transport& transport) noexcept override {
    told();
    check(transport_ == nullptr, "opened() comes once");
    transport_ = &transport;
  }
  MutableBytes read_space() noexcept override { return {bytes_.data(), space_}; }
  void received(MutableBytes bytes) noexcept override {
    told();
    check(wants_read_ && !has_ended_, "nothing unwanted is heard, and nothing behind the end");
    check(!has_failed_, "nothing is heard after a failure");
    check(!bytes.empty() && bytes.size() <= space_, "what is heard is where it was wanted");
    heard += as_text(bytes);
    if (answers_) say(as_text(bytes));
    std::fill(bytes.begin(), bytes.end(), std::byte{0xEE});
  }
  void ended() noexcept override {
    told();
    check(!std::exchange(has_ended_, true), "ended() comes once");
    note("ended");
  }
  void written(std::size_t taken) noexcept override {
    told();
    check(std::exchange(waiting_, false), "written() comes once for each write_later()");
    check(taken <= shown_.size(), "what is taken was shown");
    taken_ += taken;
    push();
  }
  // Of a failure of TLS its peer is told; anything else is the end.
  void failed(std::error_code cause) noexcept override {
    told();
    check(!std::exchange(has_failed_, true), "failed() comes once");
    note("failed: " + cause.message());
    if (transport_ == nullptr)
      closed_ = true;
    else if (transport_->security()->error())
      give_up(transport_->security()->error());
    else
      close(How::abortive);
  }

  void told() const { check(!inside_ && !closed_, "nothing is told inside, or after the end"); }
  void note(const std::string& what) {
    log += what + " behind " + std::to_string(heard.size()) + '\n';
  }
  void give_up(const Error& error) {
    check(!error.text.empty(), "an error has a sentence");
    log += error.text + '\n';
    has_given_up_ = true;
    end_writing();
  }

  template <typename Operation>
  void operate(Operation operation) {
    inside_ = true;
    operation();
    inside_ = false;
  }

  void push() {
    while (!waiting_ && !closed_ && !has_given_up_ && taken_ < said.size()) {
      shown_ = said.substr(taken_);  // where it stays
      Gather bytes;
      bytes.add(timtow::as_bytes(shown_));
      std::error_code error;
      std::size_t taken = 0;
      operate([&] { taken = transport_->write(bytes, error); });
      check(taken <= shown_.size(), "no more is taken than there is");
      taken_ += taken;
      if (error) return close(How::abortive);
      if (taken == shown_.size()) return;
      waiting_ = true;
      shown_.erase(0, taken);
      Gather rest;
      rest.add(timtow::as_bytes(shown_));
      operate([&] { transport_->write_later(rest); });
    }
  }

  Loop& loop_;
  std::size_t space_;
  bool answers_;
  Transport* transport_ = nullptr;
  std::array<std::byte, 1000> bytes_{};
  std::string shown_;
  std::size_t taken_ = 0;
  bool wants_read_ = true;
  bool waiting_ = false;
  bool inside_ = false;
  bool ended_writing_ = false;
  bool has_ended_ = false;
  bool has_failed_ = false;
  bool has_given_up_ = false;
  bool closed_ = false;
};

// What is left of the input.
class Script {
 public:
  explicit Script(std::string_view input) : rest_(input) {}

  bool empty() const { return rest_.empty(); }
  std::size_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::size_t size() {
    const std::size_t high = byte();
    return high * 256 + byte();
  }
  std::string_view bytes(std::size_t size) {
    const std::string_view some = rest_.substr(0, size);
    rest_.remove_prefix(some.size());
    return some;
  }

 private:
  std::string_view rest_;
};

class Run {
 public:
  // More than so much by the peer takes long, and shows nothing new.
  static constexpr std::size_t most_said = 10'000;

  Run(std::size_t setup, const fuzz::Sizes& sizes)
      : sizes_(sizes),
        above_(loop_, (setup & 0x20) != 0 ? 7 : 1000, (setup & 0x08) != 0),
        peer_(world().peers[setup & 0x03].get(), (setup & 0x01) == 0) {
    std::unique_ptr<timtow::Filter> filter;
    if ((setup & 0x01) != 0) {
      static unsigned hosts =
          1'000'000'000;  // each has its own: no session of another is continued
      const std::string host = std::to_string(++hosts) + ".example.org";
      filter = world().client->secure(loop_, above_, host);
    } else {
      filter = world().server->secure(loop_, above_);
    }
    Error error;
    Transport* const below = loop_.adopt(loop_.connected_elsewhere(), *filter, error);
    if ((setup & 0x04) != 0) wire().style = test::Peer::Style::completion;
    filter.release()->opened(*below);
    loop_.settle();
    if ((setup & 0x10) != 0) run();
  }

  void act(Script& script) {
    switch (script.byte() % 17) {
      case 0:
        return run();
      case 1:
        return arrive(script.size());
      case 2: {  // one byte becomes another
        const std::size_t at = script.size();
        const std::size_t bits = script.byte();
        if (at < wire_.size()) wire_[at] = static_cast<char>(wire_[at] ^ static_cast<char>(bits));
        return;
      }
      case 3: {  // some are lost
        const std::size_t at = std::min(script.size(), wire_.size());
        wire_.erase(at, script.byte());
        return;
      }
      case 4: {  // some come twice
        const std::size_t at = std::min(script.size(), wire_.size());
        wire_.insert(at, wire_.substr(at, script.byte()));
        return;
      }
      case 5:  // some are nobody's
        wire_ += script.bytes(script.byte());
        return;
      case 6:
        return hear();
      case 7: {
        const std::size_t size = script.size() % 5000;
        const std::size_t record = 1 + size / 100 + script.byte() * 64;
        if (!may_speak() || said_.size() > most_said) return;
        said_.append(size, static_cast<char>('a' + said_.size() % 26));
        peer_.say(std::string_view{said_}.substr(said_.size() - size), record);
        break;
      }
      case 8:
        if (may_speak()) peer_.say_close_notify();
        break;
      case 9:
        if (!may_speak() || SSL_version(peer_.ssl()) != TLS1_3_VERSION) return;
        SSL_key_update(peer_.ssl(), SSL_KEY_UPDATE_REQUESTED);
        SSL_do_handshake(peer_.ssl());
        break;
      case 10:
        return wire().ends();
      case 11:
        return wire().breaks();
      case 12:
        wire().room = script.size();
        return loop_.settle();
      case 13:
        if (above_.said.size() > 10 * most_said) return;
        above_.say(
            std::string(script.size() % 50'000, static_cast<char>('A' + script.byte() % 26)));
        break;
      case 14:
        above_.want_read(script.byte() % 2 == 0);
        break;
      case 15:
        above_.end_writing();
        break;
      default:
        above_.close(script.byte() % 2 == 0 ? How::graceful : How::abortive);
        break;
    }
    loop_.settle();
    wire_ += peer_.take();
  }

  std::string finish() {
    above_.close(How::abortive);
    check(wire().closed.has_value(), "all is closed in the end");
    check(loop_.pool().in_use() == 0, "nothing is left in the pool");
    check(std::string_view{said_}.starts_with(above_.heard), "what is heard was said");
    return above_.log + above_.heard;
  }

 private:
  test::Peer& wire() { return *loop_.peers.front(); }

  bool may_speak() {
    return peer_.is_ready && peer_.failure.empty() &&
           (SSL_get_shutdown(peer_.ssl()) & SSL_SENT_SHUTDOWN) == 0;
  }

  // So much of what the peer said, in reads of the sizes of this run.
  void arrive(std::size_t size) {
    std::string_view part = std::string_view{wire_}.substr(0, size);
    const std::size_t all = part.size();
    while (!part.empty()) {
      const std::size_t read = sizes_.empty() ? part.size() : sizes_[turn_++ % sizes_.size()];
      wire().sends(part.substr(0, read));
      part.remove_prefix(std::min(read, part.size()));
    }
    wire_.erase(0, all);
  }

  // The peer hears what was written; of that nothing was touched.
  void hear() {
    peer_.hear(std::exchange(wire().written, {}));
    wire_ += peer_.take();
    check(std::string_view{above_.said}.starts_with(peer_.got), "what the peer hears was said");
  }

  // Until nobody has anything to say.
  void run() {
    do {
      arrive(wire_.size());
      hear();
    } while (!wire_.empty());
  }

  const fuzz::Sizes& sizes_;
  std::size_t turn_ = 0;
  test::FakeLoop loop_;
  Above above_;
  test::TlsPeer peer_;
  std::string wire_;  // that the peer has said, and that has not arrived
  std::string said_;  // by the peer, in it
};

std::string run(std::string_view input, const fuzz::Sizes& sizes) {
  Script script{input};
  Run run{script.byte(), sizes};
  for (int acts = 0; acts < 100 && !script.empty(); ++acts) run.act(script);
  return run.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  world();
  const std::string_view input = fuzz::text_of(data, size);
  fuzz::check_splits(input, [&](const fuzz::Sizes& sizes) { return run(input, sizes); });
  return 0;
}
