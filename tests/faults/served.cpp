#include "served.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <bitset>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "this_loop.hpp"
#include "timtow/timtow.hpp"

// AddressSanitizer's, where there is one.
extern "C" [[gnu::weak]] int __lsan_do_recoverable_leak_check();  // NOLINT

namespace faults {
namespace {

using namespace timtow;
using namespace std::chrono_literals;

using Descriptors = std::bitset<128>;

Descriptors open_ones() noexcept {
  Descriptors all;
  for (std::size_t fd = 0; fd < all.size(); ++fd)
    all[fd] = fcntl(static_cast<int>(fd), F_GETFD) >= 0;
  return all;
}

// So that what is written has to wait, on connections that are accepted from now on.
void make_room_small() noexcept {
  const Unseen unseen;
  for (int fd = 0; fd < 128; ++fd) {
    int listens = 0;
    socklen_t size = sizeof listens;
    const int little = 4096;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0)
      setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
  }
}

// Of what was lost nothing helps against waiting in vain but these: and whoever they end was not
// told by the call that failed.
Limits patient() noexcept {
  Limits limits;
  limits.ping_interval = limits.idle_time = 0s;
  limits.handshake_time = 9s;
  limits.close_time = 3s;
  return limits;
}

// A client, from its connect to its end, of which is told once.
class Call {
 public:
  Call(Loop& loop, Shared& shared, int port, std::function<void(const char*)> done)
      : shared_(shared), done_(std::move(done)) {
    Handlers handlers;
    handlers.on_open = [](Connection& peer) { peer.send("hello"); };
    handlers.on_message = [this](Connection& peer, const Message& message) {
      heard_ = message.text() == "hello";
      peer.close();
    };
    handlers.on_close = [this](Connection&, const Closed& closed) { ended(closed.error); };
    handlers.on_error = [this](const Error& error) { ended(&error); };
    ClientOptions options;
    options.url = "ws://localhost:" + std::to_string(port) + '/';
    options.connect_time = 9s;
    options.limits = patient();
    client_.emplace(loop, std::move(options), std::move(handlers));
    if (const Error error = client_->connect()) ended(&error);
  }

 private:
  void ended(const Error* error) {
    if (error != nullptr) shared_.say(error->text);
    if (const auto done = std::exchange(done_, nullptr)) done(heard_ ? "called" : "failed");
  }

  Shared& shared_;
  std::function<void(const char*)> done_;
  bool heard_ = false;
  std::optional<Client> client_;
};

class Served {
 public:
  explicit Served(Shared& shared) : shared_(shared), server_(loop_, handlers(), options()) {}

  void run() {
    // What libev could not watch it tells of when something else wakes it up.
    if (std::string_view{this_loop::name} == "libev") tick_.start(50ms);
    if (const Error error = server_.listen({.host = "127.0.0.1", .port = 0, .path = {}}))
      return shared_.say(error.text);
    make_room_small();
    int port = 0;
    for (int tries = 0; port == 0 && tries < 2; ++tries) port = server_.endpoints().front().port;
    shared_.port = port;
    loop_.run();
  }

 private:
  static ServerOptions options() {
    ServerOptions options;
    options.limits = patient();
    return options;
  }

  Handlers handlers() {
    Handlers handlers;
    handlers.on_message = [this](Connection& peer, const Message& message) {
      const std::string_view text = message.text();
      if (text == "stop")
        server_.shutdown(3s, [this] { loop_.stop(); });
      else if (text == "post")
        loop_.post(answer(peer, "posted"));
      else if (text == "call")
        call_.emplace(loop_, shared_, shared_.port,
                      [this, id = peer.id()](const char* how) { send(id, how); });
      else
        peer.send(message);
    };
    handlers.on_close = [this](Connection& peer, const Closed& closed) {
      static_cast<void>(peer.peer());
      if (closed.error != nullptr) shared_.say(closed.error->text);
    };
    handlers.on_error = [this](const Error& error) { shared_.say(error.text); };
    return handlers;
  }

  std::function<void()> answer(Connection& peer, const char* text) {
    return [this, id = peer.id(), text] { send(id, text); };
  }
  void send(std::uint64_t id, const char* text) {
    if (const auto peer = server_.find(id)) peer->send(text);
  }

  Shared& shared_;
  this_loop::Loop loop_;
  Server server_;
  std::optional<Call> call_;
  Timer tick_{loop_, [this] { tick_.start(50ms); }};
};

}  // namespace

void Shared::say(std::string_view sentence) noexcept {
  const std::size_t size = std::min(sentence.size(), said.size() - said_size - 1);
  std::copy_n(sentence.data(), size, said.data() + said_size);
  said[said_size + size] = '\n';
  said_size += size + 1;
}

const char* serve(Shared& shared) noexcept {
  const Descriptors before = open_ones();
  record(&shared.record);
  std::optional<Served> served;
  try {
    served.emplace(shared);
  } catch (const std::system_error& error) {
    shared.say(error.what());
  }
  if (served) served->run();
  served.reset();
  record(nullptr);
  if (open_ones() != before) return "descriptors are left open, or were closed";
  if (__lsan_do_recoverable_leak_check != nullptr && __lsan_do_recoverable_leak_check() != 0)
    return "memory was lost";
  return nullptr;
}

void warm_up() { const this_loop::Loop loop; }

}  // namespace faults
