#include "client.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/resource.h>

#include "fail.hpp"

namespace load {
namespace {

// Few enough for the queue of connections that a server has yet to accept.
constexpr std::size_t opening_at_once = 128;

void allow_descriptors(std::size_t count) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  if (limit.rlim_max < count || setrlimit(RLIMIT_NOFILE, &limit) != 0)
    fail("%zu descriptors are needed and %llu are allowed: raise the hard limit (ulimit -Hn)",
         count, static_cast<unsigned long long>(limit.rlim_max));
}

}  // namespace

Client::Client(const Options& options, std::size_t most_connections)
    : deadline_(now() + from_seconds(options.deadline)), shared_(options) {
  allow_descriptors(most_connections + 16);
}

void Client::open(std::size_t count, bool together, int receive_buffer) {
  using State = Connection::State;
  std::size_t opening = 0, open = 0;
  while (open < count) {
    while (opening < opening_at_once && open + opening < count) {
      const auto number = static_cast<unsigned>(connections_.size());
      const std::size_t first = together ? 0 : shared_.tape.place_of(number);
      connections_.push_back(std::make_unique<Connection>(shared_, number, first, receive_buffer));
      (connections_.back()->state() == State::open ? open : opening) += 1;
    }
    if (opening == 0) continue;
    wait(deadline_, [&](Connection& connection, std::uint32_t events) {
      const bool was_open = connection.state() == State::open;
      connection.ready(events);
      if (was_open || connection.state() != State::open) return;
      --opening;
      ++open;
    });
  }
}

void Client::open_active(Measurement& measurement) {
  open(options().active);
  warm_up();
  measurement.process.rest();
  measurement.memory_before = measurement.process.memory();
}

void Client::warm_up() {
  for (const auto& connection : connections_) connection->send(1);
  for (const auto& connection : connections_) {
    while (connection->is_waiting())
      wait(deadline_, [](Connection& ready, std::uint32_t events) { ready.ready(events); });
  }
}

void Client::close(Measurement& measurement) {
  for (const auto& connection : connections_) measurement.add_checked(connection->check());
  connections_.clear();
  measurement.process.rest();
  measurement.memory_after = measurement.process.memory();
}

int Client::wait_for(epoll_event* events, int most, Time until, Time& time) {
  const Time wait = std::max<Time>(std::min(until, deadline_) - now(), 0);
  const timespec timeout{.tv_sec = wait / second, .tv_nsec = wait % second};
  const int count = epoll_pwait2(shared_.epoll, events, most, &timeout, nullptr);
  if (count < 0 && errno != EINTR) fail("epoll_pwait2: %s", std::strerror(errno));
  time = now();
  if (time >= deadline_) fail_at_deadline();
  return count;
}

void Client::fail_at_deadline() const {
  const auto waiting = std::find_if(connections_.begin(), connections_.end(), [](const auto& one) {
    return one != nullptr && one->is_waiting();
  });
  fail("the deadline of %g s has passed; %s", shared_.options.deadline,
       waiting == connections_.end() ? "no connection waits" : (*waiting)->describe().c_str());
}

}  // namespace load
