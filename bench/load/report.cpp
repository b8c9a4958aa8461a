// A measurement as JSON. All units are of the SI: seconds, bytes, and so on.
#include "fail.hpp"
#include "json.hpp"
#include "measurement.hpp"

namespace load {
namespace {

// Of a core: from here on it counts as busy all the time.
constexpr double saturated = 0.9;
constexpr std::size_t most_buckets = 200;

using Number = std::optional<double>;

Number per(Number sum, double count) { return sum && count > 0 ? Number{*sum / count} : Number{}; }

void add_latency(Json& json, const Histogram& latency) {
  const auto seconds = [&](Time time) {
    return latency.count() > 0 ? Number{to_seconds(time)} : Number{};
  };
  const auto at = [&](double share) { return seconds(latency.percentile(share)); };
  json.open('{', "latency")
      .number("p50", at(0.5))
      .number("p90", at(0.9))
      .number("p99", at(0.99))
      .number("p999", at(0.999))
      .number("max", seconds(latency.max()))
      .number("mean", seconds(latency.mean()))
      .number("count", static_cast<double>(latency.count()))
      .close('}');
  json.open('[', "latency_histogram");
  for (const auto& [upper_end, count] : latency.buckets(most_buckets))
    json.open('[')
        .number({}, to_seconds(upper_end))
        .number({}, static_cast<double>(count))
        .close(']');
  json.close(']');
}

void add_memory(Json& json, std::string_view name, const std::optional<Memory>& memory) {
  const auto number = [&](std::int64_t Memory::*field) {
    return memory ? Number{static_cast<double>((*memory).*field)} : Number{};
  };
  json.open('{', name)
      .number("rss", number(&Memory::rss))
      .number("private", number(&Memory::private_memory))
      .close('}');
}

// The differences of two usages; the server's are empty if it is not known.
struct Cost {
  Cost(const Measurement& measurement)
      : Cost(measurement.before, measurement.after, measurement.process.known()) {}

  Cost(const Usage& before, const Usage& after, bool server)
      : wall(to_seconds(after.at - before.at)),
        client_busy(to_seconds(after.own_cpu - before.own_cpu) / wall) {
    if (!server) return;
    cpu = to_seconds(after.cpu - before.cpu);
    server_busy = *cpu / wall;
    voluntary = static_cast<double>(after.voluntary_switches - before.voluntary_switches);
    involuntary = static_cast<double>(after.involuntary_switches - before.involuntary_switches);
    const auto user_ticks = static_cast<double>(after.user_ticks - before.user_ticks);
    const auto system_ticks = static_cast<double>(after.system_ticks - before.system_ticks);
    if (user_ticks + system_ticks == 0) return;  // too short to be split
    user = *cpu * user_ticks / (user_ticks + system_ticks);
    system = *cpu - *user;
  }

  double wall;
  double client_busy;
  Number cpu, user, system, server_busy, voluntary, involuntary;
};

void add_server(Json& json, const Measurement& measurement, const Cost& cost) {
  const auto messages = static_cast<double>(measurement.messages);
  json.open('{', "server")
      .number("cpu_per_message", per(cost.cpu, messages))
      .number("user_per_message", per(cost.user, messages))
      .number("system_per_message", per(cost.system, messages));
  json.open('{', "context_switches_per_message")
      .number("voluntary", per(cost.voluntary, messages))
      .number("involuntary", per(cost.involuntary, messages))
      .close('}');
  json.number("core_busy", cost.server_busy);
  add_memory(json, "rss_before", measurement.memory_before);
  add_memory(json, "rss_during", measurement.memory_during);
  add_memory(json, "rss_after", measurement.memory_after);
  json.close('}');
}

}  // namespace

std::string to_json(const Options& options, const Measurement& measurement) {
  if (measurement.messages == 0)
    fail("nothing came back while it was measured, in %g s",
         to_seconds(measurement.after.at - measurement.before.at));
  const Cost cost{measurement};
  const auto number = [](auto value) { return static_cast<double>(value); };
  const double messages = number(measurement.messages);
  const auto& bottleneck = measurement.client_was_bottleneck;
  std::optional<bool> server_is_full;
  if (cost.server_busy)
    server_is_full = *cost.server_busy >= saturated &&
                     (bottleneck ? !*bottleneck : *cost.server_busy > cost.client_busy);
  const bool client_is_full =
      bottleneck.value_or(cost.client_busy >= saturated && !server_is_full.value_or(false));

  Json json;
  json.open('{')
      .text("mode", options.mode)
      .text("protocol", name_of(options.protocol))
      .number("connections", number(options.connections))
      .number("pipeline", number(options.pipeline))
      .number("size", number(options.size))
      .text("payload", name_of(options.payload))
      .number("seconds", cost.wall)
      .number("messages", messages)
      .number("rate", messages / cost.wall)
      .number("bytes_per_second", messages * number(options.size) / cost.wall);
  add_latency(json, measurement.latency);
  add_server(json, measurement, cost);
  json.open('{', "client")
      .number("core_busy", cost.client_busy)
      .truth("was_bottleneck", client_is_full)
      .close('}')
      .truth("saturated", server_is_full)
      .number("rss_per_connection", measurement.memory_per_connection)
      .open('{', "validated")
      .number("headers", number(measurement.headers))
      .number("payloads", number(measurement.payloads))
      .close('}');
  for (const auto& [name, value] : measurement.more) json.number(name, value);
  json.number("errors", 0);
  json.close('}');
  return json.written();
}

}  // namespace load
