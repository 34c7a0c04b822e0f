#!/bin/sh
# Feeds damaged files to every reader: libFuzzer under AddressSanitizer and UndefinedBehaviourSanitizer, in a build of
# its own by clang (build-fuzz/, or $VEM_FUZZ_BUILD). A finding is a crash, an exception that is no vem::Error, an input
# that takes 20 s or more than 2 GiB; its file is kept in build-fuzz/found/HARNESS. Once it is mended, put the file into
# tests/fuzz/findings/HARNESS, where the ordinary tests read it. Exits with 1 if there was a finding.
# Usage: sh tests/fuzz/run.sh [SECONDS] [HARNESS ...]      (default: 600 seconds each, every harness)
set -eu
cd "$(dirname "$0")/../.."
sh experiments/install.sh clang-14 libclang-rt-14-dev libomp-14-dev
seconds=600
case ${1:-} in [0-9]*) seconds=$1; shift ;; esac
build=${VEM_FUZZ_BUILD:-build-fuzz}
compiler=${VEM_FUZZ_COMPILER:-clang++-14}
# The type information of LibTorch's classes, which -fsanitize=vptr would need, is not all there.
flags="-g1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=vptr,function"
cmake -S . -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Release -DVEM_BUILD_FUZZERS=ON \
  -DCMAKE_CXX_FLAGS="$flags -fno-sanitize-recover=all -D_GLIBCXX_ASSERTIONS" -DCMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG" \
  >/dev/null
programs=
for source in core data infer train models cli; do
  [ -f "tests/fuzz/$source.cpp" ] && programs="$programs fuzz_$source"
done
# shellcheck disable=SC2086
cmake --build "$build" --parallel "${VEM_FUZZ_JOBS:-2}" --target $programs

memory=/dev/shm
[ -w "$memory" ] || memory=/tmp
TMPDIR=$(mktemp -d "$memory/vem-fuzz-XXXXXX")
export TMPDIR OMP_NUM_THREADS=1
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=0:handle_sigbus=0 UBSAN_OPTIONS=print_stacktrace=1
trap 'rm -rf "$TMPDIR"' EXIT
failed=0
for program in $programs; do
  for name in $("$build/tests/fuzz/$program"); do
    case " $* " in "  " | *" $name "*) ;; *) continue ;; esac
    corpus=$build/corpus/$name found=$build/found/$name
    mkdir -p "$corpus" "$found" "$TMPDIR/seeds"
    VEM_FUZZ_HARNESS=$name VEM_FUZZ_SEEDS=$TMPDIR/seeds "$build/tests/fuzz/$program"
    log=$build/$name.log
    VEM_FUZZ_HARNESS=$name "$build/tests/fuzz/$program" "$corpus" "$TMPDIR/seeds" \
      $(ls -d "tests/fuzz/findings/$name" 2>/dev/null || true) -artifact_prefix="$found/" -max_total_time="$seconds" \
      -timeout=20 -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 >"$log" 2>&1 || true
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    findings=$(find "$found" -type f | wc -l)
    echo "$name: ${runs:-?} runs, $findings findings"
    if [ "$findings" != 0 ] || [ -z "$runs" ]; then
      failed=1
      grep -m 3 -E 'ERROR|runtime error|terminate called|what\(\)' "$log" | cut -c1-200 | sed 's/^/  /' || true
    fi
    rm -rf "$TMPDIR/seeds"
  done
done
exit $failed
