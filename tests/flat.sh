#!/bin/sh
# Whether a long training keeps its size: a VAE with validation, metrics and a checkpoint each epoch, while another
# process draws images from it every minute. Memory, open files and threads are looked at every ten seconds.
# Usage: sh tests/flat.sh [MINUTES]      (default 120, one thread; the build must be there)
# Exits with 1 if memory in the last quarter is over that of the second quarter by more than 1 % or 4 MiB, or if there
# are more files or threads.
set -eu
minutes=${1:-120}
root=$(cd "$(dirname "$0")/.." && pwd)
vem=${VEM:-$root/build/vem}
[ -x "$vem" ] || { echo "tests/flat.sh: there is no $vem; sh experiments/build.sh makes it" >&2; exit 66; }
work=$(mktemp -d)
process=
trap '[ -z "$process" ] || kill "$process" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"

"$vem" train vae --data fashion-mnist --set data.binarize=dynamic --set data.validation=0.1 --set train.batch_size=128 \
  --set train.epochs=1000000 --set train.max_minutes="$minutes" --threads 1 --out run >log 2>&1 &
process=$!
while kill -0 $process 2>/dev/null && ! [ -f run/checkpoints/last.safetensors ]; do sleep 1; done
started=$(date +%s)
while kill -0 $process 2>/dev/null; do
  # KiB, files, threads; nothing once the process is on its way out.
  line=$(awk '/^VmRSS/ { rss = $2 } /^Threads/ { threads = $2 } END { print rss, threads }' "/proc/$process/status" 2>/dev/null) || break
  files=$(find "/proc/$process/fd" -mindepth 1 2>/dev/null | wc -l)
  case $line in *[0-9]' '[0-9]*) echo "$(($(date +%s) - started)) $line $files" >>sizes ;; esac
  if [ $(($(wc -l <sizes) % 6)) = 1 ]; then "$vem" sample run -n 16 --seed 1 >>drawn 2>&1 || { cat drawn >&2; exit 1; }; fi
  sleep 10
done
wait $process || { cat log >&2; exit 1; }
process=
epochs=$(wc -l <run/metrics.jsonl 2>/dev/null || wc -l <run/metrics.csv)
awk -v epochs="$epochs" '
  { rss[NR] = $2; threads[NR] = $3; files[NR] = $4 }
  function mean(a, from, to, i, s) { for (i = from; i <= to; ++i) s += a[i]; return s / (to - from + 1) }
  function most(a, from, to, i, m) { m = a[from]; for (i = from; i <= to; ++i) if (a[i] > m) m = a[i]; return m }
  END {
    if (NR < 8) { print "too short: eight looks are wanted, at ten seconds each"; exit 1 }
    q = int(NR / 4)
    early = mean(rss, q + 1, 2 * q) / 1024; late = mean(rss, NR - q + 1, NR) / 1024
    f1 = most(files, q + 1, 2 * q); f2 = most(files, NR - q + 1, NR)
    t1 = most(threads, q + 1, 2 * q); t2 = most(threads, NR - q + 1, NR)
    printf "%d lines of metrics; second quarter: %.1f MiB, %d files, %d threads; last quarter: %.1f MiB, %d files, %d threads\n",
           epochs, early, f1, t1, late, f2, t2
    exit late > early * 1.01 || late > early + 4 || f2 > f1 || t2 > t1
  }' sizes
