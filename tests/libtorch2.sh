#!/bin/sh
# Builds vem against the LibTorch of a Python package, in build-torch-VERSION, and runs every test: the same sources.
# Usage: sh tests/libtorch2.sh 2.15.0 [ARGUMENTS OF CTEST]      (fetches 600 to 900 MB once)
# VEM_WHEELS names a folder that keeps what was fetched; CXX the compiler.
set -eu
cd "$(dirname "$0")/.."
version=$1
shift
build=build-torch-$version
wheels=${VEM_WHEELS:-$build/wheels}
site=$build/site
pip() { /usr/bin/python3 -m pip --quiet --disable-pip-version-check "$@"; }
# Packages without what Python alone would need.
add() {
  pip download --no-deps --dest "$wheels" "$@"
  pip install --no-deps --no-compile --no-index --find-links "$wheels" --target "$site" "$@"
}

sh experiments/install.sh python3-pip
if [ ! -e "$site/complete" ]; then
  mkdir -p "$wheels"
  rm -rf "$site"
  add "torch==$version"
  # libtorch_cpu names two small libraries of NVIDIA that it never calls here.
  major=$(readelf -d "$site/torch/lib/libtorch_cpu.so" | sed -n 's/.*\[libcudart\.so\.\([0-9]*\).*/\1/p')
  suffix=
  if [ "$major" = 12 ]; then suffix=-cu12; fi
  add "nvidia-cuda-runtime$suffix==$major.*" "nvidia-cuda-cupti$suffix==$major.*"
  touch "$site/complete"
fi

# Some tests want the same bits on any number of threads; of MKL this must be asked.
export MKL_CBWR="${MKL_CBWR:-AUTO,STRICT}"
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DVEM_TORCH="$PWD/$site/torch" | grep LibTorch
cmake --build "$build" --parallel 2
ctest --test-dir "$build" --output-on-failure "$@"
