// The process in which calls fail: an echo server on the loop under test, and a client of its own.
#pragma once

#include <array>
#include <atomic>
#include <string_view>

#include "faults.hpp"

namespace faults {

// What the process and its peers both see.
struct Shared {
  Record record;
  std::atomic<int> port = 0;  // of the server, once it listens
  // What was said of errors, each sentence on a line.
  std::array<char, 8192> said = {};
  std::atomic<std::size_t> said_size = 0;

  void say(std::string_view sentence) noexcept;
  std::string_view all_said() const noexcept { return {said.data(), said_size}; }
};

// Serves until a peer says "stop". A peer that says "post" hears "posted" from a function that was
// posted; one that says "call" hears how it went when the client has got an echo: "called", or
// "failed". Returns what is wrong at the end, or null.
const char* serve(Shared& shared) noexcept;

// What the loop's library does once in a process.
void warm_up();

}  // namespace faults
