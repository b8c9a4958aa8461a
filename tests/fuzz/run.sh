#!/usr/bin/env bash
# Each fuzz target for so many minutes: tests/fuzz/run.sh MINUTES [TARGET...]
#
# Starts from the corpus in tests/fuzz/corpus and from what runs before this one found, which is in
# build/fuzz/corpus. An input that fails is kept in build/fuzz/found, and ends the run.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [[ ! ${1-} =~ ^[0-9]+(\.[0-9]+)?$ ]]; then
  echo "usage: tests/fuzz/run.sh MINUTES [TARGET...]" >&2
  exit 2
fi
seconds=$(awk -v minutes="$1" 'BEGIN { print int(minutes * 60 + 0.5) }')
shift

mkdir -p build
{
  cmake --preset fuzz
  cmake --build --preset fuzz -j "${TIMTOW_JOBS:-$(nproc)}" --target fuzz
} >build/fuzz-build.log 2>&1 || { cat build/fuzz-build.log; exit 1; }

targets=("$@")
if ((${#targets[@]} == 0)); then
  for program in build/fuzz/bin/fuzz_*; do targets+=("${program##*/fuzz_}"); done
fi
for target in "${targets[@]}"; do
  program=build/fuzz/bin/fuzz_$target
  log=build/fuzz-$target.log
  if [[ ! -x $program ]]; then
    echo "there is no fuzz target \"$target\"" >&2
    exit 2
  fi
  # The first folder takes what is found, the second is only read.
  mkdir -p "build/fuzz/corpus/$target" build/fuzz/found
  if ! "$program" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/found/$target-" "build/fuzz/corpus/$target" \
    "tests/fuzz/corpus/$target" >"$log" 2>&1; then
    cat "$log"
    echo "failed: $program; the input is in build/fuzz/found"
    exit 1
  fi
  executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  echo "  $target: ${executed:-0} inputs"
  ((${executed:-0} > 0))
done
