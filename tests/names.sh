#!/bin/sh
# One name, one definition, in everything that a program can link: two classes of one name in a namespace are undefined
# behaviour, and neither compiler nor linker says so. The target vem_all_headers sees to classes in headers: it includes
# them all in one file. This is about what headers do not show.
# Usage: sh tests/names.sh BUILD_FOLDER
set -eu
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
found=$(mktemp)
trap 'rm -f "$found"' EXIT

# Of archives a linker takes the first object that has a symbol, and never sees a second definition in another one. Weak
# data (virtual tables, type information) may be in many objects, but then it is the same, so of one size.
nm -A -S --defined-only "$build"/libvem_*.a "$build"/tests/libvem_test_support.a | grep 3vem |
  awk 'NF == 4 && $3 ~ /^[TDBR]$/ && object[$4]++ { print "defined twice: " $4 }
       NF == 4 && $3 == "V" { if ($4 in size && size[$4] != $2) print "of two sizes: " $4; size[$4] = $2 }' |
  c++filt | sort -u >"$found"

# A class that a source file keeps to itself is in an anonymous namespace, unless a header declares it.
find src models tests -name '*.cpp' ! -path 'tests/package/*' | sort | xargs awk '
  FNR == 1 { anonymous = 0 }
  /^namespace \{/ { anonymous = 1 }
  /^}  \/\/ namespace$/ { anonymous = 0 }
  !anonymous && /^(template <.*> *)?(class|struct|union|enum|enum class) [A-Za-z_0-9]+( final)?( : .*)? \{/ {
    sub(/^template <.*> */, ""); sub(/^enum class/, "enum"); print $2, FILENAME ":" FNR }' |
  while read -r name place; do
    grep -rqE --include='*.h' "(class|struct|enum) $name( : [a-z0-9_]+)?;" include src models tests ||
      echo "$place: $name is in no anonymous namespace, and no header declares it"
  done >>"$found"

if [ -s "$found" ]; then
  cat "$found" >&2
  exit 1
fi
echo "every name has one definition"
