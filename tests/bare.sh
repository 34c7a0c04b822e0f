#!/bin/sh
# Runs the two commands of the README on a bare Debian 12: debootstrap's smallest system and git, in a chroot. No tool of
# a fuller machine is there to hide one that experiments/packages.txt lacks. As root; needs a network and 6 GB.
# Usage: sh tests/bare.sh [FOLDER [COMMAND ...]]      (25 minutes on two cores)
#   FOLDER    keeps the bare system for the next time, beside the one that was used last; default: a temporary folder
#   COMMAND   each is run in a clone of this tree's last commit; default: those of the README
# VEM_BARE_CCACHE names a folder for ccache to keep what it compiles.
set -eu
cd "$(dirname "$0")/.."
fail() { echo "tests/bare.sh: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "needs root"
if [ $# -gt 0 ]; then
  mkdir -p "$1"
  folder=$(cd "$1" && pwd)
  keep=yes
  shift
else
  folder=$(mktemp -d)
  keep=
fi
[ $# -gt 0 ] || set -- 'sh experiments/quickstart.sh' 'sh tests/run.sh'
root=$folder/root

unmount() {
  for mounted in "$root/ccache" "$root/dev/pts" "$root/proc"; do
    if mountpoint -q "$mounted"; then umount "$mounted" || fail "can not unmount $mounted"; fi
  done
}
clean() {
  unmount
  [ -n "$keep" ] || rm -rf --one-file-system "$folder"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

# What this machine's apt knows of Debian 12: one line a suite and component. Empty: debootstrap's own mirror, alone.
sources() {
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
    grep -E ' bookworm(-updates|-security)? main$' | sort -u
}

# The bare system, with the mirror, proxies and certificates by which this machine's apt works.
bootstrap() {
  sh experiments/install.sh debootstrap ca-certificates
  rm -rf --one-file-system "$folder/bare" "$folder/partial"
  suites=$(sources || true)
  mirror=$(echo "$suites" | sed -n 's/^deb \([^ ]*\) bookworm main$/\1/p' | head -1)
  # shellcheck disable=SC2086
  debootstrap --variant=minbase --include=git,ca-certificates bookworm "$folder/partial" $mirror >"$folder/debootstrap.log" ||
    { tail -20 "$folder/debootstrap.log" >&2; fail "debootstrap failed"; }
  if [ -n "$mirror" ]; then echo "$suites" >"$folder/partial/etc/apt/sources.list"; fi
  apt-config dump | grep '^Acquire::' | grep -v '^Acquire::IndexTargets' >"$folder/partial/etc/apt/apt.conf.d/90host" || true
  if [ -d /usr/local/share/ca-certificates ]; then
    cp -r /usr/local/share/ca-certificates/. "$folder/partial/usr/local/share/ca-certificates"
    chroot "$folder/partial" update-ca-certificates >/dev/null 2>&1
  fi
  mv "$folder/partial" "$folder/bare"
}

unmount  # of a run that was killed
[ -d "$folder/bare" ] || { echo "== a bare system"; bootstrap; }
rm -rf --one-file-system "$root"
cp -a "$folder/bare" "$root"
for file in resolv.conf hosts; do cp -L "/etc/$file" "$root/etc/$file"; done
mount -t proc proc "$root/proc"
mount -t devpts devpts "$root/dev/pts"
environment="PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root $(env | grep -iE '^(http|https|no)_proxy=' || true)"
if [ -n "${VEM_BARE_CCACHE:-}" ]; then
  mkdir -p "$VEM_BARE_CCACHE" "$root/ccache"
  mount --bind "$VEM_BARE_CCACHE" "$root/ccache"
  environment="$environment CCACHE_DIR=/ccache"
fi
git clone --quiet . "$root/root/vem"

for command in "$@"; do
  echo "== $command"
  # shellcheck disable=SC2086
  chroot "$root" env -i $environment sh -c "cd /root/vem && $command" || fail "'$command' failed"
done
