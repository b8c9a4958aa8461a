#include "process.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "fail.hpp"

namespace load {
namespace {

std::string folder_of(pid_t pid) { return "/proc/" + std::to_string(pid); }

// The number of the next line "name: number"; 0 if there is none. So ask in the order of the file.
std::int64_t number_of(std::istream& file, const std::string& name) {
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name + ":")) return std::stoll(line.substr(name.size() + 1));
  return 0;
}

void add_ticks(pid_t pid, Usage& usage) {
  std::ifstream file{folder_of(pid) + "/stat"};
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  // Fields 14 and 15, counted behind the name, which may contain anything.
  std::istringstream fields{text.substr(std::min(text.rfind(')'), text.size() - 1) + 1)};
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  fields >> usage.user_ticks >> usage.system_ticks;
}

void add_switches(pid_t pid, Usage& usage) {
  std::error_code gone;  // a thread, meanwhile
  for (const auto& thread : std::filesystem::directory_iterator{folder_of(pid) + "/task", gone}) {
    std::ifstream file{thread.path() / "status"};
    usage.voluntary_switches += number_of(file, "voluntary_ctxt_switches");
    usage.involuntary_switches += number_of(file, "nonvoluntary_ctxt_switches");
  }
}

}  // namespace

Process::Process(pid_t pid) : pid_(pid) {
  if (!known()) return;
  if (const int error = clock_getcpuclockid(pid, &clock_); error != 0)
    fail("--pid %d: %s", pid, std::strerror(error));
}

Usage Process::usage() const {
  // What is exact goes first, for the rest takes a while.
  Usage usage{.at = now(), .own_cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID), .cpu = cpu()};
  if (!known()) return usage;
  add_ticks(pid_, usage);
  add_switches(pid_, usage);
  return usage;
}

std::optional<Memory> Process::memory() const {
  if (!known()) return {};
  std::ifstream file{folder_of(pid_) + "/smaps_rollup"};
  Memory memory;
  memory.rss = number_of(file, "Rss") * 1024;
  if (memory.rss == 0) return {};  // another user's
  memory.private_memory =
      (number_of(file, "Private_Clean") + number_of(file, "Private_Dirty")) * 1024;
  return memory;
}

void Process::rest() const {
  constexpr timespec pause{.tv_sec = 0, .tv_nsec = second / 50};
  for (int turn = 0; turn < 50; ++turn) {
    const Time before = cpu();
    nanosleep(&pause, nullptr);
    if (cpu() == before) return;
  }
}

}  // namespace load
