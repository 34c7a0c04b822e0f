#!/bin/sh
# Hidden Markov models on public sequences. Usage: sh experiments/hmm/run.sh DATA [NAME ...], where the folder DATA/seq has
# the files EuStockMarkets.csv (daily prices), mocap6-sensor_data_per_tstep.csv, mocap6-actions_per_tstep.csv,
# poly-JSB_Chorales-{train,test}.txt.gz and human-chr3.42M.fa.gz, and NAMEs are some of eustock, mocap6, jsb, dna (all).
# VEM names the program (build/vem). Results and what the training said go to runs/hmm/.
set -e
data=$1
vem=${VEM:-build/vem}
here=$(dirname "$0")
if [ ! -d "$data" ]; then
  echo "usage: sh experiments/hmm/run.sh DATA [NAME ...]" >&2
  exit 64
fi
shift
mkdir -p runs/hmm

train() {
  echo "$1: vem train experiments/hmm/$1.toml --data $2"
  "$vem" train "$here/$1.toml" --data "$2" --out "runs/hmm/$1" --force > "runs/hmm/$1.log" 2>&1 || {
    tail -5 "runs/hmm/$1.log" >&2
    exit 1
  }
  grep Stopped "runs/hmm/$1.log"
  "$vem" evaluate "runs/hmm/$1"
}

for name in ${*:-eustock mocap6 jsb dna}; do
  case $name in
    eustock)
      /usr/bin/python3 "$here/returns.py" "$data/seq/EuStockMarkets.csv" > runs/hmm/returns.csv
      train eustock runs/hmm/returns.csv
      "$vem" describe runs/hmm/eustock
      ;;
    mocap6)
      train mocap6 "$data/seq/mocap6-sensor_data_per_tstep.csv"
      "$vem" encode --force runs/hmm/mocap6 --method predict --out runs/hmm/mocap6.csv
      /usr/bin/python3 "$here/states.py" runs/hmm/mocap6.csv "$data/seq/mocap6-actions_per_tstep.csv"
      ;;
    jsb)
      train jsb "$data/seq/poly-JSB_Chorales-train.txt.gz"
      "$vem" evaluate runs/hmm/jsb --data "$data/seq/poly-JSB_Chorales-test.txt.gz"
      ;;
    dna)
      train dna "$data/seq/human-chr3.42M.fa.gz"
      "$vem" describe runs/hmm/dna
      ;;
    *)
      echo "$name: eustock, mocap6, jsb or dna is expected" >&2
      exit 64
      ;;
  esac
done
