#!/bin/sh
# Hidden Markov models on public sequences. Usage: sh experiments/hmm/run.sh DATA [VEM], where DATA is a folder with the
# files EuStockMarkets.csv (daily prices), mocap6-sensor_data_per_tstep.csv, mocap6-actions_per_tstep.csv,
# poly-JSB_Chorales-{train,test}.txt.gz and human-chr3.42M.fa.gz. Results go to runs/hmm/.
set -e
data=$1
vem=${2:-build/vem}
here=$(dirname "$0")
if [ ! -d "$data" ]; then
  echo "usage: sh experiments/hmm/run.sh DATA [VEM]" >&2
  exit 64
fi
mkdir -p runs/hmm
python3 "$here/returns.py" "$data/EuStockMarkets.csv" > runs/hmm/returns.csv
for name in eustock mocap6 jsb dna; do
  case $name in
    eustock) source=runs/hmm/returns.csv ;;
    mocap6) source=$data/mocap6-sensor_data_per_tstep.csv ;;
    jsb) source=$data/poly-JSB_Chorales-train.txt.gz ;;
    dna) source=$data/human-chr3.42M.fa.gz ;;
  esac
  "$vem" train "$here/$name.toml" --data "$source" --out runs/hmm/$name --force
  "$vem" evaluate runs/hmm/$name
done
"$vem" evaluate runs/hmm/jsb --data "$data/poly-JSB_Chorales-test.txt.gz"
"$vem" encode runs/hmm/mocap6 --out runs/hmm/mocap6.csv
python3 "$here/states.py" runs/hmm/mocap6.csv "$data/mocap6-actions_per_tstep.csv"
