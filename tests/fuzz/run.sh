#!/usr/bin/env bash
# Each fuzz target for so many minutes: tests/fuzz/run.sh MINUTES [TARGET...]
#
# Starts from the corpus in tests/fuzz/corpus and from what runs before this one found, which is in
# build/fuzz/corpus, and knows the words of tests/fuzz/words.dict. An input that fails is kept in
# build/fuzz/found, and ends the run.
#
# The target "differential" is not one of libFuzzer's: differential/differential.py, which compares a
# session with Python's wsproto.
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
  targets+=(differential)
fi

# compare LOG ARGUMENT...: for half the time, without compressed messages or with them.
compare() {
  local log=$1
  shift
  /usr/bin/python3 -B tests/fuzz/differential/differential.py build/fuzz/bin/session_events \
    --minutes "$(awk -v seconds="$seconds" 'BEGIN { print seconds / 120 }')" "$@" >"$log" 2>&1 ||
    { cat "$log" >&2; return 1; }
  sed -n 's/^\([0-9]*\) inputs;.*/\1/p' "$log"
}

for target in "${targets[@]}"; do
  program=build/fuzz/bin/fuzz_$target
  log=build/fuzz-$target.log
  if [[ $target == differential ]]; then
    plain=$(compare "$log")
    compressed=$(compare "$log" --deflate)
    echo "  $target: $((plain + compressed)) inputs"
    continue
  fi
  if [[ ! -x $program ]]; then
    echo "there is no fuzz target \"$target\"" >&2
    exit 2
  fi
  # The first folder takes what is found, the second is only read.
  mkdir -p "build/fuzz/corpus/$target" build/fuzz/found
  if ! "$program" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
    -dict=tests/fuzz/words.dict \
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
