#!/usr/bin/env bash
# Everything at once on the echo server of each loop, for minutes: tests/soak.sh MINUTES [LOOP...]
#
# Prints a row of figures for each, and fails if an echo was wrong, if a server ended, or if it kept
# a descriptor or much memory. docs/reliability.md has the last ones.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ ! ${1-} =~ ^[0-9]+(\.[0-9]+)?$ ]]; then
  echo "usage: tests/soak.sh MINUTES [LOOP...]" >&2
  exit 2
fi
cmake/install-packages.sh build
cmake --preset release >/dev/null
cmake --build --preset release -j "${TIMTOW_JOBS:-$(nproc)}" >/dev/null
exec /usr/bin/python3 -B tests/soak/soak.py "$@"
