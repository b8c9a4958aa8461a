#!/usr/bin/env bash
# Builds every backend that this machine has the library for, and compares them, with the same echo
# on raw TCP and with servers that are not timtow: ./compare.sh [--full | --quick] [OPTION...]
#
# Debian packages that are missing are installed first; of those of other servers, the ones that
# cannot be had are left out. The options are those of bench/compare.py, --help lists them.
set -euo pipefail
cd "$(dirname "$0")"

for argument; do
  case "$argument" in
    -h | --help) exec /usr/bin/python3 bench/compare.py --help ;;
  esac
done

cmake/install-packages.sh build
cmake/install-packages.sh peers || echo "Not all other servers can be installed: those are left out."
# Without the tests: they need more packages than a comparison does.
cmake --preset release -DTIMTOW_BUILD_TESTS=OFF
cmake --build --preset release -j "${TIMTOW_JOBS:-$(nproc)}"
exec /usr/bin/python3 bench/compare.py "$@"
