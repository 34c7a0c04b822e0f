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

# A class that a source file keeps to itself is in an anonymous namespace, or in that of its test, unless a header
# declares it.
find src models tests -name '*.cpp' ! -path 'tests/package/*' | sort | xargs awk '
  FNR == 1 { anonymous = 0 }
  /^namespace ([a-z_0-9]+_test )?\{/ { anonymous = 1 }
  /^}  \/\/ namespace( [a-z_0-9]+_test)?$/ { anonymous = 0 }
  !anonymous && /^(template <.*> *)?(class|struct|union|enum|enum class) [A-Za-z_0-9]+( final)?( : .*)? \{/ {
    sub(/^template <.*> */, ""); sub(/^enum class/, "enum"); print $2, FILENAME ":" FNR }' |
  while read -r name place; do
    grep -rqE --include='*.h' "(class|struct|enum) $name( : [a-z0-9_]+)?;" include src models tests ||
      echo "$place: $name is in no anonymous namespace, and no header declares it"
  done >>"$found"

# Several sources of a layer may be compiled together (VEM_UNITY), in batches that move as files come and go. So what they
# keep to themselves has names of its own within the layer; functions may be overloads of each other. (Tests have a
# namespace each.)
for layer in src/core src/data src/dist src/infer src/train models src/cli tests/support; do
  find "$layer" -name '*.cpp' | sort | xargs awk -v layer="$layer" '
    FNR == 1 { anonymous = 0 }
    /^namespace \{/ { anonymous = 1 }
    /^}  \/\/ namespace$/ { anonymous = 0 }
    !anonymous || /^[ #}\/]/ { next }
    match($0, /^(class|struct|enum class|enum) [A-Za-z_0-9]+/) { see(substr($0, RSTART, RLENGTH)); next }
    /^(static |constexpr |const |std::|int|double|bool|uint|char |thread_local )/ && match($0, /[A-Za-z_][A-Za-z_0-9]*(\[[^]]*\])?( = |\{|;)/) {
      name = substr($0, RSTART, RLENGTH); sub(/[^A-Za-z_0-9].*/, "", name); see(name) }
    function see(name) {
      sub(/^(class|struct|enum class|enum) /, "", name)
      if (name in file && file[name] != FILENAME) print layer ": " name " is in " file[name] " and in " FILENAME
      file[name] = FILENAME
    }' >>"$found"
done

if [ -s "$found" ]; then
  cat "$found" >&2
  exit 1
fi
echo "every name has one definition"
