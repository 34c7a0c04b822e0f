#!/bin/sh
# Installs what is missing, builds everything and runs every test. As root or with sudo, on Debian 12.
set -eu
cd "$(dirname "$0")/.."
sh experiments/build.sh all
ctest --test-dir build --output-on-failure "$@"
