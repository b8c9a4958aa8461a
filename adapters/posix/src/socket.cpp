#include "timtow/posix/socket.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <span>

namespace timtow::posix {
namespace {

// The path of a Unix socket that has none.
constexpr const char* unnamed = "unnamed";

constexpr int backlog = SOMAXCONN;

Error cannot_listen(const Endpoint& endpoint, std::error_code code) {
  const char* advice = "";
  if (code == std::errc::address_in_use)
    advice = endpoint.is_unix()
                 ? "; another program listens there, or another file has that name"
                 : "; another program listens there: stop it, or choose another port";
  else if (code == std::errc::permission_denied)
    advice = "; ports below 1024, and other users' directories, need the permission for it";
  else if (code == std::errc::address_not_available)
    advice = "; no interface of this machine has that address";
  return make_error(code, "cannot listen on %s: %s%s", to_string(endpoint).c_str(),
                    code.message().c_str(), advice);
}

Descriptor stream_socket(int family) noexcept {
  return Descriptor{socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
}

bool bind_and_listen(int fd, const sockaddr* address, socklen_t size) noexcept {
  return bind(fd, address, size) == 0 && listen(fd, backlog) == 0;
}

// Whether a socket that nobody listens on any more is in the way. To connect to a file that is no
// socket is refused as well, and that file is not ours to remove.
bool is_left_behind(const sockaddr_un& address) noexcept {
  struct stat file {};
  if (lstat(address.sun_path, &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
  const Descriptor probe = stream_socket(AF_UNIX);
  const auto* const any = reinterpret_cast<const sockaddr*>(&address);
  return probe && connect(probe.get(), any, sizeof address) != 0 && errno == ECONNREFUSED;
}

// False when the path is too long.
bool set_path(sockaddr_un& address, const std::string& path) noexcept {
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  path.copy(address.sun_path, path.size());
  return true;
}

Descriptor listen_on_unix(const Endpoint& endpoint, Error& error) {
  sockaddr_un address{};
  if (!set_path(address, endpoint.path)) {
    error = cannot_listen(endpoint, std::make_error_code(std::errc::filename_too_long));
    return {};
  }
  const auto* const any = reinterpret_cast<const sockaddr*>(&address);

  Descriptor fd = stream_socket(AF_UNIX);
  if (fd && bind_and_listen(fd.get(), any, sizeof address)) return fd;
  std::error_code code = last_error();
  if (fd && code == std::errc::address_in_use) {
    if (is_left_behind(address) && unlink(address.sun_path) == 0 &&
        bind_and_listen(fd.get(), any, sizeof address))
      return fd;
  }
  error = cannot_listen(endpoint, code);
  return {};
}

Descriptor listen_on_tcp(const Endpoint& endpoint, Error& error) {
  int failure = 0;
  const Addresses addresses = look_up(endpoint, AI_PASSIVE, failure);
  if (failure != 0) {
    const std::error_code code = code_of_failure(failure, errc::bad_address);
    const char* const text = text_of_failure(failure);
    error = make_error(code, "cannot listen on %s: %s", to_string(endpoint).c_str(), text);
    return {};
  }
  std::error_code code;
  for (const addrinfo* each = addresses.get(); each != nullptr; each = each->ai_next) {
    Descriptor fd = stream_socket(each->ai_family);
    const int on = 1;
    if (fd && setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind_and_listen(fd.get(), each->ai_addr, each->ai_addrlen)) {
      send_at_once(fd.get());
      return fd;
    }
    code = last_error();
  }
  error = cannot_listen(endpoint, code);
  return {};
}

// What getsockname() and getpeername() tell.
template <typename Get>
Endpoint endpoint_by(Get get, int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  return get(fd, any, &size) == 0 ? endpoint_of(any, size) : Endpoint{};
}

// Apart, for the room that it needs.
[[gnu::noinline]] ssize_t send_parts(int fd, const Gather& bytes) noexcept {
  std::array<iovec, Gather::capacity> parts;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    parts[i] = {const_cast<std::byte*>(bytes[i].data()), bytes[i].size()};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = bytes.size();
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

void require_descriptors(std::size_t count) {
  const Descriptor one{eventfd(0, EFD_CLOEXEC)};
  if (!one) throw std::system_error(last_error(), "a loop of its own");
  if (count > 1) require_descriptors(count - 1);
}

std::error_code last_error() noexcept { return {errno, std::system_category()}; }

bool would_block(const std::error_code& error) noexcept {
  return error.category() == std::system_category() &&
         (error.value() == EAGAIN || error.value() == EWOULDBLOCK || error.value() == EINTR);
}

Addresses look_up(const Endpoint& endpoint, int flags, int& failure) {
  addrinfo hints{};
  hints.ai_flags = flags | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  failure =
      getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
  return Addresses{found};
}

std::error_code code_of_failure(int failure, errc otherwise) noexcept {
  if (failure == EAI_SYSTEM) return last_error();
  return make_error_code(failure == EAI_MEMORY ? errc::no_memory : otherwise);
}

const char* text_of_failure(int failure) noexcept {
  return failure == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(failure);
}

Endpoint endpoint_of(const sockaddr* address, socklen_t size) {
  if (address->sa_family == AF_UNIX) {
    const auto* const local = reinterpret_cast<const sockaddr_un*>(address);
    const bool is_named = size > offsetof(sockaddr_un, sun_path) && local->sun_path[0] != '\0';
    return {.host = {}, .port = 0, .path = is_named ? local->sun_path : unnamed};
  }
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  getnameinfo(address, size, host.data(), host.size(), port.data(), port.size(),
              NI_NUMERICHOST | NI_NUMERICSERV);
  return {.host = host.data(),
          .port = static_cast<std::uint16_t>(std::strtoul(port.data(), nullptr, 10)),
          .path = {}};
}

Descriptor listen_on(const Endpoint& endpoint, Error& error) {
  return endpoint.is_unix() ? listen_on_unix(endpoint, error) : listen_on_tcp(endpoint, error);
}

Descriptor connect_to(const Endpoint& address, std::error_code& error) {
  Descriptor fd;
  const auto connect_with = [&](const sockaddr* to, socklen_t size) {
    fd = stream_socket(to->sa_family);
    if (fd && (connect(fd.get(), to, size) == 0 || errno == EINPROGRESS)) return;
    error = last_error();
    fd = {};
  };
  if (address.is_unix()) {
    sockaddr_un to{};
    if (set_path(to, address.path))
      connect_with(reinterpret_cast<const sockaddr*>(&to), sizeof to);
    else
      error = std::make_error_code(std::errc::filename_too_long);
    return fd;
  }
  int failure = 0;
  const Addresses to = look_up(address, AI_NUMERICHOST, failure);
  if (failure != 0)
    error = code_of_failure(failure, errc::bad_address);
  else
    connect_with(to->ai_addr, to->ai_addrlen);
  return fd;
}

std::error_code connect_result(int fd) noexcept {
  int result = 0;
  socklen_t size = sizeof result;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) != 0) return last_error();
  if (result != 0) return {result, std::system_category()};
  send_at_once(fd);
  return {};
}

Endpoint local_endpoint(int fd) { return endpoint_by(getsockname, fd); }

Endpoint peer_endpoint(int fd) {
  Endpoint peer = endpoint_by(getpeername, fd);
  if (peer.path == unnamed) {
    Endpoint local = local_endpoint(fd);
    if (local.is_unix()) return local;
  }
  return peer;
}

Descriptor accept_from(int listener, sockaddr_storage& from, std::error_code& error) noexcept {
  socklen_t size = sizeof from;
  auto* const any = reinterpret_cast<sockaddr*>(&from);
  Descriptor fd{accept4(listener, any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (!fd) error = last_error();
  return fd;
}

Bytes bytes_of(const sockaddr_storage& address) noexcept {
  if (address.ss_family == AF_INET)
    return std::as_bytes(std::span{&reinterpret_cast<const sockaddr_in&>(address).sin_addr, 1});
  if (address.ss_family == AF_INET6)
    return std::as_bytes(std::span{&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, 1});
  return {};
}

std::size_t most_descriptors() noexcept {
  rlimit limit{};
  const bool is_known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return is_known ? limit.rlim_cur : std::numeric_limits<std::size_t>::max();
}

void send_at_once(int fd) noexcept {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // not for Unix sockets: no matter
}

bool is_listening(int fd, Error& error) noexcept {
  int listens = 0;
  socklen_t size = sizeof listens;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0)
    error =
        make_error(last_error(), "cannot listen on descriptor %d: %s", fd, std::strerror(errno));
  else if (listens == 0)
    error = make_error(std::make_error_code(std::errc::invalid_argument),
                       "descriptor %d is a socket that does not listen: call listen() first", fd);
  return listens != 0;
}

bool make_ready(int fd, Error& error) noexcept {
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
      fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
    return true;
  error = make_error(last_error(), "cannot take over descriptor %d: %s", fd, std::strerror(errno));
  return false;
}

std::size_t write_some(int fd, const Gather& bytes, std::error_code& error) noexcept {
  const ssize_t count = bytes.size() == 1
                            ? send(fd, bytes.front().data(), bytes.front().size(), MSG_NOSIGNAL)
                            : send_parts(fd, bytes);
  if (count >= 0) [[likely]]
    return static_cast<std::size_t>(count);
  const std::error_code failure = last_error();
  if (!would_block(failure)) error = failure;
  return 0;
}

void ignore_sigpipe() noexcept {
  struct sigaction action {};
  if (sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_DFL)
    std::signal(SIGPIPE, SIG_IGN);
}

void reset_on_close(int fd) noexcept {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace timtow::posix
