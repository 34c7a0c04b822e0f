#!/bin/sh
# Installs vem into an empty folder, builds the programs beside this file against it and runs them.
# Usage: sh tests/package/run.sh BUILD_FOLDER [C++ COMPILER]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
compiler=${2:-c++}
work=$build/package  # the same at every run, so that ccache knows what it compiled before
rm -rf "$work"
mkdir "$work"
fail() { echo "tests/package/run.sh: $*" >&2; exit 1; }
expect() { grep -q -e "$1" "$2" || { cat "$2" >&2; fail "no '$1' in $2"; }; }

# DESTDIR and another prefix than the configured one; that it is used from where it was staged shows that it may move.
DESTDIR=$work/stage cmake --install "$build" --prefix /opt/vem >"$work/install.log"
prefix=$work/stage/opt/vem
"$prefix/bin/vem" info >"$work/info"
expect '^LibTorch' "$work/info"
if grep -q '^warning' "$work/info"; then cat "$work/info" >&2; fail "the installed program found a slow BLAS"; fi

set -- -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Release
if command -v ccache >/dev/null; then set -- "$@" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
cmake -S "$here" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" "$@" >"$work/configure.log"
cmake --build "$work/build" --parallel 2 >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; fail "does not build"; }
if grep -q 'warning:' "$work/build.log"; then cat "$work/build.log" >&2; fail "warnings from the headers of vem"; fi

# As a part of another project. This only configures; to build it is to build all of vem again: tests/long.sh does.
mkdir "$work/project"
cat >"$work/project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.18)
project(both LANGUAGES CXX)
add_subdirectory($here/../.. vem)
add_subdirectory($here programs)
END
cmake -S "$work/project" -B "$work/along" "$@" >"$work/along.log"

# The same in the words of a compiler.
if command -v pkg-config >/dev/null; then
  PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name vem.pc)")
  export PKG_CONFIG_PATH
  # shellcheck disable=SC2046
  "$compiler" "$here/own_model/main.cpp" "$(find "$work/build" -name 'exponential_mixture.cpp.o' | head -1)" \
    $(pkg-config --cflags --libs vem) -o "$work/by_pkg_config"
  "$work/by_pkg_config" list model >"$work/list"
  expect exponential-mixture "$work/list"
else
  echo "skipped: there is no pkg-config here"
fi

# As a library.
"$work/build/fit_without_command_line" >"$work/fit"
expect '^gmm: converged' "$work/fit"
expect 'differ: yes' "$work/fit"
for model in gmm exponential-mixture; do  # ranks change nothing that six digits show
  bounds=$(sed -n "s/^$model, . rank(s): bound //p" "$work/fit")
  [ "$(echo "$bounds" | wc -l)" = 2 ] && [ "$(echo "$bounds" | sort -u | wc -l)" = 1 ] || fail "$model: bounds $bounds"
done

# The whole command line, with a model of someone else's.
vem=$work/build/vem_with_exponentials
cd "$work"
$vem list model >list
expect '^  vae ' list
expect '^  exponential-mixture ' list
$vem describe exponential-mixture >describe
expect 'model.num_components = 2' describe
# Quantiles of two exponentials with means 1 and 20.
awk 'BEGIN { print "wait"; for (i = 0; i < 400; ++i) { q = -log(1 - (int(i / 2) + .5) / 200); print i % 2 ? 20 * q : q } }' >times.csv
train() { $vem train exponential-mixture --data times.csv --threads 1 --seed 3 "$@" >train.log 2>&1 || { cat train.log >&2; fail "train $*"; }; }

# One component has its optimum in closed form: rate 1 / mean, log-likelihood -1 - log(mean). 400 full steps of Adam
# at 0.03 bring it to five digits.
train --out one --set model.num_components=1 --set train.batch_size=0 --set train.epochs=400
$vem evaluate one --split train >evaluate
expect log-likelihood evaluate
awk 'NR == FNR { if (FNR > 1) { sum += $1; ++n } next }
     /"log_likelihood":/ { sub(/.*: /, ""); off = $0 + 1 + log(sum / n); found = off * off < 1e-10 }
     END { exit !found }' times.csv one/evaluation.json || { cat one/evaluation.json >&2; fail "not at the optimum"; }

train --out whole --set train.epochs=6
train --out part --set train.epochs=3
$vem train --resume part --set train.epochs=6 >resume.log 2>&1 || { cat resume.log >&2; fail resume; }
cmp whole/checkpoints/last.safetensors part/checkpoints/last.safetensors || fail "a resumed run differs"
$vem encode whole --split train --out responsibilities.csv >/dev/null
expect '^responsibilities_0,responsibilities_1$' responsibilities.csv
[ "$(wc -l <responsibilities.csv)" = 401 ] || fail "encode wrote $(wc -l <responsibilities.csv) lines"
$vem evaluate whole --split train >/dev/null
$vem export whole --format safetensors >/dev/null
$vem export whole --format torchscript --out model.pt >/dev/null
if /usr/bin/python3 -c 'import torch; torch.jit.load("model.pt")' 2>/dev/null; then
  /usr/bin/python3 - <<'END'
import csv, json, torch
model = torch.jit.load("model.pt")
x = torch.tensor([[float(row["wait"])] for row in csv.DictReader(open("times.csv"))], dtype=torch.float64)
wanted = json.load(open("whole/evaluation.json"))["log_likelihood"]
assert abs(model.log_prob(x).mean().item() - wanted) < 1e-9, (model.log_prob(x).mean(), wanted)
assert (model.responsibilities(x[:7]).sum(1) - 1).abs().max() < 1e-12
END
else
  echo "skipped: no Python with a LibTorch that reads the exported file"
fi
echo "the package works"
