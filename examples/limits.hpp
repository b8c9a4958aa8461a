// The fields of Limits, by name: what an example is told as NAME=VALUE.
#pragma once

#include <charconv>
#include <chrono>
#include <cstddef>
#include <string_view>
#include <utility>

#include "timtow/limits.hpp"

namespace example {

// Whether there is a limit of that name, and it can have the value: a number, or milliseconds.
inline bool set_limit(timtow::Limits& limits, std::string_view setting) {
  using timtow::Limits;
  constexpr std::pair<std::string_view, std::size_t Limits::*> sizes[] = {
      {"handshake_bytes", &Limits::handshake_bytes},
      {"handshake_headers", &Limits::handshake_headers},
      {"message_bytes", &Limits::message_bytes},
      {"message_fragments", &Limits::message_fragments},
      {"inflate_ratio", &Limits::inflate_ratio},
      {"inflate_free", &Limits::inflate_free},
      {"output_high_water", &Limits::output_high_water},
      {"output_low_water", &Limits::output_low_water},
      {"output_bytes", &Limits::output_bytes},
      {"connection_bytes", &Limits::connection_bytes},
      {"idle_bytes", &Limits::idle_bytes},
  };
  constexpr std::pair<std::string_view, timtow::Duration Limits::*> times[] = {
      {"handshake_time", &Limits::handshake_time}, {"message_time", &Limits::message_time},
      {"ping_interval", &Limits::ping_interval},   {"idle_time", &Limits::idle_time},
      {"close_time", &Limits::close_time},
  };
  const auto equals = setting.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = setting.substr(0, equals);
  const char* const end = setting.data() + setting.size();
  std::size_t value = 0;
  const auto [stop, failure] = std::from_chars(setting.data() + equals + 1, end, value);
  if (failure != std::errc{} || stop != end) return false;
  for (const auto& [its, field] : sizes)
    if (its == name) return limits.*field = value, true;
  for (const auto& [its, field] : times)
    if (its == name && value <= 1'000'000'000)
      return limits.*field = std::chrono::milliseconds{value}, true;
  return false;
}

}  // namespace example
