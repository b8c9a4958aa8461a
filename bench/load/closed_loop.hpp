// Every connection has --pipeline messages under way, and sends the next so many when all are back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "client.hpp"
#include "measurement.hpp"

namespace load {

class ClosedLoop {
 public:
  // On the first so many connections of the client.
  ClosedLoop(Client& client, Measurement& measurement, std::size_t connections);

  // Warms up, measures, and waits for what is still under way.
  void run();

  // The parts of it, for who has other connections to look after as well.
  void start();
  void ready(Connection& connection, std::uint32_t events);
  void stop();
  bool is_done() const;

 private:
  void send_next(Connection& connection, Time time);

  Client& client_;
  Measurement& measurement_;
  const std::size_t connections_;
  std::uint64_t left_;  // messages that may still be sent
};

}  // namespace load
