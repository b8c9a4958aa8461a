// fanout: one connection sends, and the server sends it to all, the sender among them. The next
// messages leave when the last of all has got these; a latency is from there to here.
#include <algorithm>

#include "client.hpp"
#include "modes.hpp"
#include "window.hpp"

namespace load {
namespace {

class Fanout {
 public:
  Fanout(Client& client, Measurement& measurement)
      : client_(client), measurement_(measurement), left_(client.options().most_messages()) {}

  void run() {
    const Options& options = client_.options();
    const auto step = [this](Time until) {
      return client_.wait(until, [this](Connection& connection, std::uint32_t events) {
        deliver(connection.ready(events));
      });
    };
    run_window(
        options, measurement_, options.messages * client_.connections().size(),
        [this] { send_next(); }, step);
    left_ = 0;
    while (outstanding_ > 0) step(forever);
  }

 private:
  void send_next() {
    const std::uint64_t messages = std::min<std::uint64_t>(client_.options().pipeline, left_);
    if (messages == 0) return;
    left_ -= messages;
    const auto& connections = client_.connections();
    for (std::size_t i = 1; i < connections.size(); ++i) connections[i]->expect(messages);
    outstanding_ = messages * connections.size();
    connections[0]->sent_at = now();
    connections[0]->send(messages);
  }

  void deliver(std::size_t messages) {
    if (messages == 0) return;
    measurement_.add(messages);
    outstanding_ -= messages;
    if (outstanding_ > 0) return;
    measurement_.add_latency(now() - client_.connections()[0]->sent_at);
    send_next();
  }

  Client& client_;
  Measurement& measurement_;
  std::uint64_t left_;             // messages that may still be sent
  std::uint64_t outstanding_ = 0;  // deliveries
};

}  // namespace

Measurement fanout(const Options& options) {
  Measurement measurement{options};
  measurement.memory_before = measurement.process.memory();
  Client client{options, options.connections + 1};
  client.open(options.connections + 1, true);
  measurement.process.rest();  // until the server knows all whom it has accepted
  Fanout{client, measurement}.run();
  measurement.memory_during = measurement.process.memory();
  client.close(measurement);
  return measurement;
}

}  // namespace load
