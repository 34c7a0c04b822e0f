#!/bin/sh
# Every test under AddressSanitizer and UndefinedBehaviourSanitizer, in Debug with asserts; and the tests that have
# threads or ranks under ThreadSanitizer. By clang 14.
# Usage: sh tests/sanitize.sh [memory] [threads]      (default: both, about an hour on two cores)
#   SANITIZE_FILTER in the environment: a --gtest_filter for a part of the tests; SANITIZE_JOBS: compilers at a time.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- memory threads
sh experiments/install.sh clang-14 libclang-rt-14-dev libomp-14-dev llvm-14
export ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-14

# tcmalloc would take the place of the sanitizers' own malloc. LibTorch's headers are not ours to mend.
build() {  # FOLDER FLAGS
  cmake -S . -B "$1" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DVEM_UNITY=ON -DVEM_MALLOC= -DCMAKE_CXX_COMPILER=clang++-14 \
    -DCMAKE_CXX_FLAGS_DEBUG="-gline-tables-only -O1" \
    -DCMAKE_CXX_FLAGS="$2 -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS" >/dev/null
  cmake --build "$1" --parallel "${SANITIZE_JOBS:-2}"
}

memory() {
  build build-asan "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-sanitize=vptr"
  export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1:allocator_may_return_null=1
  export UBSAN_OPTIONS=print_stacktrace=1
  export LSAN_OPTIONS=suppressions="$PWD/tests/suppressions/lsan.txt":print_suppressions=0
  for layer in core data dist infer train models cli; do
    echo "-- memory: $layer"
    OMP_NUM_THREADS=1 "build-asan/tests/${layer}_test" --gtest_brief=1 --gtest_filter="${SANITIZE_FILTER:-*}"
  done
}

threads() {
  build build-tsan -fsanitize=thread
  # The tests whose names speak of threads, ranks, shards or of restarts side by side.
  filter='*Thread*:*Rank*:*Shard*:*SideBySide*:*Lock*'
  export TSAN_OPTIONS=ignore_noninstrumented_modules=1  # LibTorch and its OpenMP know nothing of ThreadSanitizer
  for layer in core infer train models cli; do
    echo "-- threads: $layer"
    "build-tsan/tests/${layer}_test" --gtest_brief=1 --gtest_filter="${SANITIZE_FILTER:-$filter}"
  done
}

for part in "$@"; do
  $part
done
echo "nothing was found"
