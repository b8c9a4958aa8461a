// How libFuzzer changes an input of the target session: by its structure, as often as by its bytes.
// An input is a line, the script, and what the peer sends: a head perhaps, and frames. Frames are
// read, unmasked and changed as such, so that lengths and masks fit afterwards, mostly.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace fuzz {

struct MutableFrame {
  unsigned first = 0x82;  // FIN, the reserved bits and the opcode
  bool masked = true;
  unsigned form = 0;       // bytes of the length: 2 or 8; 0 is the shortest
  int announced_more = 0;  // than there is
  std::string payload;

  std::string encode() const {
    const std::size_t length = payload.size() + static_cast<std::size_t>(announced_more);
    const unsigned size = form != 0 ? form : length < 126 ? 0 : length < 65536 ? 2 : 8;
    std::string wire{static_cast<char>(first)};
    const std::size_t code = size == 8 ? 127 : size == 2 ? 126 : length & 0x7FU;
    wire += static_cast<char>((masked ? 0x80U : 0U) | code);
    for (unsigned i = size; i-- > 0;) wire += static_cast<char>(length >> (8 * i) & 0xFFU);
    if (!masked) return wire + payload;
    constexpr char key[] = {0x37, static_cast<char>(0xFA), 0x21, 0x3D};
    wire.append(key, sizeof key);
    for (std::size_t i = 0; i < payload.size(); ++i)
      wire += static_cast<char>(payload[i] ^ key[i % 4]);
    return wire;
  }
};

// Takes a frame off the front; what breaks off is taken as far as it goes.
inline MutableFrame take_frame(std::string_view& wire) {
  MutableFrame frame;
  const auto byte = [&](std::size_t i) {
    return i < wire.size() ? static_cast<unsigned char>(wire[i]) : 0U;
  };
  frame.first = byte(0);
  frame.masked = (byte(1) & 0x80U) != 0;
  std::uint64_t length = byte(1) & 0x7FU;
  const unsigned size = length == 127 ? 8 : length == 126 ? 2 : 0;
  if (size != 0) {
    length = 0;
    for (unsigned i = 0; i < size; ++i) length = length << 8U | byte(2 + i);
    if (length < (size == 2 ? 126U : 65536U)) frame.form = size;
  }
  const std::size_t header = 2 + size + (frame.masked ? 4U : 0U);
  const std::size_t start = std::min(header, wire.size());
  const auto there = static_cast<std::size_t>(std::min<std::uint64_t>(length, wire.size() - start));
  frame.payload = wire.substr(start, there);
  if (frame.masked)
    for (std::size_t i = 0; i < there; ++i)
      frame.payload[i] = static_cast<char>(static_cast<unsigned char>(frame.payload[i]) ^
                                           byte(header - 4 + i % 4));
  wire.remove_prefix(start + there);
  return frame;
}

class FrameMutator {
 public:
  explicit FrameMutator(unsigned seed) : random_(seed) {}

  std::string mutate(std::string_view input) {
    const auto line_end = std::min(input.find('\n'), input.size());
    std::string script{input.substr(0, line_end)};
    std::string_view rest = input.substr(std::min(line_end + 1, input.size()));
    if (chance(4)) return change_script(script) + '\n' + std::string{rest};

    std::string head;
    if (const auto head_end = rest.find("\r\n\r\n"); head_end != rest.npos) {
      head = rest.substr(0, head_end + 4);
      rest.remove_prefix(head_end + 4);
    }
    std::vector<MutableFrame> frames;
    while (!rest.empty() && frames.size() < 1000) frames.push_back(take_frame(rest));
    const bool masked = frames.empty() ? script.find('c') > script.find(':') : frames[0].masked;
    for (unsigned i = 1 + below(3); i > 0; --i) change(frames, masked);
    std::string all = script + '\n' + head;
    for (const MutableFrame& frame : frames) all += frame.encode();
    return all;
  }

 private:
  unsigned below(std::size_t limit) { return static_cast<unsigned>(random_() % limit); }
  bool chance(unsigned of) { return below(of) == 0; }
  template <std::size_t size>
  unsigned one_of(const unsigned (&all)[size]) {
    return all[below(size)];
  }

  std::string change_script(std::string script) {
    constexpr std::string_view setups = "coticdewmkxzZBMFOT";
    constexpr std::string_view actions = "sSbfFpPmqcnxarRuUhHwWtT1gel";
    const auto colon = script.find(':');
    if (colon == script.npos) return script + ':';
    if (chance(3)) {
      script.insert(colon, 1, setups[below(setups.size())]);
    } else if (colon > 0 && chance(4)) {
      script.erase(below(colon), 1);
    } else {
      const std::size_t pairs = (script.size() - colon - 1) / 2;
      const std::size_t at = colon + 1 + 2 * below(pairs + 1);
      if (pairs > 0 && chance(3)) {
        script.erase(std::min(at, script.size() - 2), 2);
      } else {
        const std::size_t distance = chance(2) ? below(16) : below(200);
        script.insert(at, {actions[below(actions.size())], static_cast<char>('0' + distance)});
        if (script[at + 1] == '\n') script[at + 1] = '0';
      }
    }
    return script;
  }

  MutableFrame some_frame(bool masked) {
    MutableFrame frame;
    frame.masked = masked;
    frame.first = one_of({0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8A, 0xC1, 0xC2});
    if (frame.first == 0x88 && !chance(4)) frame.payload = "\x03\xE8";
    if (chance(2))
      frame.payload.append(one_of({1, 5, 123, 125, 126, 300}), chance(2) ? 'x' : '\xE2');
    return frame;
  }

  void change(std::vector<MutableFrame>& frames, bool masked) {
    const std::size_t at = frames.empty() ? 0 : below(frames.size());
    const auto place = frames.begin() + static_cast<std::ptrdiff_t>(at);
    if (frames.empty() || chance(6)) {
      frames.insert(place, some_frame(masked));
      return;
    }
    MutableFrame& frame = frames[at];
    switch (below(12)) {
      case 0:
        frame.first ^= 0x80U;  // FIN
        break;
      case 1:
        frame.first ^= one_of({0x40, 0x20, 0x10});
        break;
      case 2:
        frame.first = (frame.first & 0xF0U) | below(16);
        break;
      case 3:
        frame.masked = !frame.masked;
        break;
      case 4:
        frame.form = one_of({0, 2, 8});
        break;
      case 5:
        frame.announced_more = static_cast<int>(one_of({0, 1, 100, 70'000}));
        break;
      case 6:
        frames.erase(place);
        break;
      case 7:
        frames.insert(place, MutableFrame{frame});
        break;
      case 8:
        std::swap(frame, frames[below(frames.size())]);
        break;
      case 9: {  // in two fragments, cut anywhere
        MutableFrame last = frame;
        const std::size_t cut = below(frame.payload.size() + 1);
        frame.payload.resize(cut);
        last.payload.erase(0, cut);
        last.first &= 0x80U;
        frame.first &= 0x7FU;
        frames.insert(place + 1, last);
        break;
      }
      default: {
        const std::size_t size = frame.payload.size();
        frame.payload.resize(size + 64);
        auto* const bytes = reinterpret_cast<std::uint8_t*>(frame.payload.data());
        frame.payload.resize(LLVMFuzzerMutate(bytes, size, size + 64));
      }
    }
  }

  std::minstd_rand random_;
};

}  // namespace fuzz

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  if (seed % 2 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::string_view input{reinterpret_cast<const char*>(data), size};
  const std::string mutated = fuzz::FrameMutator{seed}.mutate(input);
  if (mutated.empty() || mutated.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, mutated.data(), mutated.size());
  return mutated.size();
}
