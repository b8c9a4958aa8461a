// A peer that waits for what it is to get, for as long as that is only slow.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

#include "support/wire.hpp"

namespace faults {

class Peer {
 public:
  explicit Peer(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const int little = 4096;  // so that the server has to wait until it is read
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() { close(); }

  // Of these each is true if it went as it should. Then there was an answer and it was right, or
  // nothing is to be answered.

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
    return connected_;
  }
  bool send(unsigned opcode, std::string_view payload) {
    return send(test::client_frame(opcode, payload));
  }
  bool open() {
    if (!send(test::upgrade_request)) return false;
    while (got_.find("\r\n\r\n") == std::string::npos)
      if (!read()) return false;
    const bool accepted = got_.starts_with("HTTP/1.1 101 ");
    got_.erase(0, got_.find("\r\n\r\n") + 4);
    return accepted;
  }
  bool hear(unsigned opcode, std::string_view payload) {
    for (;;) {
      std::string_view rest = got_;
      if (const auto frame = test::decode(rest)) {
        got_.erase(0, got_.size() - rest.size());
        return frame->opcode == opcode && frame->payload == payload;
      }
      if (!read()) return false;
    }
  }
  bool ask(std::string_view text, std::string_view answer) {
    return send(test::opcode::text, text) && hear(test::opcode::text, answer);
  }
  bool hear_end() {
    at_its_end_ = true;
    while (read()) got_.clear();
    return ended_;
  }
  bool say_goodbye() {
    at_its_end_ = true;
    const std::string code = test::close_payload(1000);
    return send(test::opcode::close, code) && hear(test::opcode::close, code) && hear_end();
  }

  bool waited_in_vain() const noexcept { return in_vain_; }
  bool is_at_its_end() const noexcept { return at_its_end_; }

  void end_writing() { shutdown(fd_, SHUT_WR); }
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

 private:
  bool read() {
    std::array<char, 65536> buffer;
    const ssize_t size = recv(fd_, buffer.data(), buffer.size(), 0);
    if (size > 0) return got_.append(buffer.data(), static_cast<std::size_t>(size)), true;
    ended_ = size == 0;
    in_vain_ = size < 0 && errno == EAGAIN;
    return false;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  int fd_;
  bool connected_ = false;
  bool at_its_end_ = false;  // nothing is expected but the end
  bool ended_ = false;
  bool in_vain_ = false;
  std::string got_;
};

}  // namespace faults
