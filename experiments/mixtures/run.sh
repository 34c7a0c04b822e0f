#!/bin/sh
# Mixtures of normals on three public tables; README.md says where each is from.
# Usage: sh experiments/mixtures/run.sh DATA [stars] [flow] [penguins]     (default: all three)
# DATA is a folder whose subfolder tab holds hipparcos-tycho-stars.csv.gz, flow-GvHD.pos.csv, flow-GvHD.control.csv and penguins.csv; VEM in
# the environment is the program. Results go to runs/mixtures/.
set -eu
if [ $# -eq 0 ] || [ ! -d "$1" ]; then
  echo "usage: sh experiments/mixtures/run.sh DATA [stars] [flow] [penguins]" >&2
  exit 64
fi
data=$1
shift
[ $# -gt 0 ] || set -- stars flow penguins
vem=${VEM:-build/vem}
here=$(dirname "$0")
mkdir -p runs/mixtures

# Chooses the number of components of TABLE by ELBO + ln K!, fits that many, and prints them.
choose() { # NAME TABLE COLUMNS RANGE
  "$vem" select gmm --data "$2" --components "$4" --set "data.columns=\"$3\"" --set train.acceleration=squarem \
    --set train.epochs=1000 --set model.restarts=5 --force --out "runs/mixtures/$1.json"
  components=$(sed -n 's/^  "num_components": \([0-9]*\),*$/\1/p' "runs/mixtures/$1.json")
  "$vem" train gmm --data "$2" --set "model.num_components=$components" --set "data.columns=\"$3\"" \
    --set train.acceleration=squarem --set train.epochs=1000 --set model.restarts=5 \
    --out "runs/mixtures/$1" --force 2> "runs/mixtures/$1.log"
  "$vem" describe "runs/mixtures/$1"
}

stars() {
  /usr/bin/python3 "$here/hr_diagram.py" "$data/tab/hipparcos-tycho-stars.csv.gz" > runs/mixtures/stars.csv
  choose stars runs/mixtures/stars.csv "bv, absolute_magnitude" 1..20
}

flow() {
  choose flow-positive "$data/tab/flow-GvHD.pos.csv" "X1, X2, X3, X4" 1..20
  choose flow-control "$data/tab/flow-GvHD.control.csv" "X1, X2, X3, X4" 1..20
}

penguins() {
  choose penguins "$data/tab/penguins.csv" "bill_length_mm, bill_depth_mm, flipper_length_mm, body_mass_g" 1..6
  "$vem" impute --force runs/mixtures/penguins --out runs/mixtures/penguins-complete.csv
  "$vem" encode --force runs/mixtures/penguins --out runs/mixtures/penguins-responsibilities.csv
  /usr/bin/python3 "$here/agreement.py" "$data/tab/penguins.csv" species runs/mixtures/penguins-responsibilities.csv
}

for name in "$@"; do
  echo "== $name"
  $name
done
