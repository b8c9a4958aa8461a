// The check of utf8_simd.cpp, which includes this once for each instruction set: in a namespace
// that has Vector, look_up(), subtract() and meet(), and with TIMTOW_TARGET.

// NOLINTBEGIN(misc-definitions-in-headers): it is no header
constexpr std::ptrdiff_t width = sizeof(Vector);

TIMTOW_TARGET inline Vector load(const std::byte* from) noexcept {
  Vector vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}

TIMTOW_TARGET inline Vector errors_at(const std::byte* at) noexcept {
  const Vector byte = load(at);
  const Vector before = load(at - 1);
  const Vector pair = look_up(load(tables.first_high), before >> 4) &
                      look_up(load(tables.first_low), before & 0x0F) &
                      look_up(load(tables.second_high), byte >> 4);
  // The top bit is set from E0 on, and from F0 on.
  const Vector third = subtract(load(at - 2), 0xE0 - 0x80) | subtract(load(at - 3), 0xF0 - 0x80);
  return pair ^ (third & (Vector{} + two_tails));
}

// Whether the next vectors are good behind what is in front of them.
template <int count>
TIMTOW_TARGET inline bool are_good(const std::byte* at) noexcept {
  Vector all = load(at - 3);
  for (int i = 0; i < count; ++i) all |= load(at + i * width);
  if (!meet(all, Vector{} + 0x80)) return true;  // ASCII, behind ASCII
  Vector errors{};
  for (int i = 0; i < count; ++i) errors |= errors_at(at + i * width);
  return !meet(errors, errors);
}

TIMTOW_TARGET const std::byte* skip(const std::byte* at, const std::byte* end) noexcept {
  if (end - at < width) return at;
  for (; end - at >= 2 * width; at += 2 * width)
    if (!are_good<2>(at)) return at;
  while (at != end) {
    const std::byte* const next = std::min(at, end - width);  // the last may overlap
    if (!are_good<1>(next)) return at;
    at = next + width;
  }
  return at;
}
// NOLINTEND(misc-definitions-in-headers)
