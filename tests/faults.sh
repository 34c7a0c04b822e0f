#!/bin/sh
# What a run survives: processes killed at random moments, signals, full and broken disks, folders that can not be
# written to or vanish. After each fault the run is resumed (or begun again where nothing was saved), and its last
# checkpoint must equal that of a run which nothing disturbed, bit for bit.
# Usage: sh tests/faults.sh [KILLS]      (default 200, about a quarter of an hour; the build must be there)
# Prints one line a kind of fault: tried, survived, lost. Exits with 1 if anything was lost.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
kills=${1:-200}
vem=${VEM:-$root/build/vem}
[ -x "$vem" ] || { echo "tests/faults.sh: there is no $vem; sh experiments/build.sh makes it" >&2; exit 66; }
work=$(mktemp -d)
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$work"' EXIT
cd "$work" || exit 73
export OMP_NUM_THREADS=1

# ---- data and models ----
awk 'BEGIN { srand(3); print "a,b,c"; for (i = 0; i < 3000; ++i) { k = i % 3 * 4; print rand() + k, rand() - k, rand() * 3 } }' >rows.csv
awk 'BEGIN { srand(4); print "a,b,c,d"; for (i = 0; i < 1500; ++i) { k = rand() < .5; print (rand() < .2 + .6 * k) "," (rand() < .8 - .6 * k) "," (rand() < .5) "," k } }' >bits.csv
awk 'BEGIN { srand(5); for (d = 0; d < 300; ++d) { t = d % 3 * 5; for (i = 0; i < 20; ++i) { c = substr("abcdefghijklmnop", t + 1 + int(rand() * 6), 1); printf "%s%s%s ", c, c, c } print "" } }' >words.txt
sed 's/ /,/g' rows.csv >t && mv t rows.csv
small='--set model.latent_dim=2 --set model.encoder.widths=[16] --set model.decoder.widths=[16]'
models='gmm memoised gibbs hmm lda vae vade'
options() {
  case $1 in
    gmm) echo "gmm --data rows.csv --set model.num_components=6 --set train.epochs=150" ;;
    memoised) echo "gmm --data rows.csv --set model.num_components=6 --set train.batch_size=300 --set train.memoised=true --set train.epochs=40" ;;
    gibbs) echo "gmm --data rows.csv --set model.num_components=3 --set model.estimate=gibbs --set train.burn_in=5 --set train.epochs=200" ;;
    hmm) echo "hmm --data rows.csv --set model.num_components=4 --set train.epochs=100" ;;
    lda) echo "lda --data words.txt --set model.num_topics=3 --set train.epochs=60" ;;
    vae) echo "vae --data bits.csv $small --set train.batch_size=50 --set train.epochs=12" ;;
    vade) echo "vade --data bits.csv $small --set model.prior.num_components=3 --set train.batch_size=50 --set train.epochs=10" ;;
  esac
}
# Every pass is made, so that all runs of a model are equally long.
fixed() {
  case $1 in gmm|memoised|hmm|lda) echo "--set train.tolerance=0" ;; esac
}
launch() {  # MODEL FOLDER: becomes the program, so that a signal to this process reaches it
  # shellcheck disable=SC2046
  exec "$vem" train $(options "$1") $(fixed "$1") --threads 1 --seed 1 --out "$2" --force
}
begin() { (launch "$@"); }
# Resumes until the run is complete; begins it again where no checkpoint was written.
finish() {  # MODEL FOLDER
  if [ -f "$2/checkpoints/last.safetensors" ]; then "$vem" train --resume "$2"; else begin "$1" "$2"; fi >>log 2>&1
}
same() { cmp -s "reference/$1/checkpoints/last.safetensors" "$2/checkpoints/last.safetensors"; }

tried=0; lost=0
report() { printf '%-34s tried %4d   survived %4d   lost %4d\n' "$1" "$tried" $((tried - lost)) "$lost"; all=$((all + lost)); tried=0; lost=0; }
judge() {  # MODEL FOLDER WHAT: the run is finished and compared
  tried=$((tried + 1))
  if finish "$1" "$2" && same "$1" "$2" && [ -z "$(find "$2" -name '*.vem-tmp')" ]; then rm -rf "$2"; return; fi
  lost=$((lost + 1))
  echo "lost: $3 of $1" >&2
  tail -2 log >&2
  rm -rf "$2"
}
all=0
mkdir reference
for model in $models; do
  begin "$model" "reference/$model" >log 2>&1 || { cat log >&2; exit 1; }
done

# ---- killed at a random moment ----
n=0
while [ $n -lt "$kills" ]; do
  for model in $models; do
    [ $n -lt "$kills" ] || break
    launch "$model" run >log 2>&1 &
    process=$!
    sleep "$(awk -v n=$n 'BEGIN { srand(n); print .2 + 1.6 * rand() }')"
    kill -KILL $process 2>/dev/null
    wait $process 2>/dev/null
    judge "$model" run "kill $n"
    n=$((n + 1))
  done
done
report "killed at a random moment"

# ---- asked to stop ----
for model in $models; do
  for signals in TERM INT "INT INT" "TERM TERM"; do
    launch "$model" run >log 2>&1 &
    process=$!
    sleep 1
    for signal in $signals; do kill -"$signal" $process 2>/dev/null; sleep .02; done
    wait $process 2>/dev/null
    judge "$model" run "signals $signals"
  done
  # shellcheck disable=SC2046
  "$vem" train $(options "$model") $(fixed "$model") --threads 1 --seed 1 --out run --set train.max_minutes=0.002 >log 2>&1
  sed -i 's/^max_minutes.*/max_minutes = 0/' run/config.toml
  tried=$((tried + 1))
  if "$vem" train --resume run --set train.max_minutes=0 >>log 2>&1 && [ -f run/checkpoints/last.safetensors ]; then :; else lost=$((lost + 1)); fi
  rm -rf run
done
report "signals and time limits"

# ---- full and broken disks, by a library that is preloaded ----
cc=${CC:-cc}
command -v "$cc" >/dev/null || cc=gcc
"$cc" -shared -fPIC -O1 -o faulty_io.so "$root/tests/support/faulty_io.c" -ldl || exit 1
for model in gmm memoised gibbs vae; do
  for call in write fsync rename; do
    kinds='ENOSPC EIO'
    [ $call = write ] && kinds="$kinds EINTR SHORT"
    for kind in $kinds; do
      for at in 1 2 3 4 5 7 9 12; do
        rm -f came
        (
          export FAULT_CALL=$call FAULT_KIND=$kind FAULT_AT=$at "FAULT_LOG=$work/came" "LD_PRELOAD=$work/faulty_io.so"
          launch "$model" run
        ) >log 2>&1
        code=$?
        [ -f came ] || { rm -rf run; break; }
        case $kind in EINTR|SHORT) wanted=0 ;; *) wanted=73 ;; esac
        if [ $call$kind = fsyncEINTR ]; then wanted=0; fi
        if [ $code != $wanted ]; then
          tried=$((tried + 1)); lost=$((lost + 1)); echo "$kind at $call $at of $model: exit $code" >&2; tail -1 log >&2; rm -rf run
        else
          judge "$model" run "$kind at $call $at"
        fi
      done
    done
  done
done
report "injected faults of the disk"

# ---- folders ----
if [ "$(id -u)" = 0 ] && mkdir disk && mount -t tmpfs -o size=64k tmpfs disk 2>/dev/null; then
  mounted=$work/disk
  for model in gmm memoised vae; do
    for keep in 0 8 16 24 32 40 48; do
      head -c ${keep}k /dev/zero >disk/filler
      begin "$model" disk/run >log 2>&1
      rm -f disk/filler
      umount disk && mount -t tmpfs -o size=64k tmpfs disk
      tried=$((tried + 1))
      grep -q 'No space left\|is the disk full\|The run is in' log || { lost=$((lost + 1)); tail -1 log >&2; }
    done
  done
  mount -o remount,ro disk
  begin gmm disk/run >log 2>&1; code=$?
  tried=$((tried + 1)); [ $code = 73 ] || lost=$((lost + 1))
  umount disk && mounted=
fi
for model in gmm vae; do
  launch "$model" run >log 2>&1 &
  process=$!
  sleep 1.2
  rm -rf run
  wait $process; code=$?
  tried=$((tried + 1)); [ $code = 73 ] || [ $code = 0 ] || { lost=$((lost + 1)); tail -1 log >&2; }
  rm -rf run
done
report "full, read-only, vanished folders"
[ $all = 0 ]
