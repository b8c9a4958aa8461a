// closed: as much as the server can take, from clients that wait for their echoes.
#include "closed_loop.hpp"
#include "modes.hpp"

namespace load {

Measurement closed(const Options& options) {
  Measurement measurement{options};
  measurement.memory_before = measurement.process.memory();
  Client client{options, options.connections};
  client.open(options.connections);
  ClosedLoop{client, measurement, options.connections}.run();
  measurement.memory_during = measurement.process.memory();
  client.close(measurement);
  return measurement;
}

}  // namespace load
