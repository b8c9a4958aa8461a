#include "closed_loop.hpp"

#include <algorithm>

#include "window.hpp"

namespace load {

ClosedLoop::ClosedLoop(Client& client, Measurement& measurement, std::size_t connections)
    : client_(client),
      measurement_(measurement),
      connections_(connections),
      left_(client.options().most_messages()) {}

void ClosedLoop::run() {
  const auto ready = [this](Connection& connection, std::uint32_t events) {
    this->ready(connection, events);
  };
  run_window(
      client_.options(), measurement_, client_.options().messages, [this] { start(); },
      [&](Time until) { return client_.wait(until, ready); });
  stop();
  while (!is_done()) client_.wait(forever, ready);
}

void ClosedLoop::start() {
  for (std::size_t i = 0; i < connections_; ++i) send_next(*client_.connections()[i], now());
}

void ClosedLoop::ready(Connection& connection, std::uint32_t events) {
  const std::size_t echoes = connection.ready(events);
  if (echoes == 0) return;
  measurement_.add(echoes);
  if (connection.outstanding() > 0) return;
  const Time time = now();
  measurement_.add_latency(time - connection.sent_at);
  send_next(connection, time);
}

void ClosedLoop::send_next(Connection& connection, Time time) {
  const std::uint64_t messages = std::min<std::uint64_t>(client_.options().pipeline, left_);
  if (messages == 0) return;
  left_ -= messages;
  connection.sent_at = time;
  connection.send(messages);
}

void ClosedLoop::stop() {
  left_ = 0;
  for (std::size_t i = 0; i < connections_; ++i) client_.connections()[i]->stop_sending();
}

bool ClosedLoop::is_done() const {
  for (std::size_t i = 0; i < connections_; ++i)
    if (client_.connections()[i]->is_waiting()) return false;
  return true;
}

}  // namespace load
