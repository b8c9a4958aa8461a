#!/usr/bin/env bash
# Builds every backend that this machine has the library for, starts the same echo server on each,
# and compares them: ./compare.sh [--quick]
#
# Debian packages that are missing are installed first. The arguments are those of
# bench/compare.py.
set -euo pipefail
cd "$(dirname "$0")"

case "${1-}" in
  -h | --help) exec /usr/bin/python3 bench/compare.py --help ;;
esac

cmake/install-packages.sh build
# Without the tests: they need more packages than a comparison does.
cmake --preset release -DTIMTOW_BUILD_TESTS=OFF
cmake --build --preset release -j "${TIMTOW_JOBS:-$(nproc)}"
exec /usr/bin/python3 bench/compare.py "$@"
