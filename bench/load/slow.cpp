// slow: connections that send as fast as the server lets them and hardly read, beside active ones.
// A server has to stop reading from them or else keep what they do not take; it may also disconnect
// them, which is counted. Its memory is the most of what was seen.
#include <algorithm>

#include "closed_loop.hpp"
#include "modes.hpp"
#include "window.hpp"

namespace load {
namespace {

constexpr int receive_buffer = 4096;        // of their sockets
constexpr Time turn_time = second / 100;    // between two reads
constexpr int turns_between_memories = 5;   // for it takes the system time to tell it
constexpr std::size_t ahead = 1 << 20;      // what each has ready to send
constexpr std::size_t most_kept = 1 << 29;  // by the server, for all, before they stop sending

class SlowReaders {
 public:
  SlowReaders(Client& client, Measurement& measurement)
      : client_(client), measurement_(measurement), next_turn_(now() + turn_time) {
    const auto& connections = client.connections();
    for (std::size_t i = client.options().active; i < connections.size(); ++i) {
      connections[i]->read_only_when_told();
      readers_.push_back(connections[i].get());
    }
  }

  Time next_turn() const { return next_turn_; }

  void start() {
    for (Connection* reader : readers_) fill(*reader);
  }

  bool owns(const Connection& connection) const {
    return connection.number() >= client_.options().active;
  }

  void ready(Connection& reader, std::uint32_t events) {
    reader.ready(events);
    fill(reader);
  }

  void take_turn() {
    const Time time = now();
    if (time < next_turn_) return;
    budget_ += client_.options().drain * to_seconds(time - next_turn_ + turn_time);
    next_turn_ = time + turn_time;
    const auto share = static_cast<std::size_t>(budget_);
    budget_ -= static_cast<double>(share);
    std::size_t kept = 0;
    for (Connection* reader : readers_) {
      if (share > 0 && reader->state() == Connection::State::open) reader->read(share);
      fill(*reader);
      kept += reader->outstanding() * client_.shared().tape.sent_unit - reader->left_to_send();
    }
    if (kept > most_kept) limit_reached_ = true;
    if (++turn_ % turns_between_memories == 0) remember_memory();
  }

  void tell() {
    std::uint64_t messages = 0, dropped = 0;
    for (const Connection* reader : readers_) {
      messages += reader->check().messages();
      if (reader->state() == Connection::State::closed) ++dropped;
    }
    measurement_.tell("active", client_.options().active);
    measurement_.tell("drain", client_.options().drain);
    measurement_.tell("slow_messages", messages);
    measurement_.tell("slow_disconnected", dropped);
    measurement_.tell("slow_stopped_sending", limit_reached_);
  }

 private:
  void fill(Connection& reader) {
    const std::size_t unit = client_.shared().tape.sent_unit;
    if (reader.state() == Connection::State::open && !limit_reached_ &&
        reader.left_to_send() < ahead / 2)
      reader.send(ahead / unit + 1);
  }

  void remember_memory() {
    const auto memory = measurement_.process.memory();
    if (!memory) return;
    auto& most = measurement_.memory_during;
    if (!most) most = memory;
    most->rss = std::max(most->rss, memory->rss);
    most->private_memory = std::max(most->private_memory, memory->private_memory);
  }

  Client& client_;
  Measurement& measurement_;
  std::vector<Connection*> readers_;
  Time next_turn_;
  int turn_ = 0;
  double budget_ = 0;  // bytes that each may read
  bool limit_reached_ = false;
};

}  // namespace

Measurement slow(const Options& options) {
  Measurement measurement{options};
  Client client{options, options.active + options.connections};
  client.open_active(measurement);
  client.open(options.connections, false, receive_buffer);

  SlowReaders readers{client, measurement};
  ClosedLoop active{client, measurement, options.active};
  const auto step = [&](Time until) {
    const Time time = client.wait(std::min(until, readers.next_turn()),
                                  [&](Connection& connection, std::uint32_t events) {
                                    if (readers.owns(connection))
                                      readers.ready(connection, events);
                                    else
                                      active.ready(connection, events);
                                  });
    readers.take_turn();
    return time;
  };
  const auto start = [&] {
    readers.start();
    active.start();
  };
  run_window(options, measurement, options.messages, start, step);
  active.stop();
  while (!active.is_done()) step(forever);
  readers.tell();
  client.close(measurement);
  return measurement;
}

}  // namespace load
