#!/bin/sh
# Installs the packages of packages.txt that are missing, then builds in Release into build/.
# Usage: sh experiments/build.sh [TARGET ...]      (default target: vem). As root or with sudo; repeating it does no harm.
set -eu
cd "$(dirname "$0")/.."
sh experiments/install.sh

[ $# -gt 0 ] || set -- vem
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build --parallel 2 --target "$@"
