// Every system call that a loop's echo server makes fails once, in every way that it may, in a
// process of its own; and its peers see whether anything worse comes of it.
//
//   timtow-faults-epoll accept           the first two, a middle and the last call of accept()
//   timtow-faults-epoll --all            every one of every call
//   timtow-faults-epoll --calls a b c    whether those are the calls that can be made to fail
#include <netdb.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <set>
#include <utility>
#include <vector>

#include "peer.hpp"
#include "served.hpp"
#include "this_loop.hpp"

namespace faults {
namespace {

namespace opcode = test::opcode;

constexpr unsigned any_number = 1'000'000;

// What the manual pages say that may happen to each, as far as it does not come of a wrong
// argument. A call that does not wait is not interrupted; of reading and writing one would think
// so.
struct Errors {
  Call call;
  std::vector<int> errors;
  bool may_be_short = false;
};

const std::vector<int> no_descriptor = {EMFILE, ENFILE, ENOMEM};
const std::vector<int> no_reading = {EINTR, EAGAIN, ECONNRESET, ETIMEDOUT, ENOBUFS, ENOMEM, EIO};
const std::vector<int> no_writing = {EINTR,   EAGAIN, EPIPE, ECONNRESET,  ETIMEDOUT,
                                     ENOBUFS, ENOMEM, EPERM, EHOSTUNREACH};

const std::vector<Errors>& may_fail() {
  static const std::vector<Errors> all = {
      {Call::accept,
       {EINTR, EAGAIN, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, ENETDOWN, EPROTO,
        ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT}},
      {Call::bind, {EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOMEM}},
      {Call::close, {EINTR, EIO}},
      {Call::connect,
       {ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, EACCES, EPERM, ENOBUFS}},
      {Call::epoll_create, no_descriptor},
      {Call::epoll_ctl, {ENOMEM, ENOSPC}},
      {Call::epoll_wait, {EINTR}},
      {Call::eventfd, no_descriptor},
      {Call::fcntl, {EPERM}},
      {Call::getaddrinfo, {EAI_AGAIN, EAI_MEMORY, EAI_NONAME, EAI_SYSTEM}},
      {Call::getpeername, {ENOTCONN, ENOBUFS}},
      {Call::getsockname, {ENOBUFS}},
      {Call::getsockopt, {ENOBUFS, ENOMEM}},
      {Call::ioctl, {EPERM}},
      {Call::listen, {EADDRINUSE, ENOBUFS}},
      {Call::pipe, no_descriptor},
      {Call::poll, {EINTR, ENOMEM}},
      {Call::pthread_create, {EAGAIN, EPERM}},
      {Call::read, no_reading, true},
      {Call::recv, no_reading, true},
      {Call::send, no_writing, true},
      {Call::sendmsg, no_writing, true},
      {Call::setsockopt, {ENOMEM, ENOBUFS}},
      {Call::shutdown, {ENOTCONN, ENOBUFS}},
      {Call::socket, {EMFILE, ENFILE, ENOMEM, ENOBUFS, EACCES}},
      {Call::timerfd_create, no_descriptor},
      {Call::write, no_writing, true},
      {Call::writev, no_writing, true},
  };
  return all;
}

// What a library makes of it cannot be changed from outside.
bool is_the_librarys(const Fault& fault) noexcept {
  constexpr std::string_view loop = this_loop::name;
  switch (fault.call) {
    case Call::epoll_ctl:  // libuv aborts; Asio does not ask whether it will be woken up
      return (loop == "libuv" && fault.nth > 1) || (loop == "asio" && fault.nth == 1);
    case Call::eventfd:  // while its loop is made, where require_descriptors() has asked before
      return loop == "libuv" && fault.nth == 5;
    case Call::pipe:
      return loop == "libuv";
    default:
      return false;
  }
}

bool passes_by_itself(int error) noexcept { return error == EINTR || error == EAGAIN; }

// How many connections may end by it.
int cost_of(const Fault& fault) noexcept {
  switch (fault.call) {
    case Call::accept:
    case Call::close:
    case Call::epoll_wait:
    case Call::getpeername:
    case Call::getsockname:
    case Call::poll:
    case Call::setsockopt:
    case Call::timerfd_create:
      return 0;
    case Call::pthread_create:
      return 1;
    default:
      return fault.error == 0 || passes_by_itself(fault.error) ? 0 : 1;
  }
}

// Whether the cause is in what was said.
bool is_told(const Fault& fault, std::string_view said) {
  const auto is_there = [said](const char* text) {
    return said.find(text) != std::string_view::npos;
  };
  if (fault.call != Call::getaddrinfo) return is_there(std::strerror(fault.error));
  switch (fault.error) {
    case EAI_SYSTEM:
      return is_there(std::strerror(ENFILE));
    case EAI_MEMORY:
      return is_there(gai_strerror(EAI_MEMORY)) || is_there("out of memory");
    default:  // what was to be an address is none, then
      return is_there(gai_strerror(fault.error)) || is_there("bad address");
  }
}

// A process that serves, and what it says.
class Process {
 public:
  explicit Process(const Fault& fault)
      : shared_(new (mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared) {
    shared_->record.fault = fault;
    child_ = fork();
    if (child_ != 0) return;
    alarm(60);  // whatever happens, it ends
    if (const char* const complaint = serve(*shared_)) {
      std::fprintf(stderr, "%s\n", complaint);
      _exit(1);
    }
    _exit(0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() { munmap(shared_, sizeof(Shared)); }

  const Shared& shared() const noexcept { return *shared_; }

  // Its port, or 0 if it has ended before it had one.
  int port() {
    while (shared_->port == 0 && !has_ended()) usleep(100);
    return shared_->port;
  }
  bool has_ended() {
    if (!ended_) ended_ = waitpid(child_, &status_, WNOHANG) == child_;
    return ended_;
  }
  bool ends_within(int microseconds) {
    for (; microseconds > 0 && !has_ended(); microseconds -= 100) usleep(100);
    return has_ended();
  }
  // Its status, which is 0 if all is well; it is ended if it does not end by itself.
  int end() {
    if (ends_within(10'000'000)) return status_;
    kill(child_, SIGKILL);
    waitpid(child_, &status_, 0);
    return status_;
  }

 private:
  Shared* shared_;
  pid_t child_;
  int status_ = 0;
  bool ended_ = false;
};

// What the peers make of it.
class Peers {
 public:
  explicit Peers(int port) : port_(port) {}

  int broken() const noexcept { return broken_; }
  // But for those that were at their end, of which the server has told before.
  int broken_unawares() const noexcept { return broken_ - broken_late_; }
  bool waited_in_vain() const noexcept { return in_vain_; }

  void visit() {
    meet([](Peer& peer) {
      const std::string large(100'000, 'x');
      return peer.open() && peer.ask("hello", "hello") && peer.send(opcode::binary, large) &&
             peer.hear(opcode::binary, large) && peer.send(opcode::ping, "?") &&
             peer.hear(opcode::pong, "?") && peer.ask("post", "posted") && peer.say_goodbye();
    });
    meet([](Peer& peer) {  // several at once, and half a close
      if (!peer.open() || !peer.send(test::client_frame(opcode::text, "a") +
                                     test::client_frame(opcode::text, std::string(20'000, 'b'))))
        return false;
      const bool heard =
          peer.hear(opcode::text, "a") && peer.hear(opcode::text, std::string(20'000, 'b'));
      peer.end_writing();
      return heard && peer.hear_end();
    });
    // Errors, after which the stream is read to its end.
    meet([](Peer& peer) { return peer.send("garbage\r\n\r\n") && peer.hear_end(); });
    meet([](Peer& peer) {
      return peer.open() && peer.send(opcode::text, "\xFF") && peer.hear_end();
    });
    meet([](Peer& peer) {
      const bool open = peer.open();
      peer.reset();
      return open;
    });
    insist([](Peer& peer) { return peer.open() && peer.ask("call", "called"); });
    insist([](Peer& peer) {
      return peer.open() && peer.ask("still there?", "still there?") && peer.say_goodbye();
    });
  }

  // Whether the server has said that it stops.
  bool stop() {
    Peer peer{port_};
    const std::string code = test::close_payload(1001, "the server is shutting down");
    if (peer.open() && peer.send(opcode::text, "stop") && peer.hear(opcode::close, code) &&
        peer.send(opcode::close, code) && peer.hear_end())
      return true;
    note(peer);
    return false;
  }

 private:
  template <typename Do>
  bool meet(Do all_is_well) {
    Peer peer{port_};
    if (all_is_well(peer)) return true;
    note(peer);
    return false;
  }
  // If it was the fault that broke it, it does not the next time.
  template <typename Do>
  void insist(Do all_is_well) {
    if (!meet(all_is_well)) meet(all_is_well);
  }
  void note(const Peer& peer) noexcept {
    ++broken_;
    broken_late_ += peer.is_at_its_end() ? 1 : 0;
    in_vain_ = in_vain_ || peer.waited_in_vain();
  }

  int port_;
  int broken_ = 0;
  int broken_late_ = 0;
  bool in_vain_ = false;
};

unsigned waits(const Record& record) noexcept {
  return record.made[static_cast<std::size_t>(Call::poll)] +
         record.made[static_cast<std::size_t>(Call::epoll_wait)];
}

struct Outcome {
  std::string complaint;  // empty if all is well
  bool struck = false;
  std::array<unsigned, names.size()> made{};
};

Outcome run(const Fault& fault, unsigned usual_waits = any_number) {
  Outcome outcome;
  std::fflush(nullptr);
  Process process{fault};
  const Shared& shared = process.shared();
  const auto complain = [&](const std::string& text) {
    if (!outcome.complaint.empty()) outcome.complaint += "; ";
    outcome.complaint += text;
  };
  const int port = process.port();
  Peers peers{port};
  if (port != 0) {
    peers.visit();
    const auto is_of_use = [&] { return !process.has_ended() && peers.broken() <= 2; };
    // When it breaks, the server may have heard already that it is to stop.
    if (is_of_use() && !peers.stop() && !process.ends_within(1'000'000) && is_of_use())
      peers.stop();
  }
  if (const int status = process.end(); status != 0)
    complain("the process ended with status " + std::to_string(status));
  outcome.struck = shared.record.struck;
  for (std::size_t i = 0; i < names.size(); ++i) outcome.made[i] = shared.record.made[i];
  if (peers.waited_in_vain()) complain("a peer waited in vain");
  if (waits(shared.record) > 3 * usual_waits + 100) complain("the loop spins");
  if (peers.broken() > cost_of(fault))
    complain(std::to_string(peers.broken()) + " connections broke");
  const bool is_owed = outcome.struck && (port == 0 || peers.broken_unawares() > 0);
  if (is_owed && !is_told(fault, shared.all_said())) complain("nobody said the cause");
  if (!outcome.complaint.empty() && shared.said_size != 0)
    complain("said was: " + std::string{shared.all_said()});
  return outcome;
}

std::string name_of(const Fault& fault) {
  std::string name{names[static_cast<std::size_t>(fault.call)]};
  name += " " + std::to_string(fault.nth) + ": ";
  if (fault.error == 0) return name + std::to_string(fault.most) + " bytes";
  return name + (fault.call == Call::getaddrinfo ? gai_strerror(fault.error)
                                                 : std::string{strerrorname_np(fault.error)});
}

// The faults of a call that was made so often: of the first two, a middle and the last one, or of
// all.
std::vector<Fault> faults_of(const Errors& errors, unsigned made, bool all) {
  std::set<unsigned> which = {1, std::min(2U, made), (made + 1) / 2, made};
  for (unsigned nth = 1; all && nth <= made; ++nth) which.insert(nth);
  std::vector<Fault> faults;
  for (const unsigned nth : which) {
    for (const int error : errors.errors) faults.push_back({errors.call, nth, error, 0});
    if (errors.may_be_short) {
      faults.push_back({errors.call, nth, 0, 1});
      faults.push_back({errors.call, nth, 0, 1000});
    }
  }
  return faults;
}

// How many went wrong.
int check(const Errors& errors, const Outcome& usual, bool all) {
  const auto call = static_cast<std::size_t>(errors.call);
  const unsigned usual_waits = usual.made[static_cast<std::size_t>(Call::poll)] +
                               usual.made[static_cast<std::size_t>(Call::epoll_wait)];
  int count = 0;
  int struck = 0;
  int wrong = 0;
  for (const Fault& fault : faults_of(errors, usual.made[call], all)) {
    if (is_the_librarys(fault)) continue;
    const Outcome outcome = run(fault, usual_waits);
    ++count;
    struck += outcome.struck ? 1 : 0;
    if (outcome.complaint.empty()) continue;
    ++wrong;
    std::printf("%s: %s\n", name_of(fault).c_str(), outcome.complaint.c_str());
  }
  std::printf("%s: %u calls, %d faults, of which %d struck and %d did harm\n", names[call].data(),
              usual.made[call], count, struck, wrong);
  // How often a call is made depends on who is faster: but not all can miss.
  return wrong + (struck == 0 && count != 0 ? 1 : 0);
}

int run_all(const std::vector<std::string_view>& arguments) {
  std::signal(SIGPIPE, SIG_DFL);
  warm_up();
  const Outcome usual = run({});
  if (!usual.complaint.empty())
    return std::printf("without a fault: %s\n", usual.complaint.c_str()), 1;
  std::set<std::string_view> made;
  for (const Errors& each : may_fail())
    if (const auto call = static_cast<std::size_t>(each.call); usual.made[call] != 0)
      made.insert(names[call]);

  if (arguments.front() == "--calls") {
    const std::set<std::string_view> wanted{arguments.begin() + 1, arguments.end()};
    if (made == wanted) return 0;
    std::printf("the calls that are made, and can fail, are");
    for (const std::string_view each : made) std::printf(" %s", each.data());
    return std::printf("\n"), 1;
  }
  int wrong = 0;
  bool found = false;
  for (const Errors& each : may_fail()) {
    const std::string_view name = names[static_cast<std::size_t>(each.call)];
    const bool all = arguments.front() == "--all";
    if (!made.contains(name) || (!all && name != arguments.front())) continue;
    found = true;
    wrong += check(each, usual, all);
  }
  if (!found) std::printf("%s is not called\n", arguments.front().data());
  return found && wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace faults

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments{argv + 1, argv + argc};
  if (arguments.empty()) return std::fprintf(stderr, "which call, --all or --calls?\n"), 2;
  return faults::run_all(arguments);
}
