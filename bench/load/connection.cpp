#include "connection.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.hpp"
#include "handshake.hpp"

namespace load {
namespace {

constexpr std::size_t buffer_size = 256 * 1024;
constexpr std::size_t worth_skipping = 64 * 1024;
constexpr std::size_t longest_answer = 16 * 1024;
constexpr int normal_closure = 1000, no_code = 1005;  // RFC 6455, section 7.4.1

// Ports are handed out by address, so connections come from 127.0.0.2 to 127.0.0.254 in turn.
sockaddr_in source_of(unsigned number) {
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = htonl(0x7F000002 + number % 253);
  return source;
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

template <typename Value>
void set_option(int socket, int level, int option, Value value) {
  if (setsockopt(socket, level, option, &value, sizeof value) != 0)
    fail("setsockopt: %s", std::strerror(errno));
}

}  // namespace

Shared::Shared(const Options& run)
    : options(run),
      tape(run),
      request(handshake_request(ntohs(run.server.sin_port))),
      epoll(epoll_create1(EPOLL_CLOEXEC)),
      buffer(buffer_size, 0) {
  if (epoll < 0) fail("epoll_create1: %s", std::strerror(errno));
}

Shared::~Shared() { ::close(epoll); }

Connection::Connection(Shared& shared, unsigned number, std::size_t first, int receive_buffer)
    : shared_(shared),
      number_(number),
      socket_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
      next_byte_(first * shared.tape.sent_unit),
      check_(shared.tape, first, number) {
  if (socket_ < 0) fail_because(std::string{"no socket: "} + std::strerror(errno));
  set_option(socket_, IPPROTO_TCP, TCP_NODELAY, 1);
  if (receive_buffer > 0) set_option(socket_, SOL_SOCKET, SO_RCVBUF, receive_buffer);
  connect();
}

Connection::~Connection() { end(); }

void Connection::connect() {
  set_option(socket_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  const sockaddr_in source = source_of(number_);
  if (bind(socket_, generic(source), sizeof source) != 0)
    fail_because(std::string{"bind: "} + std::strerror(errno));
  const sockaddr_in& server = shared_.options.server;
  const bool at_once = ::connect(socket_, generic(server), sizeof server) == 0;
  if (!at_once && errno == EADDRNOTAVAIL)
    fail_because("no local port is left: those of closed connections are taken for a minute more");
  if (!at_once && errno != EINPROGRESS)
    fail_because(std::string{"connect: "} + std::strerror(errno));
  watch();
  if (at_once) connected();
}

void Connection::connected() {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) fail_because(std::string{"connect: "} + std::strerror(error));
  state_ = State::open;
  if (shared_.tape.framed) {
    state_ = State::handshake;
    const std::string& request = shared_.request;
    if (::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
      fail_because(std::string{"the handshake was not sent: "} + std::strerror(errno));
  }
}

// An edge is told once, with whatever else is the case. So what it tells is read until less comes
// than was asked for, or to the very end if there is one.
std::size_t Connection::ready(std::uint32_t events) {
  if (state_ == State::connecting) connected();
  if ((events & EPOLLOUT) != 0) flush();
  const std::uint32_t gone = events & (EPOLLHUP | EPOLLERR);
  if (reads_only_when_told_ ? gone == 0 : (events & ~EPOLLOUT) == 0) return 0;
  const bool to_the_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  std::size_t messages = 0;
  while (state_ != State::closed && receive(buffer_size, messages, to_the_end)) continue;
  return messages;
}

std::size_t Connection::read(std::size_t most_bytes) {
  std::size_t messages = 0;
  receive(std::min(most_bytes, buffer_size), messages, false);
  return messages;
}

// Whether there may be more.
bool Connection::receive(std::size_t most_bytes, std::size_t& messages, bool to_the_end) {
  const bool skips = check_.skippable() >= worth_skipping;
  const std::size_t most = skips ? std::min(check_.skippable(), most_bytes) : most_bytes;
  char* const buffer = shared_.buffer.data();
  // MSG_TRUNC drops the bytes of a TCP stream without copying them.
  const ssize_t result = recv(socket_, buffer, most, skips ? MSG_TRUNC : 0);
  if (result > 0) {
    const auto size = static_cast<std::size_t>(result);
    messages += skips ? check_.skip(size) : take({buffer, size});
    return to_the_end || size == most;
  }
  if (result == 0) {
    const bool closed = state_ == State::closing && (!shared_.tape.framed || close_frame_came_);
    closed ? end() : lose("the server ended the connection");
  } else if (errno != EAGAIN && errno != EINTR) {
    lose(std::strerror(errno));
  }
  return false;
}

std::size_t Connection::take(std::string_view bytes) {
  if (state_ == State::handshake) take_answer(bytes);
  const std::size_t messages = check_.take(bytes);
  if (!bytes.empty()) take_close_frame(bytes);
  return messages;
}

void Connection::take_answer(std::string_view& bytes) {
  const std::size_t before = head_.size();
  head_ += bytes;
  const std::size_t end = head_.find("\r\n\r\n");
  if (end == head_.npos) {
    if (head_.size() > longest_answer) fail_because("the answer to the handshake has no end");
    bytes = {};
    return;
  }
  const std::string fault = fault_of_answer({head_.data(), end + 4});
  if (!fault.empty()) fail_because("the answer to the handshake: " + fault);
  bytes.remove_prefix(end + 4 - before);
  head_.clear();
  state_ = State::open;
}

// Only as an answer to ours, and then nothing behind it.
void Connection::take_close_frame(std::string_view bytes) {
  head_ += bytes;
  const auto byte = [this](std::size_t at) { return static_cast<unsigned char>(head_[at]); };
  const std::size_t size = head_.size() < 2 ? 2 : std::size_t{2} + byte(1);
  if (head_.size() < size) return;
  if (reads_only_when_told_) return end();
  const int code = size < 4 ? no_code : byte(2) << 8 | byte(3);
  if (state_ != State::closing || (code != normal_closure && code != no_code))
    fail_because("expected " + waits_for() + ", came a Close frame with code " +
                 std::to_string(code) + " \"" +
                 head_.substr(0, size).substr(std::min<std::size_t>(size, 4)) + '"');
  if (head_.size() > size) fail_because("bytes came behind the Close frame");
  close_frame_came_ = true;
}

void Connection::lose(const std::string& how) {
  if (!reads_only_when_told_) fail_because(how + "; expected " + waits_for());
  end();
}

void Connection::end() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  state_ = State::closed;
}

void Connection::send(std::uint64_t messages) {
  const bool waits = is_sending();
  left_to_send_ += messages * shared_.tape.sent_unit;
  check_.expect(messages);
  if (!waits) flush();
}

// An error of the socket is told where it is read, behind what the server said before.
void Connection::flush() {
  const std::string& tape = shared_.tape.sent;
  while (left_to_send_ > 0) {
    const std::size_t size = std::min(left_to_send_, tape.size() - next_byte_);
    const ssize_t taken = ::send(socket_, tape.data() + next_byte_, size, MSG_NOSIGNAL);
    if (taken < 0) break;
    left_to_send_ -= static_cast<std::size_t>(taken);
    next_byte_ = (next_byte_ + static_cast<std::size_t>(taken)) % tape.size();
    if (static_cast<std::size_t>(taken) < size) break;
  }
}

void Connection::stop_sending() {
  const std::size_t whole = left_to_send_ / shared_.tape.sent_unit;
  left_to_send_ -= whole * shared_.tape.sent_unit;
  check_.expect_less(whole);
}

void Connection::close() {
  state_ = State::closing;
  if (!shared_.tape.framed) {
    shutdown(socket_, SHUT_WR);
    return;
  }
  const std::string frame = close_frame();
  if (::send(socket_, frame.data(), frame.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(frame.size()))
    fail_because(std::string{"the Close frame was not sent: "} + std::strerror(errno));
}

// Once for all, edge-triggered: nothing is asked again.
void Connection::watch() {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = this;
  if (epoll_ctl(shared_.epoll, EPOLL_CTL_ADD, socket_, &event) != 0)
    fail_because(std::string{"epoll_ctl: "} + std::strerror(errno));
}

std::string Connection::waits_for() const {
  switch (state_) {
    case State::connecting:
      return "the connection to be made";
    case State::handshake:
      return "the answer to the handshake";
    case State::closing:
      return shared_.tape.framed && !close_frame_came_ ? "a Close frame"
                                                       : "the end of the connection";
    case State::open:
      break;
    case State::closed:
      return "nothing";
  }
  if (outstanding() == 0) return "nothing";
  return std::to_string(outstanding()) + " more after " + std::to_string(check_.messages()) +
         " echoes";
}

std::string Connection::describe() const {
  return "connection " + std::to_string(number_) + " waits for " + waits_for();
}

void Connection::fail_because(const std::string& what) const {
  fail("connection %u: %s", number_, what.c_str());
}

}  // namespace load
