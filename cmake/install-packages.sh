#!/usr/bin/env bash
# Installs the Debian packages that are missing: cmake/install-packages.sh build|peers|test
#
#   build   to build every backend and to run ./compare.sh
#   peers   the servers of others, which ./compare.sh compares as well
#   test    both, and what ./test.sh needs
#
# When nothing is missing it changes nothing, and needs neither apt nor root.
set -euo pipefail

build=(
  g++ cmake ninja-build ccache pkg-config
  libuv1-dev libevent-dev libev-dev libasio-dev libssl-dev zlib1g-dev libbenchmark-dev
  python3 python3-websockets
  libjs-chart.js
)
peers=(
  libboost-dev libwebsocketpp-dev libwebsockets-dev nodejs node-ws
  libmojolicious-perl libanyevent-perl libev-perl libio-async-perl libpoe-perl
  libprotocol-websocket-perl
)
test=(
  clang clang-format clang-tidy libclang-rt-14-dev llvm git
  doctest-dev python3-prometheus-client python3-wsproto
  chromium chromium-driver python3-selenium
  curl haproxy nginx-light openssl tinyproxy
  valgrind
)

case "${1-}" in
  build) wanted=("${build[@]}") ;;
  peers) wanted=("${peers[@]}") ;;
  test) wanted=("${build[@]}" "${peers[@]}" "${test[@]}") ;;
  *)
    echo "usage: cmake/install-packages.sh build|peers|test" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
  echo "This is not Debian, so nothing is installed. What is needed, by Debian's names: ${wanted[*]}"
  exit 0
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  exit 0
fi

echo "Debian packages that are missing: ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "There is no apt-get here to install them: install what your system calls them." >&2
  exit 1
fi
sudo=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "Installing them needs root, and there is no sudo: run as root" >&2
    echo "  apt-get install ${missing[*]}" >&2
    exit 1
  fi
  sudo=(sudo)
fi
"${sudo[@]}" apt-get update -q
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -q -y --no-install-recommends "${missing[@]}"
