#!/bin/sh
# Compiles every public header on its own, twice included, and sees that none of them leads to <torch/torch.h> or to all
# of ATen: a user's file pays for what its headers include.
# Usage: sh tests/headers.sh BUILD_FOLDER "COMPILER AND FLAGS" [HEADER ...]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$1/headers
command=$2
shift 2
mkdir -p "$work"
if [ $# = 0 ]; then
  cd "$root/include"
  # One process a header, two at a time; ccache makes a second run free.
  find vem -name '*.h' | sort | xargs -P 2 -n 1 sh "$root/tests/headers.sh" "$(dirname "$work")" "$command"
  echo "$(find vem -name '*.h' | wc -l) headers compile on their own"
  exit
fi
name=$(echo "$1" | tr / _)
printf '#include "%s"\n#include "%s"\n' "$1" "$1" >"$work/$name.cpp"
command -v ccache >/dev/null && command="ccache $command"
if ! $command -I "$root/include" -MD -MF "$work/$name.d" -c "$work/$name.cpp" -o "$work/$name.o"; then
  echo "$1 does not compile on its own" >&2
  exit 1
fi
if grep -oE '[^ ]*/(torch/torch|torch/all|ATen/ATen|torch/extension)\.h' "$work/$name.d"; then
  echo "$1 includes the above, which costs a user's file many seconds" >&2
  exit 1
fi
