// The socket calls that readiness loops share. Descriptors are non-blocking and close-on-exec.
#pragma once

#include <netdb.h>
#include <sys/socket.h>

#include <cstddef>
#include <memory>
#include <system_error>
#include <utility>

#include "timtow/bytes.hpp"
#include "timtow/endpoint.hpp"
#include "timtow/error.hpp"
#include "timtow/loop.hpp"

namespace timtow::posix {

// A descriptor that is closed when it goes.
class Descriptor {
 public:
  Descriptor() noexcept : fd_(-1) {}
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();

  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

// Throws std::system_error unless so many descriptors can be had. There are libraries that end the
// process, or lose some, when they cannot.
void require_descriptors(std::size_t count);

std::error_code last_error() noexcept;
bool would_block(const std::error_code& error) noexcept;

struct FreeAddresses {
  void operator()(addrinfo* first) const noexcept { freeaddrinfo(first); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

// getaddrinfo() with these flags for a TCP endpoint: waits if the host is a name. Null, and what it
// returned, if that is not 0.
Addresses look_up(const Endpoint& endpoint, int flags, int& failure);
// Why it failed: a code, which is `otherwise` where that is not the system's fault; and in words.
// To be asked at once.
std::error_code code_of_failure(int failure, errc otherwise) noexcept;
const char* text_of_failure(int failure) noexcept;
// An address as the system has it.
Endpoint endpoint_of(const sockaddr* address, socklen_t size);

// Resolves the host (blocking, if it is a name), binds and listens.
Descriptor listen_on(const Endpoint& endpoint, Error& error);
// Starts to connect to an address (no name) or a Unix socket. When the descriptor is writable,
// connect_result() tells how it went.
Descriptor connect_to(const Endpoint& address, std::error_code& error);
std::error_code connect_result(int fd) noexcept;
// Where the socket is bound.
Endpoint local_endpoint(int fd);
// As Transport::peer().
Endpoint peer_endpoint(int fd);
// The next connection of a listening socket, and where it is from.
Descriptor accept_from(int listener, sockaddr_storage& from, std::error_code& error) noexcept;
// The bytes of an address of IPv4 or IPv6; none of any other.
Bytes bytes_of(const sockaddr_storage& address) noexcept;
// The limit on open files, as it is now.
std::size_t most_descriptors() noexcept;
// Lets small writes leave without waiting for more (TCP_NODELAY): one of ours holds all there is.
// What a listening socket accepts has it from there.
void send_at_once(int fd) noexcept;
// Whether somebody else's socket listens.
bool is_listening(int fd, Error& error) noexcept;
// Prepares somebody else's socket for a loop.
bool make_ready(int fd, Error& error) noexcept;

// Bytes written; 0 and no error when none can be now.
std::size_t write_some(int fd, const Gather& bytes, std::error_code& error) noexcept;
// For loops whose own writes raise SIGPIPE: ignores it where it would end the process.
void ignore_sigpipe() noexcept;
// Makes closing it reset the connection, and drop what is not yet sent.
void reset_on_close(int fd) noexcept;

}  // namespace timtow::posix
