// What ends a run early: a sentence on stderr. A load generator has nothing to undo, so there is
// nothing to unwind either.
#pragma once

namespace load {

// The run failed: exit code 1.
[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char* format, ...);

// The command line was wrong: exit code 2.
[[noreturn, gnu::format(printf, 1, 2)]] void refuse(const char* format, ...);

}  // namespace load
