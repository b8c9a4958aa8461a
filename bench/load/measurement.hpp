// What a run has found.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "echo_check.hpp"
#include "histogram.hpp"
#include "options.hpp"
#include "process.hpp"

namespace load {

struct Measurement {
  explicit Measurement(const Options& options) : process(options.pid) {}

  // The window: only inside of it, add() counts.
  void begin();
  void end();
  bool running() const { return running_; }
  void add(std::uint64_t echoes) {
    if (running_) messages += echoes;
  }
  void add_latency(Time time) {
    if (running_) latency.add(time);
  }

  // What was held against what it had to be.
  void add_checked(const EchoCheck& check);

  const Process process;
  Usage before, after;
  std::uint64_t messages = 0;
  Histogram latency;
  std::uint64_t headers = 0;
  std::uint64_t payloads = 0;
  std::optional<Memory> memory_before, memory_during, memory_after;
  std::optional<double> memory_per_connection;

  // Where how busy the client was does not tell: it may have waited busily.
  std::optional<bool> client_was_bottleneck;

  // What only this mode tells.
  template <typename Number>
  void tell(const char* name, Number number) {
    more.emplace_back(name, static_cast<double>(number));
  }
  std::vector<std::pair<const char*, double>> more;

 private:
  bool running_ = false;
};

// As one object of JSON.
std::string to_json(const Options& options, const Measurement& measurement);

}  // namespace load
