#!/usr/bin/env bash
# Everything that has to hold, from a fresh clone on Debian 12: ./test.sh
#
#   ./test.sh              every stage
#   ./test.sh STAGE...     these only
#   ./test.sh --list       the stages
#
# Stops at the first stage that fails. Build trees are kept in build/ and used again; logs are
# next to them. TIMTOW_JOBS says how many jobs run at once (default: one a core).
set -euo pipefail
cd "$(dirname "$0")"

jobs=${TIMTOW_JOBS:-$(nproc)}
fuzz_seconds=${TIMTOW_FUZZ_SECONDS:-5}

# What ccache has of another checkout is as good: a fresh clone is compiled once a machine.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

stages=(format release clang asan tsan fuzz configure install tidy)
declare -A about=(
  [format]="clang-format has nothing to change"
  [release]="g++, optimised, warnings are errors: unit, corpus, conformance, house, interop tests"
  [clang]="clang++, warnings are errors, every header alone: unit and corpus tests"
  [asan]="AddressSanitizer and UndefinedBehaviorSanitizer: the same and faults, but interop on one loop, dresses on two"
  [tsan]="ThreadSanitizer: on every loop, what uses threads"
  [fuzz]="each fuzz target for $fuzz_seconds seconds"
  [configure]="the options of the build: values, errors, summary"
  [install]="timtow installed, found and used by another project"
  [tidy]="clang-tidy on core/ and adapters/"
)

# count N: N tests of this stage passed.
count() { echo "$1" >>"$counts"; }

# quietly LOG COMMAND...: shows what the command says only if it fails.
quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1; then
    cat "$log"
    echo "failed: $*"
    return 1
  fi
}

# build PRESET [TARGET...]: these targets, or all.
build() {
  local preset=$1
  shift
  quietly "build/$preset-configure.log" cmake --preset "$preset"
  quietly "build/$preset-build.log" "${wrapper[@]}" \
    cmake --build --preset "$preset" -j "$jobs" ${1+--target "$@"}
}
wrapper=()  # of every build

# check PRESET CTEST_ARGUMENT...: counts the tests that ran; one that was skipped is a failure, and
# so is none at all.
check() {
  local preset=$1 log="build/$stage-test.log" total status=0
  shift
  # More at once than there are cores: most of a test's time it waits for its peer.
  ctest --preset "$preset" -j $((4 * jobs)) "$@" >"$log" 2>&1 || status=$?
  total=$(sed -n 's/^[0-9]*% tests passed, [0-9]* tests failed out of \([0-9]*\)$/\1/p' "$log")
  if ((status != 0)) || grep -q 'The following tests did not run' "$log"; then
    grep -vE '(Passed|Start +[0-9]+:) ' "$log" || true
    local failed
    failed=$(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests failed out of .*/\1/p' "$log")
    count $((${total:-0} - ${failed:-0}))
    return 1
  fi
  count "$total"
}

stage_format() {
  local files
  mapfile -t files < <(git ls-files --cached --others --exclude-standard -- '*.cpp' '*.hpp' |
    while read -r file; do [[ -e $file ]] && echo "$file"; done)
  ((${#files[@]} > 0)) || { echo "no sources found"; return 1; }
  local wrong
  wrong=$(clang-format --dry-run "${files[@]}" 2>&1 | sed -n 's/^\([^ :]*\):[0-9].*/\1/p' | sort -u)
  if [[ -n $wrong ]]; then
    echo "clang-format -i would change:"
    echo "$wrong"
    return 1
  fi
  count 1
}

stage_release() {
  build release
  check release -LE 'configure|install'
}

stage_clang() {
  build clang
  quietly build/clang-headers.log \
    cmake --build --preset clang -j "$jobs" --target all_verify_interface_header_sets
  check clang -R '^(unit|fuzz|attack\.core)\.'
}

stage_asan() {
  # The loops are what conformance is for; what peers send goes through the same code on each.
  # So are TLS and compression, but for who tells of a write: a loop of each kind has to do.
  build asan timtow-tests timtow-tls-tests timtow-attacks fuzz conformance faults echo-poll cat-poll \
    timtow-conformance-{poll,libuv}-{tls,deflate}
  check asan -R \
    '^(unit|fuzz|faults\.[a-z]+|conformance\.([a-z]+(-lent)?|(poll|libuv)-(tls|deflate))|interop\.poll|attack\.(core|poll))\.' \
    -E 'sequences? of (one and of two|three)'  # of bytes, all there are: for who is fast
}

stage_tsan() {
  # ThreadSanitizer of these compilers cannot map its memory where the kernel randomises more bits
  # of an address than they knew of.
  local wrapper=()
  if setarch --addr-no-randomize true 2>/dev/null; then
    wrapper=(setarch --addr-no-randomize)
  fi
  build tsan conformance
  check tsan -R '^conformance\.[a-z]+(-lent)?\.thread: '
}

stage_fuzz() {
  local log=build/fuzz-run.log minutes status=0
  minutes=$(awk -v seconds="$fuzz_seconds" 'BEGIN { print seconds / 60 }')
  mkdir -p build
  tests/fuzz/run.sh "$minutes" >"$log" 2>&1 || status=$?
  cat "$log"
  count "$(grep -c ' inputs$' "$log" || true)"
  return "$status"
}

stage_configure() {
  build release
  check release -L configure
}

stage_install() {
  build release
  check release -L install
}

stage_tidy() {
  quietly build/clang-configure.log cmake --preset clang
  local files option shallower=()
  mapfile -t files < <(find core adapters -name '*.cpp' | sort)
  # The analyser follows a function for a tenth of the paths that it would: a quarter of the time.
  for option in -Xclang -analyzer-config -Xclang max-nodes=20000; do
    shallower+=("-extra-arg=$option")
  done
  quietly build/tidy.log run-clang-tidy -quiet -p build/clang -j "$jobs" "${shallower[@]}" \
    "${files[@]/#/$PWD/}"
  count "${#files[@]}"
}

case "${1-}" in
  -h | --help)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit
    ;;
  --list)
    for stage in "${stages[@]}"; do printf '%-10s %s\n' "$stage" "${about[$stage]}"; done
    exit
    ;;
esac
chosen=("$@")
((${#chosen[@]} > 0)) || chosen=("${stages[@]}")
for stage in "${chosen[@]}"; do
  if [[ -z ${about[$stage]-} ]]; then
    echo "test.sh: there is no stage \"$stage\"; ./test.sh --list names them" >&2
    exit 2
  fi
done

cmake/install-packages.sh test

counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
passed() { awk '{ sum += $1 } END { print sum + 0 }' "$counts"; }

for stage in "${chosen[@]}"; do
  echo "== $stage: ${about[$stage]}"
  before=$(passed)
  start=$SECONDS
  status=0
  # A subshell of its own, not the condition of an if: there, set -e would not stop it.
  set +e
  (set -e; "stage_$stage")
  status=$?
  set -e
  took=$((SECONDS - start))
  if ((status != 0)); then
    echo "== $stage FAILED after $took s"
    echo "$(passed) passed, 1 stage failed: $stage"
    exit 1
  fi
  echo "   $(($(passed) - before)) passed, $took s"
done

if (($(passed) == 0)); then
  echo "test.sh: no test ran" >&2
  exit 1
fi
echo "$(passed) passed, 0 failed"
