#!/bin/sh
# Installs the packages of packages.txt that are missing, then builds in Release into build/.
# Usage: sh experiments/build.sh [TARGET ...]      (default target: vem). As root or with sudo; repeating it does no harm.
set -eu
cd "$(dirname "$0")/.."

missing=
for package in $(grep -v '^#' experiments/packages.txt); do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  sudo=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "build.sh: needs root or sudo to install:$missing" >&2; exit 77; }
    sudo=sudo
  fi
  echo "Installing:$missing"
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

[ $# -gt 0 ] || set -- vem
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build --parallel 2 --target "$@"
