#!/bin/sh
# Shows what clang-format would change; `sh tests/format.sh -i` changes it. Versions differ in taste: it has to be 14.
set -eu
cd "$(dirname "$0")/.."
set -- "${1:---dry-run}"
command -v clang-format-14 >/dev/null || { echo "tests/format.sh: clang-format-14 is not here" >&2; exit 1; }
find include src models tests experiments -name '*.h' -o -name '*.cpp' | sort | xargs clang-format-14 "$1" -Werror
