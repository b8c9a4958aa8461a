// churn: connections that open, echo one message and close. A latency is a connection's whole life.
//
// Who closes first keeps the port for a minute (TIME-WAIT); the local addresses that connections
// come from in turn have some seven million of them.
#include "client.hpp"
#include "modes.hpp"
#include "window.hpp"

namespace load {
namespace {

class Churn {
 public:
  Churn(Client& client, Measurement& measurement)
      : client_(client), measurement_(measurement), left_(client.options().most_messages()) {}

  void run() {
    const Options& options = client_.options();
    const auto step = [this](Time until) {
      return client_.wait(until, [this](Connection& connection, std::uint32_t events) {
        connection.ready(events);
        advance(connection);
      });
    };
    run_window(
        options, measurement_, options.messages, [this] { start(); }, step);
    left_ = 0;
    while (alive_ > 0) step(forever);
    client_.connections().clear();  // the places of them, empty
  }

 private:
  void start() {
    client_.connections().resize(client_.options().concurrency);
    for (unsigned number = 0; number < client_.options().concurrency; ++number) begin(number);
  }

  // Numbers that are the same modulo the places follow each other in one place.
  void begin(unsigned number) {
    if (left_ == 0) return;
    --left_;
    ++alive_;
    auto& place = place_of(number);
    const Time time = now();
    place = std::make_unique<Connection>(client_.shared(), number,
                                         client_.shared().tape.place_of(number));
    place->sent_at = time;
    advance(*place);
  }

  void advance(Connection& connection) {
    using State = Connection::State;
    if (connection.state() == State::open && connection.outstanding() == 0)
      connection.check().expected() == 0 ? connection.send(1) : connection.close();
    if (connection.state() != State::closed) return;
    measurement_.add(1);
    measurement_.add_latency(now() - connection.sent_at);
    measurement_.add_checked(connection.check());
    const unsigned number = connection.number();
    place_of(number).reset();
    --alive_;
    begin(number + static_cast<unsigned>(client_.options().concurrency));
  }

  std::unique_ptr<Connection>& place_of(unsigned number) {
    return client_.connections()[number % client_.connections().size()];
  }

  Client& client_;
  Measurement& measurement_;
  std::uint64_t left_;  // connections that may still begin
  std::size_t alive_ = 0;
};

}  // namespace

Measurement churn(const Options& options) {
  Measurement measurement{options};
  measurement.memory_before = measurement.process.memory();
  Client client{options, options.concurrency};
  Churn{client, measurement}.run();
  measurement.memory_during = measurement.process.memory();
  measurement.tell("concurrency", options.concurrency);
  client.close(measurement);
  return measurement;
}

}  // namespace load
