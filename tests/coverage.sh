#!/usr/bin/env bash
# How much of core/ the unit tests and the fuzz corpus reach together: tests/coverage.sh
#
# Prints the share of lines and of branches by file. build/coverage/html/index.html shows the ones that are missed.
set -euo pipefail
cd "$(dirname "$0")/.."

unset CCACHE_BASEDIR  # files are found by their whole paths
mkdir -p build
{
  cmake --preset coverage
  cmake --build --preset coverage -j "${TIMTOW_JOBS:-$(nproc)}" \
    --target timtow-tests timtow-tls-tests timtow-attacks fuzz
} >build/coverage-build.log 2>&1 || { cat build/coverage-build.log; exit 1; }

profiles=build/coverage/profiles
rm -rf "$profiles"
export LLVM_PROFILE_FILE="$PWD/$profiles/%p.profraw"
ctest --preset coverage -j "${TIMTOW_JOBS:-$(nproc)}" -R '^(unit|fuzz|attack\.core)\.' \
  -E 'lists: the work|sequences? of (one and of two|three)' >build/coverage-test.log ||
  { cat build/coverage-test.log; exit 1; }

llvm-profdata merge -sparse "$profiles"/*.profraw -o build/coverage/all.profdata
programs=(build/coverage/bin/timtow-tests)
for program in build/coverage/bin/{timtow-tls-tests,timtow-attacks,fuzz_*}; do programs+=(-object "$program"); done
llvm-cov show "${programs[@]}" -instr-profile build/coverage/all.profdata -format html \
  -show-branches count -output-dir build/coverage/html core >/dev/null
llvm-cov report "${programs[@]}" -instr-profile build/coverage/all.profdata -show-branch-summary core \
  2>/dev/null |  # it warns of functions that the programs were compiled with differently
  awk 'NF > 9 { printf "%-40s %9s %9s\n", $1, $10, $13 }'
