#!/bin/sh
# Trains, evaluates and exports a VAE on Fashion-MNIST, and writes pictures. As root or with sudo, on Debian 12.
# Usage: sh experiments/quickstart.sh [RUN DIRECTORY]      (default: runs/quickstart, replaced if it is there)
set -eu
cd "$(dirname "$0")/.."
run=${1:-runs/quickstart}
sh experiments/build.sh vem
vem=${VEM:-build/vem}

$vem train experiments/quickstart.toml --out "$run" --force
$vem evaluate "$run" --samples 1000 --limit 1000
$vem reconstruct "$run"
$vem sample "$run" -n 64 --force --out "$run/images/samples.png"
$vem sample "$run" -n 64 --force --out "$run/samples.npy" >/dev/null
/usr/bin/python3 experiments/classes_of_samples.py "$run/samples.npy"
$vem traverse "$run"
$vem export "$run" --format torchscript --force --out "$run/export/model.pt"

echo
echo "Everything is in $run:"
echo "  images/reconstructions.png   test images beside what the model makes of them"
echo "  images/samples.png           64 draws from the prior"
echo "  images/traversal.png         one latent dimension a row, from -3 to 3"
echo "  export/model.pt              TorchScript: torch.jit.load(...).encode(x), .decode(z), .sample(n)"
echo "  config.toml, metrics.jsonl, checkpoints/, evaluation.json"
