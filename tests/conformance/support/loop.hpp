// The loop under test. The suite is compiled once and knows no adapter: what it is linked with says
// what make_loop() makes.
#pragma once

#include <memory>

#include "timtow/loop.hpp"

namespace test {

std::unique_ptr<timtow::Loop> make_loop();

// A loop of a test's own.
class Loop {
 public:
  operator timtow::Loop&() { return *loop_; }
  timtow::Loop* operator->() { return loop_.get(); }

 private:
  std::unique_ptr<timtow::Loop> loop_ = make_loop();
};

}  // namespace test
