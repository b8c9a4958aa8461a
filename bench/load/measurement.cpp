#include "measurement.hpp"

namespace load {

void Measurement::begin() {
  messages = 0;
  latency = {};
  before = process.usage();
  running_ = true;
}

void Measurement::end() {
  after = process.usage();
  running_ = false;
}

void Measurement::add_checked(const EchoCheck& check) {
  headers += check.headers();
  payloads += check.payloads();
}

}  // namespace load
