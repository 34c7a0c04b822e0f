#!/bin/sh
# What takes too long for run.sh. Stops at the first thing that fails.
# Usage: sh tests/long.sh [PART ...]      (default: all parts, more than an hour on two cores)
#   clang    every test with clang 14, whose warnings are errors here
#   tidy     clang-tidy on every source, by .clang-tidy
#   part     vem as a part of another project, by add_subdirectory
#   torch    every test with LibTorch 2.9.1 (C++17) and 2.15.0 (C++20)
#   bare     the commands of the README on a bare Debian 12, in a chroot; as root
#   draws    Geweke's test and recovery with many draws and seeds; every combination of factors and algorithms
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- clang tidy part torch bare draws

# Also what clang-tidy reads: it shares the precompiled header of a build with clang.
configure_clang() {
  sh experiments/install.sh clang-14 clang-tidy-14 libomp-14-dev
  cmake -S . -B build-clang -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++-14 \
    -DCMAKE_CXX_FLAGS=-Werror >/dev/null
}

clang() {
  configure_clang
  cmake --build build-clang --parallel 2
  ctest --test-dir build-clang --output-on-failure
}

tidy() {
  configure_clang
  cmake --build build-clang --parallel 2 --target vem_core  # makes the precompiled header
  find src models tests -name '*.cpp' ! -path 'tests/package/*' | sort |
    xargs -P 2 -n 4 clang-tidy-14 -p build-clang --quiet --warnings-as-errors='*'
}

part() {
  cmake --build build --parallel 2 --target vem
  sh tests/package/run.sh build
  cmake --build build/package/along --parallel 2
  build/package/along/programs/fit_without_command_line | cmp - build/package/fit
}

torch() {
  sh tests/libtorch2.sh 2.9.1
  sh tests/libtorch2.sh 2.15.0
}

bare() {
  sh tests/bare.sh
}

draws() {
  cmake --build build --parallel 2 --target models_test
  VEM_LONG=1 build/tests/models_test --gtest_brief=1 --gtest_filter='Geweke.*:Recovery.*:Combination/*'
}

for stage in "$@"; do
  echo "== $stage"
  $stage
done
