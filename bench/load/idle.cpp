// idle: what connections cost that say nothing, in memory, and in the time of those that do.
#include "closed_loop.hpp"
#include "modes.hpp"

namespace load {

Measurement idle(const Options& options) {
  Measurement measurement{options};
  Client client{options, options.active + options.connections};
  client.open_active(measurement);
  client.open(options.connections);
  measurement.process.rest();
  measurement.memory_during = measurement.process.memory();
  if (measurement.memory_during)
    measurement.memory_per_connection =
        static_cast<double>(measurement.memory_during->private_memory -
                            measurement.memory_before->private_memory) /
        static_cast<double>(options.connections);
  measurement.tell("active", options.active);
  ClosedLoop{client, measurement, options.active}.run();
  client.close(measurement);
  return measurement;
}

}  // namespace load
