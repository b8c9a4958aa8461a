// open: messages at a rate, whatever comes back. The latency of each counts from when it was due,
// so that a server that stalls also pays for those that it kept from being sent (no "coordinated
// omission").
//
// The wait for the next one sleeps in epoll_pwait2() until shortly before, and is busy from there:
// a process that sleeps is woken too late. What is late nevertheless is sent at once, and counted.
#include <algorithm>

#include "client.hpp"
#include "modes.hpp"
#include "window.hpp"

namespace load {
namespace {

constexpr Time busy_time = 50'000;
constexpr Time late_time = 100'000;
constexpr double late_share = 0.01;  // beyond it the client could not keep to the rate

class OpenLoop {
 public:
  OpenLoop(Client& client, Measurement& measurement)
      : client_(client),
        measurement_(measurement),
        interval_(static_cast<double>(second) / client.options().rate),
        left_(client.options().most_messages()) {}

  void run() {
    const Options& options = client_.options();
    run_window(
        options, measurement_, options.messages, [this] { start_ = now(); },
        [this](Time until) {
          send_what_is_due();
          return wait(std::min(until, due(next_) - busy_time));
        });
    collect(now() + from_seconds(options.seconds) + second);
  }

 private:
  // Messages go round the connections, so number and connection tell when an echo's was due.
  Time due(std::uint64_t message) const {
    return start_ + static_cast<Time>(interval_ * static_cast<double>(message));
  }
  Time due(const Connection& connection, std::uint64_t echo) const {
    return due(echo * client_.connections().size() + connection.number());
  }

  // What is due on the same connection leaves in one call.
  void send_what_is_due() {
    const std::size_t connections = client_.connections().size();
    const Time time = now();
    const std::uint64_t first = next_;
    while (left_ > 0 && due(next_) <= time) {
      if (measurement_.running()) {
        ++sent_;
        if (time - due(next_) > late_time) ++late_;
      }
      ++next_;
      --left_;
    }
    for (std::uint64_t i = first; i < std::min(next_, first + connections); ++i)
      client_.connections()[i % connections]->send((next_ - i + connections - 1) / connections);
  }

  Time wait(Time until) {
    return client_.wait(until, [this](Connection& connection, std::uint32_t events) {
      std::uint64_t echo = connection.check().messages();
      const std::size_t echoes = connection.ready(events);
      measurement_.add(echoes);
      const Time time = now();
      for (const std::uint64_t end = echo + echoes; echo < end; ++echo)
        add_latency(time, due(connection, echo));
    });
  }

  // Of what was due in the window, whenever it comes back.
  void add_latency(Time time, Time due) {
    if (due >= measurement_.before.at) measurement_.latency.add(time - due);
  }

  // What does not come back in time counts with the time it has waited so far.
  void collect(Time until) {
    const auto& connections = client_.connections();
    const auto waits = [](const auto& connection) { return connection->is_waiting(); };
    while (now() < until && std::any_of(connections.begin(), connections.end(), waits)) wait(until);
    const std::uint64_t answered = measurement_.latency.count();
    for (const auto& connection : connections) {
      for (auto echo = connection->check().messages(); echo < connection->check().expected();
           ++echo)
        add_latency(now(), due(*connection, echo));
    }
    measurement_.tell("rate_asked", client_.options().rate);
    measurement_.tell("late", late_);
    measurement_.tell("unanswered", measurement_.latency.count() - answered);
    measurement_.client_was_bottleneck =
        static_cast<double>(late_) > late_share * static_cast<double>(sent_);
  }

  Client& client_;
  Measurement& measurement_;
  const double interval_;
  std::uint64_t left_;
  Time start_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t sent_ = 0;  // in the window, and how many of them late
  std::uint64_t late_ = 0;
};

}  // namespace

Measurement open(const Options& options) {
  Measurement measurement{options};
  measurement.memory_before = measurement.process.memory();
  Client client{options, options.connections};
  client.open(options.connections);
  OpenLoop{client, measurement}.run();
  measurement.memory_during = measurement.process.memory();
  client.close(measurement);
  return measurement;
}

}  // namespace load
