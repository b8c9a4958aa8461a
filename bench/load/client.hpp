// All connections of a run, and the one place where it waits.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include <sys/epoll.h>

#include "connection.hpp"
#include "measurement.hpp"

namespace load {

class Client {
 public:
  // Fails if the system does not allow for so many connections.
  Client(const Options& options, std::size_t most_connections);

  // Opens so many connections more, some at a time, and returns when all of them are open.
  // They begin where the tape has it for each, or `together` at its beginning.
  void open(std::size_t count, bool together = false, int receive_buffer = 0);

  // Opens the active ones, and takes down the server's memory before the others come.
  void open_active(Measurement& measurement);

  // Has each of them echo a message, so that the server has whatever it needs but once.
  void warm_up();

  // Closes all of them, lets the server rest, and takes down what is to be told of
  // them at the end.
  void close(Measurement& measurement);

  // Calls ready(connection, events) for each that is ready; waits until `until` at most. The
  // deadline ends the run. Returns when the waiting was over.
  template <typename Ready>
  Time wait(Time until, Ready ready) {
    epoll_event events[256];
    Time time = 0;
    const int count = wait_for(events, 256, until, time);
    for (int i = 0; i < count; ++i)
      ready(*static_cast<Connection*>(events[i].data.ptr), events[i].events);
    return time;
  }

  std::vector<std::unique_ptr<Connection>>& connections() { return connections_; }
  Shared& shared() { return shared_; }
  const Options& options() const { return shared_.options; }

 private:
  int wait_for(epoll_event* events, int most, Time until, Time& time);
  [[noreturn]] void fail_at_deadline() const;

  Time deadline_;
  Shared shared_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace load
