// Listening: on each kind of address, on what is free and what is not, and without descriptors.
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "support/accepts.hpp"
#include "support/client.hpp"
#include "support/waits.hpp"

namespace {

using namespace timtow;
using namespace std::chrono_literals;
using test::Client;
using test::EchoServer;

// A folder that goes with the test.
struct Folder {
  Folder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const char* name) const { return path + '/' + name; }
  std::string path = "/tmp/timtow-test-XXXXXX";
};

Endpoint unix_endpoint(std::string path) {
  return {.host = {}, .port = 0, .path = std::move(path)};
}

// While it lives this process can open no more descriptors than these.
class NoDescriptors {
 public:
  explicit NoDescriptors(std::size_t but = 0) {
    getrlimit(RLIMIT_NOFILE, &usual_);
    rlimit limit = usual_;
    limit.rlim_cur = 200;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = 0; (fd = dup(0)) >= 0;) taken_.push_back(fd);
    for (; but > 0; --but) {
      close(taken_.back());
      taken_.pop_back();
    }
  }
  ~NoDescriptors() {
    for (const int fd : taken_) close(fd);
    setrlimit(RLIMIT_NOFILE, &usual_);
  }

 private:
  rlimit usual_{};
  std::vector<int> taken_;
};

// Runs the function in a process of its own, which may do to itself what it wants. The function
// says what went wrong, or nothing.
std::string in_child(const std::function<std::string()>& function) {
  std::array<int, 2> pipe_ends{};
  REQUIRE(pipe(pipe_ends.data()) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(60);  // whatever happens, it ends
    const std::string said = function() + '.';
    const bool all =
        write(pipe_ends[1], said.data(), said.size()) == static_cast<ssize_t>(said.size());
    _exit(all ? 0 : 1);
  }
  close(pipe_ends[1]);
  std::string said;
  char buffer[1024];
  for (ssize_t size = 0; (size = read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
    said.append(buffer, static_cast<std::size_t>(size));
  close(pipe_ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE_MESSAGE(status == 0, "the child died: ", status, ' ', said);
  said.pop_back();
  return said;
}

// UBSan needs descriptors for what it sees for the first time: so all the paths once, with them.
void fail_once(EchoServer& echo) {
  test::fail_accepts(ENFILE, 1);
  echo.still_echoes();
  echo.run_until_empty();
}

}  // namespace

TEST_CASE("a connection tells who its peer is") {
  test::EchoServer echo;
  echo.start();
  const Folder folder;
  REQUIRE_FALSE(test::listen(*echo.server, unix_endpoint(folder / "echo.sock")));
  REQUIRE_FALSE(test::listen(*echo.server, {.host = "::1", .port = 0, .path = {}}));
  std::uint64_t id = 0;
  for (const Endpoint& where : echo.server->endpoints()) {
    CAPTURE(to_string(where));
    Client client{where};
    client.open(*echo.loop);
    const Endpoint peer = echo.server->find(++id)->peer();
    CHECK(peer.path == where.path);  // the client's end of it has no name
    if (where.is_unix()) continue;
    CHECK(peer.host == where.host);
    sockaddr_in6 address{};
    socklen_t size = sizeof address;
    getsockname(client.fd(), reinterpret_cast<sockaddr*>(&address), &size);
    CHECK(peer.port == ntohs(address.sin6_port));  // which lies where that of IPv4 does
  }
}

TEST_CASE("a server listens on IPv4, IPv6 and a Unix socket at once, and says where") {
  const Folder folder;
  EchoServer echo;
  echo.start();
  REQUIRE_FALSE(test::listen(*echo.server, {.host = "::1", .port = 0, .path = {}}));
  REQUIRE_FALSE(test::listen(*echo.server, {.host = "localhost", .port = 0, .path = {}}));
  REQUIRE_FALSE(test::listen(*echo.server, unix_endpoint(folder / "echo.sock")));
  const auto all = echo.server->endpoints();
  REQUIRE(all.size() == 4);
  CHECK(all[0].host == "127.0.0.1");
  CHECK(all[1].host == "::1");
  CHECK(all[3].path == folder / "echo.sock");
  for (std::size_t i = 0; i < 3; ++i) CHECK(all[i].port != 0);
  for (const Endpoint& each : all) echo.echoes_at(each);
}

TEST_CASE("an address that is taken, wrong or foreign is refused with what to do about it") {
  EchoServer echo;
  echo.start();
  const Endpoint taken = echo.where();
  const auto text = [&](const Endpoint& endpoint, auto code) {
    const Error error = echo.server->listen(endpoint);
    CHECK(error.code == code);
    return error.text;
  };
  CHECK(text(taken, std::errc::address_in_use) ==
        "cannot listen on " + to_string(taken) +
            ": Address already in use; another program listens there: stop it, or choose another "
            "port");
  CHECK(text({.host = "192.0.2.1", .port = 0, .path = {}}, std::errc::address_not_available) ==
        "cannot listen on 192.0.2.1:0: Cannot assign requested address; no interface of this "
        "machine has that address");
  CHECK(text({.host = "no such host", .port = 1, .path = {}}, errc::bad_address)
            .starts_with("cannot listen on no such host:1: "));
  CHECK(text({.host = "", .port = 1, .path = {}}, errc::bad_address)
            .starts_with("cannot listen on :1: "));
  CHECK(text(unix_endpoint("/tmp/" + std::string(200, 'x')), std::errc::filename_too_long)
            .ends_with(": File name too long"));
  CHECK(text(unix_endpoint("/nowhere/x.sock"), std::errc::no_such_file_or_directory)
            .ends_with(": No such file or directory"));
  CHECK(echo.server->endpoints().size() == 1);
  echo.still_echoes();
}

TEST_CASE("an address without permission is refused with what it needs") {
  const Folder folder;
  REQUIRE(chmod(folder.path.c_str(), 0500) == 0);
  const std::string said = in_child([&]() -> std::string {
    if (geteuid() == 0 && setuid(65534) != 0) return "cannot become nobody";
    test::Loop loop;
    Server server{loop, {}};
    return server.listen(unix_endpoint(folder / "x.sock")).text;
  });
  CHECK(said == "cannot listen on unix:" + folder / "x.sock" +
                    ": Permission denied; ports below 1024, and other users' directories, need the "
                    "permission for it");
}

TEST_CASE("a Unix socket: one left behind is replaced, a live one and other files are left alone") {
  const Folder folder;
  const std::string path = folder / "x.sock";
  EchoServer echo;
  echo.start();

  {  // left behind by a process that died
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    close(fd);
  }
  {
    Server second{*echo.loop, echo.handlers, test::dressed(ServerOptions{})};
    REQUIRE_FALSE(test::listen(second, unix_endpoint(path)));
    echo.echoes_at(unix_endpoint(path));

    const Error error = echo.server->listen(unix_endpoint(path));
    CHECK(error.code == std::errc::address_in_use);
    CHECK(error.text == "cannot listen on unix:" + path +
                            ": Address already in use; another program listens there, or another "
                            "file has that name");
    echo.echoes_at(unix_endpoint(path));
  }
  CHECK_FALSE(std::filesystem::exists(path));  // removed at the end

  std::ofstream{path} << "precious";
  CHECK(echo.server->listen(unix_endpoint(path)).code == std::errc::address_in_use);
  std::string content;
  std::ifstream{path} >> content;
  CHECK(content == "precious");

  std::filesystem::remove(path);
  std::filesystem::create_symlink(folder / "elsewhere", path);
  CHECK(echo.server->listen(unix_endpoint(path)).code == std::errc::address_in_use);
  CHECK(std::filesystem::is_symlink(path));
}

TEST_CASE("a Unix socket whose queue is full is live, and asking does not wait") {
  const Folder folder;
  const std::string path = folder / "x.sock";
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const auto* const any = reinterpret_cast<const sockaddr*>(&address);
  REQUIRE(bind(listener, any, sizeof address) == 0);
  REQUIRE(listen(listener, 0) == 0);
  std::vector<int> waiting;
  do {
    waiting.push_back(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    REQUIRE(waiting.size() < 100);
  } while (connect(waiting.back(), any, sizeof address) == 0);
  REQUIRE(errno == EAGAIN);

  test::Loop loop;
  Server server{loop, {}};
  CHECK(server.listen(unix_endpoint(path)).code == std::errc::address_in_use);
  CHECK(std::filesystem::exists(path));
  for (const int fd : waiting) close(fd);
  close(listener);
}

TEST_CASE("a listening socket can be adopted, and what does not listen, or is none, is refused") {
  EchoServer echo;
  echo.start();
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(echo.server->adopt_listener(fd).code == std::errc::invalid_argument);
  CHECK(fcntl(fd, F_GETFD) >= 0);  // still ours
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(fd, 10) == 0);
  REQUIRE_FALSE(test::adopt_listener(*echo.server, fd));
  CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
  CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  REQUIRE(echo.server->endpoints().size() == 2);
  echo.echoes_at(echo.server->endpoints()[1]);

  CHECK(echo.server->adopt_listener(-1).code == std::errc::bad_file_descriptor);
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  CHECK(echo.server->adopt_listener(ends[0]).code == std::errc::not_a_socket);
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("without descriptors accepting rests, says so once a rest, and goes on by itself") {
  const std::string said = in_child([]() -> std::string {
    constexpr std::size_t clients = 5;
    EchoServer echo;
    std::vector<TimePoint> reports;
    std::string text;
    echo.handlers.on_error = [&](const Error& error) {
      reports.push_back(Clock::now());
      text = error.text;
      if (error.code != std::errc::too_many_files_open) text += " (with another code)";
    };
    echo.start();
    fail_once(echo);
    reports.clear();
    echo.opened = 0;
    Client early{echo.where()};
    early.open(*echo.loop);
    echo.opened = 0;
    std::vector<Client> all;
    for (std::size_t i = 0; i < clients; ++i) all.emplace_back(echo.where());
    for (auto& each : all) each.send(test::upgrade_request);
    std::optional<NoDescriptors> none{std::in_place};
    const unsigned long before = test::waits();
    test::run_until(*echo.loop, [&] { return reports.size() == 3; });
    // The condition is looked at every millisecond at most: it is the rests that take the time.
    if (reports[2] - reports[0] < 190ms) return "it does not rest";
    test::run_for(*echo.loop, 1ms);
    const unsigned long quiet = test::waits();
    const std::size_t reported = reports.size();
    test::run_for(*echo.loop, 250ms);
    if (test::waits() - quiet > 20) return "it spins";
    if (reports.size() - reported > 4) return "it reports more than once a rest";
    if (before == quiet) return "nobody counts";
    if (text !=
        "accepting failed and rests for 100 ms: Too many open files; raise the limit on "
        "open files?")
      return text;
    if (echo.opened != 0) return "somebody was accepted";
    // Who was there before is served all the while.
    for (int i = 0; i < 3; ++i) {
      early.send(test::opcode::text, "still here");
      test::run_until(*echo.loop, [&] { return early.pump(), !early.got.empty(); });
      if (test::frames(std::exchange(early.got, {})) != test::Lines{"> text \"still here\""})
        return "those who are connected are not served";
    }

    none.reset();
    test::run_until(*echo.loop, [&] { return echo.opened == clients; });
    echo.still_echoes();
    return {};
  });
  CHECK(said == "");
}

TEST_CASE("a loop that gets too few descriptors throws, and gives back those it got") {
  const std::string said = in_child([]() -> std::string {
    {  // UBSan needs descriptors for what it sees for the first time
      const test::Loop loop;
      const std::system_error error{std::error_code{}};
    }
    const auto before = test::descriptors();
    for (std::size_t left = 0; left < 20; ++left) {
      try {
        const NoDescriptors but{left};
        const test::Loop loop;
        return left == 0 ? "it needs none" : "";
      } catch (const std::system_error& error) {
        if (error.code().value() != EMFILE) return error.what();  // of whatever category
        if (test::descriptors() != before) return "some are left open";
      }
    }
    return "it needs 20";
  });
  CHECK(said == "");
}

TEST_CASE("accept: what fails is told, what passes by itself is not, and nobody is lost") {
  struct Fault {
    int error;
    int reports;  // of two that fail
  };
  for (const Fault fault : {Fault{ENFILE, 2}, Fault{ENOBUFS, 2}, Fault{ENOMEM, 2}, Fault{EPERM, 2},
                            Fault{ECONNABORTED, 0}, Fault{EPROTO, 0}, Fault{ENETUNREACH, 0},
                            Fault{ETIMEDOUT, 0}, Fault{EINTR, 0}, Fault{EAGAIN, 0}}) {
    CAPTURE(fault.error);
    EchoServer echo;
    std::vector<std::error_code> reports;
    echo.handlers.on_error = [&](const Error& error) { reports.push_back(error.code); };
    echo.start();
    test::fail_accepts(fault.error, 2);
    std::vector<Client> clients;
    for (int i = 0; i < 3; ++i) clients.emplace_back(echo.where()).send(test::upgrade_request);
    test::run_until(*echo.loop, [&] { return echo.opened == 3; });
    CHECK(test::accepts_to_fail() == 0);
    CHECK(reports == std::vector(static_cast<std::size_t>(fault.reports),
                                 std::error_code{fault.error, std::system_category()}));
  }
}

TEST_CASE("a flood of new peers, and of those that are gone again, leaves the others their turn") {
  // It accepts 64 at once, then comes whoever has something to say.
  constexpr unsigned long at_once = 64;
  for (const bool are_gone : {false, true}) {
    CAPTURE(are_gone);
    EchoServer echo;
    Client* speaker = nullptr;
    unsigned long last = 0;
    unsigned long most = 0;
    int turns = 0;
    echo.handlers.on_message = [&](Connection&, const Message&) {
      most = std::max(most, test::accepts() - std::exchange(last, test::accepts()));
      ++turns;
      speaker->send(test::opcode::text, "and more");
    };
    echo.start();
    Client client{echo.where()};
    client.open(*echo.loop);
    speaker = &client;
    const int on = 1;  // what it says leaves at once
    REQUIRE(setsockopt(client.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    std::vector<Client> flood;
    for (int i = 0; i < (are_gone ? 3 : 400); ++i) flood.emplace_back(echo.where());
    if (are_gone) test::fail_accepts(ECONNABORTED, 400);
    for (Client& each : flood) each.send(test::upgrade_request);
    last = test::accepts();
    client.send(test::opcode::text, "it begins");
    test::run_until(*echo.loop, [&] { return echo.opened == 1 + static_cast<int>(flood.size()); });
    CHECK(turns > 3);
    CHECK(most <= 2 * at_once + 2);
    CHECK(echo.errors.empty());
    speaker->close();
    flood.clear();
    echo.run_until_empty();
  }
}

TEST_CASE("a server that is destroyed while accepting rests is gone for good") {
  const std::string said = in_child([]() -> std::string {
    EchoServer echo;
    int errors = 0;
    std::optional<NoDescriptors> none;
    echo.handlers.on_error = [&](const Error&) {
      if (!none) return;
      ++errors;
      none.reset();
      echo.server.reset();  // inside the adapter's call
    };
    echo.start();
    fail_once(echo);
    const Client client{echo.where()};
    none.emplace();
    test::run_for(*echo.loop, 250ms);
    return errors == 1 ? "" : std::to_string(errors) + " errors";
  });
  CHECK(said == "");
}
