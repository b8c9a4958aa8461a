// A peer on a plain socket, without a thread: it does what it can when pump() is called, which
// run_until() does between the events of the loop under test.
#pragma once

#include <arpa/inet.h>
#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/dress.hpp"
#include "support/event_log.hpp"
#include "support/loop.hpp"
#include "support/noise.hpp"
#include "support/wire.hpp"
#include "timtow/server.hpp"

namespace test {

// Lets the peers that are still getting dressed go on with it.
void dress_peers();

// Runs the loop until the condition holds. That it takes long is no failure; that it never comes
// is, after a time that only bounds the run.
inline void run_until(timtow::Loop& loop, const std::function<bool()>& condition) {
  const auto deadline = timtow::Clock::now() + std::chrono::seconds{60};
  bool held = false;
  timtow::Timer* again = nullptr;
  timtow::Timer look{loop, [&] {
                       dress_peers();
                       held = condition();
                       if (held || timtow::Clock::now() > deadline)
                         loop.stop();
                       else
                         again->start(std::chrono::milliseconds{1});
                     }};
  again = &look;
  look.start(std::chrono::milliseconds{0});
  loop.run();
  REQUIRE_MESSAGE(held, "what was waited for did not come");
}

// Runs the loop for a while in which nothing need happen.
inline void run_for(timtow::Loop& loop, timtow::Duration time) {
  timtow::Timer stop{loop, [&] { loop.stop(); }};
  stop.start(time);
  loop.run();
}

// An address, or the path of a Unix socket, as the system takes it; its size.
inline socklen_t store(const timtow::Endpoint& endpoint, sockaddr_storage& address) {
  address = {};
  if (endpoint.is_unix()) {
    auto& un = reinterpret_cast<sockaddr_un&>(address);
    un.sun_family = AF_UNIX;
    endpoint.path.copy(un.sun_path, sizeof un.sun_path - 1);
    return sizeof un;
  }
  if (endpoint.host.find(':') == std::string::npos) {
    auto& in = reinterpret_cast<sockaddr_in&>(address);
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    REQUIRE(inet_pton(AF_INET, endpoint.host.c_str(), &in.sin_addr) == 1);
    return sizeof in;
  }
  auto& in = reinterpret_cast<sockaddr_in6&>(address);
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(endpoint.port);
  REQUIRE(inet_pton(AF_INET6, endpoint.host.c_str(), &in.sin6_addr) == 1);
  return sizeof in;
}

// Has a socket hold so little, of what is sent and of what came, that 1 MB is more than both of its
// ends do.
inline void hold_little(int fd) {
  const int size = 64 * 1024;
  for (const int buffer : {SO_SNDBUF, SO_RCVBUF})
    REQUIRE(setsockopt(fd, SOL_SOCKET, buffer, &size, sizeof size) == 0);
}

class Client {
 public:
  explicit Client(const timtow::Endpoint& to) {
    sockaddr_storage address;
    const socklen_t size = store(to, address);
    fd_ = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd_ >= 0);
    REQUIRE_MESSAGE(connect(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0,
                    std::strerror(errno));
    begin_to_dress();
  }
  // Takes over a socket.
  explicit Client(int fd) : fd_(fd) { begin_to_dress(); }
  Client(Client&& other) noexcept
      : got(std::move(other.got)),
        taken(other.taken),
        ended(other.ended),
        error(other.error),
        dress_(std::move(other.dress_)),
        said_(std::move(other.said_)),
        dressed_(std::exchange(other.dressed_, 0)),
        unsent_(std::move(other.unsent_)),
        sent_(std::exchange(other.sent_, 0)),
        fd_(std::exchange(other.fd_, -1)) {
    std::replace(dressing.begin(), dressing.end(), &other, this);
  }
  Client& operator=(Client&&) = delete;
  ~Client() {
    std::erase(dressing, this);
    close();
  }

  std::string got;                // what came
  std::size_t taken = 0;          // bytes that its socket took
  bool reads = true;              // whether pump() reads,
  std::size_t read_size = 65536;  // and how much at once
  bool ended = false;             // the server has ended the stream ...
  int error = 0;                  // ... or broken it

  int fd() const { return fd_; }
  std::size_t unsent() const { return said_.size() - dressed_ + on_the_way(); }

  Client& send(std::string_view bytes) {
    (dress_ == nullptr ? unsent_ : said_) += bytes;
    pump();
    return *this;
  }
  Client& send(unsigned opcode, std::string_view payload) {
    return send(client_frame(opcode, payload));
  }

  // Of what it says, only the first half arrives.
  Client& send_half(std::string_view bytes) {
    REQUIRE(unsent() == 0);
    (dress_ == nullptr) ? void(unsent_ += bytes) : dress_->say(bytes, unsent_);
    unsent_.resize(unsent_.size() / 2);
    pump();
    return *this;
  }

  // Sends and reads what it can without waiting.
  void pump() {
    push();
    if (pull()) push();
  }

  // Takes the answer to the upgrade off what came, when all of it has.
  bool upgraded() {
    pump();
    const auto end = got.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    CHECK(got.find("HTTP/1.1 101 ") == 0);
    got.erase(0, end + 4);
    return true;
  }
  Client& open(timtow::Loop& loop) {
    send(upgrade_request);
    run_until(loop, [this] { return upgraded(); });
    return *this;
  }

  void end_writing() {
    if (dress_ != nullptr) dress_->end(unsent_);
    push();
    shutdown(fd_, SHUT_WR);
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

 private:
  friend void dress_peers();

  // Of what a peer says, so much is dressed at once.
  static constexpr std::size_t dressed_at_once = 65536;
  // Those who are not ready.
  static inline std::vector<Client*> dressing;

  void begin_to_dress() {
    dress_ = make_dress();
    if (dress_ == nullptr) return;
    dress_->hear({}, got, unsent_);
    if (is_dressing()) dressing.push_back(this);
  }
  bool is_dressing() const { return dress_ != nullptr && !dress_->is_ready(); }

  std::size_t on_the_way() const { return unsent_.size() - sent_; }

  void push() {
    while (fd_ >= 0) {
      if (on_the_way() == 0) {
        unsent_.clear();
        sent_ = 0;
        if (dressed_ == said_.size()) said_.clear(), dressed_ = 0;
        if (said_.empty() || is_dressing()) return;
        const auto part = std::string_view{said_}.substr(dressed_, dressed_at_once);
        dress_->say(part, unsent_);
        dressed_ += part.size();
        continue;
      }
      const ssize_t size =
          ::send(fd_, unsent_.data() + sent_, on_the_way(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (size <= 0) return;
      sent_ += static_cast<std::size_t>(size);
      taken += static_cast<std::size_t>(size);
    }
  }

  // Whether anything came.
  bool pull() {
    bool came = false;
    std::array<char, 65536> buffer;
    while (fd_ >= 0 && (reads || is_dressing()) && !ended && error == 0) {
      const ssize_t size =
          recv(fd_, buffer.data(), std::min(read_size, buffer.size()), MSG_DONTWAIT);
      const std::string_view bytes{buffer.data(), static_cast<std::size_t>(std::max(size, {}))};
      if (size > 0 && dress_ == nullptr)
        got += bytes;
      else if (size > 0)
        dress_->hear(bytes, got, unsent_);
      else if (size == 0)
        ended = true;
      else if (errno == EAGAIN)
        break;
      else
        error = errno;
      came = true;
    }
    if (came && ended && dress_ != nullptr) dress_->ended();
    return came;
  }

  std::unique_ptr<Dress> dress_;
  std::string said_;         // which is to be dressed, but for
  std::size_t dressed_ = 0;  // so many bytes
  std::string unsent_;
  std::size_t sent_ = 0;
  int fd_ = -1;
};

inline void dress_peers() {
  for (Client* const each : Client::dressing) each->pump();
  std::erase_if(Client::dressing, [](const Client* each) { return !each->is_dressing(); });
}

// The frames in what a server sent.
inline Lines frames(std::string_view bytes) {
  return OutputLog{timtow::Role::server, true}.read(bytes);
}

// The descriptors that are open now.
inline std::set<int> descriptors() {
  std::set<int> all;
  DIR* const folder = opendir("/proc/self/fd");
  REQUIRE(folder != nullptr);
  while (const dirent* const each = readdir(folder))
    if (each->d_name[0] != '.') all.insert(std::atoi(each->d_name));
  all.erase(dirfd(folder));
  closedir(folder);
  return all;
}

// Those that are open without a loop. What a loop's library opens once, for the whole process, is
// among them, for there has been a loop before.
inline std::set<int> descriptors_without_loop() {
  make_loop();
  return descriptors();
}

// An echo server on a loop. It leaves no descriptor behind, whatever a test does.
struct EchoServer {
  std::set<int> before = descriptors_without_loop();
  timtow::Handlers handlers;
  timtow::Limits limits;
  std::unique_ptr<timtow::Loop> loop = make_loop();
  std::optional<timtow::Server> server;
  std::vector<std::string> errors;
  int opened = 0;
  std::vector<std::string> closed;

  EchoServer() {
    using namespace timtow;
    handlers.on_message = [](Connection& c, const Message& m) { c.send(m); };
    handlers.on_open = [this](Connection&) { ++opened; };
    handlers.on_close = [this](Connection&, const Closed& end) {
      closed.push_back(std::to_string(end.code) +
                       (end.error == nullptr ? "" : ' ' + name_of(end.error->code)));
    };
    handlers.on_error = [this](const Error& error) { errors.push_back(name_of(error.code)); };
  }
  ~EchoServer() {
    server.reset();
    loop.reset();
    CHECK(descriptors() == before);
  }

  EchoServer& start() {
    server.emplace(*loop, handlers, dressed(timtow::ServerOptions{.limits = limits}));
    const timtow::Error error = listen(*server, {.host = "127.0.0.1", .port = 0, .path = {}});
    REQUIRE_MESSAGE(!error, error.text);
    return *this;
  }
  // The same, with connections whose sockets hold little: they have it from the one that listens.
  EchoServer& start_with_little() {
    server.emplace(*loop, handlers, dressed(timtow::ServerOptions{.limits = limits}));
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd >= 0);
    hold_little(fd);
    sockaddr_storage address;
    const socklen_t size = store({.host = "127.0.0.1", .port = 0, .path = {}}, address);
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(fd, SOMAXCONN) == 0);
    const timtow::Error error = adopt_listener(*server, fd);
    REQUIRE_MESSAGE(!error, error.text);
    return *this;
  }
  timtow::Endpoint where() const { return server->endpoints().front(); }

  // Whether it still does what it is for.
  void still_echoes() { echoes_at(where()); }
  void echoes_at(const timtow::Endpoint& endpoint) {
    Client client{endpoint};
    client.open(*loop).send(opcode::text, "still there?");
    run_until(*loop, [&] { return client.pump(), client.got.size() >= 14; });
    CHECK(frames(client.got) == Lines{"> text \"still there?\""});
    client.send(opcode::close, close_payload(1000));
    run_until(*loop, [&] { return client.pump(), client.ended; });
  }
  void run_until_empty() {
    run_until(*loop, [this] { return server->size() == 0; });
  }
};

}  // namespace test
