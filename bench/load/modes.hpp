// The modes of bench-load; each is a file of its own name and returns what it found.
#pragma once

#include "measurement.hpp"
#include "options.hpp"

namespace load {

Measurement closed(const Options& options);
Measurement open(const Options& options);
Measurement idle(const Options& options);
Measurement churn(const Options& options);
Measurement fanout(const Options& options);
Measurement slow(const Options& options);

}  // namespace load
