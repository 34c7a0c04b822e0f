#!/bin/sh
# Installs the Debian packages of packages.txt, and those named, that are missing. As root or with sudo; repeating it
# does no harm.
# Usage: sh experiments/install.sh [PACKAGE ...]
set -eu
cd "$(dirname "$0")"

missing=
for package in $(grep -v '^#' packages.txt) "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
sudo=
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "install.sh: needs root or sudo to install:$missing" >&2; exit 77; }
  sudo=sudo
fi
echo "Installing:$missing"
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
