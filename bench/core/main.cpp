// What each part of the core costs: bench-core [--benchmark_filter=REGEX] [--help]
//
//   parse/TYPE/SIZE      a masked frame is received, and is a message
//   echo/TYPE/SIZE       the same, and it is sent back and its output taken
//   encode/ROLE/SIZE     a binary message is sent and its output taken; a client masks it
//   handshake/server     a session is made, receives a request, accepts it, its response is taken
//   handshake/both       the same with a client, from its request to its open event
//   deflate/HOW/SIZE     a client sends a compressed message, and its server receives it; `wire` is
//                        its frame; takeover: after the same many times, alone: for itself
//   unmask/SIZE          in place; memcpy/SIZE beside it is a copy of as many bytes
//   utf8/HOW/SCRIPT/SIZE by each implementation that this processor can run
//
// Times are of one frame, handshake or text; `allocations` are calls of operator new. For
// instructions, where Google Benchmark was built with libpfm (Debian's is not):
// --benchmark_perf_counters=INSTRUCTIONS. bench/instructions.py counts them anywhere, by callgrind.
#include "benchmarks.hpp"

int main(int argc, char** argv) {
  bench::add_frames();
  bench::add_handshake();
  bench::add_mask();
  bench::add_utf8();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  return benchmark::RunSpecifiedBenchmarks() > 0 ? 0 : 1;
}
