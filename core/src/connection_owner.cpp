// Who holds connections: a server or a client.
#include <algorithm>
#include <new>
#include <utility>

#include "timtow/connection.hpp"

namespace timtow {
namespace {

const Handlers no_handlers;

}  // namespace

Connection::Owner::~Owner() = default;

void Connection::Owner::mute() noexcept { called_ = &no_handlers; }

void Connection::Owner::tell(const std::function<void(const Error&)>& on_error,
                             const Error& error) noexcept {
  try {
    if (on_error) on_error(error);
  } catch (...) {  // NOLINT(bugprone-empty-catch): see Handlers::on_error
  }
}

Connection& Connection::Owner::add(std::shared_ptr<Owner> self, Loop& loop, Role role,
                                   const SessionOptions& options) {
  held_.push_back({last_id_ + 1, nullptr});
  try {
    held_.back().connection =
        std::make_shared<Connection>(last_id_ + 1, loop, std::move(self), role, options);
  } catch (const std::bad_alloc&) {
    held_.pop_back();
    throw;
  }
  ++last_id_;
  ++size_;
  return *held_.back().connection;
}

// What can be had by ending it; of one that was ended already, nothing.
std::size_t Connection::Owner::weight_of(const Held& held) noexcept {
  const bool counts = held.connection != nullptr && !held.connection->session_.was_cut();
  return counts ? held.connection->session_.memory() : 0;
}

std::size_t Connection::Owner::largest() const noexcept {
  std::size_t most = 0;
  for (const Held& each : held_) most = std::max(most, weight_of(each));
  return most;
}

std::size_t Connection::Owner::shed(std::size_t size, std::size_t wanted) noexcept {
  std::size_t freed = 0;
  for (const Held& each : held_) {
    if (freed >= wanted) break;
    const std::size_t holds = weight_of(each);
    if (holds < size) continue;
    freed += holds;
    each.connection->shed(
        make_error(errc::memory_budget,
                   "it held %zu bytes, more than most, of the %zu of Loop::limit_memory()", holds,
                   each.connection->loop_.pool().budget()));
  }
  return freed;
}

std::size_t Connection::Owner::place_of(std::uint64_t id) const noexcept {
  const auto place = std::lower_bound(held_.begin(), held_.end(), id,
                                      [](const Held& a, std::uint64_t b) { return a.id < b; });
  return static_cast<std::size_t>(place - held_.begin());
}

std::shared_ptr<Connection> Connection::Owner::find(std::uint64_t id) const noexcept {
  const std::size_t place = place_of(id);
  return place < held_.size() && held_[place].id == id ? held_[place].connection : nullptr;
}

void Connection::Owner::remove(std::uint64_t id) noexcept {
  const auto gone = std::move(held_[place_of(id)].connection);  // goes last, and perhaps we with it
  if (--size_ < held_.size() / 2 && walks_ == 0)
    std::erase_if(held_, [](const Held& each) { return each.connection == nullptr; });
}

Metrics Connection::Owner::metrics(std::initializer_list<const SessionOptions*> all,
                                   Loop& loop) const noexcept {
  Metrics metrics = metrics_;
  metrics.opening = size_ - metrics.open - metrics.closing;
  for (const SessionOptions* each : all) metrics.add(each->traffic);
  metrics.memory_in_use = loop.pool().in_use();
  metrics.memory_budget = loop.pool().budget();
  return metrics;
}

}  // namespace timtow
