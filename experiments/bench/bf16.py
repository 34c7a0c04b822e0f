#!/usr/bin/python3
"""What products in bfloat16 cost and gain: test NLL and speed of the same trainings with and without them.

Usage: python3 experiments/bench/bf16.py [--epochs 10] [--seeds 3] [--samples 500] [--limit 2000] [--vem build/vem] [--json FILE]

Trains the VAE 784-512-512-20 on Fashion-MNIST, re-binarised each batch, batch 128, in float32 and with
model.precision = "bf16", from the same seeds, with a learning rate that falls to 0, and compares log-likelihoods of the
same test images. A seed's difference is mostly that of two trainings that part after the first rounding, and with a
constant rate it is several tenths of a nat. The mean over seeds should be within 0.1 nat.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile

import turns

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--samples", type=int, default=500)
parser.add_argument("--limit", type=int, default=2000)
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--json", default="", help="file for the results")
arguments = parser.parse_args()


def vem(*command):
    child = subprocess.run([arguments.vem, *command, "--threads", "1"], capture_output=True, text=True)
    if child.returncode:
        sys.exit(child.stderr)
    if "warning" in child.stderr:
        sys.exit(child.stderr.strip())
    return child


def train(run, seed, precision):
    """Items a second."""
    vem("train", "vae", "--data", "fashion-mnist", "--out", run, "--force", "--seed", str(seed), "--set", "data.binarize=dynamic",
        "--set", "data.validation=0", "--set", f"train.epochs={arguments.epochs}", "--set", f"model.precision={precision}",
        "--set", 'model.optimizer.learning_rate={kind = "cosine", from = 1e-3, to = 0, epochs = 0}')
    with open(run + "/metrics.jsonl") as file:
        return statistics.median([row["items_per_second"] for row in map(json.loads, file) if "items_per_second" in row])


print(turns.machine())
differences, rates = [], {"float32": [], "bf16": []}
with tempfile.TemporaryDirectory() as folder:
    for seed in range(1, arguments.seeds + 1):
        for precision in rates:
            rates[precision].append(train(f"{folder}/{precision}", seed, precision))
        vem("evaluate", folder + "/bf16", "--samples", str(arguments.samples), "--limit", str(arguments.limit), "--against", folder + "/float32")
        with open(folder + "/bf16/evaluation.json") as file:
            result = json.load(file)
        differences.append(result["difference"])
        print(f"seed {seed}: log-likelihood with bf16 less float32 {result['difference']:+.3f} +- {result['difference_error']:.3f} nats, "
              f"NLL <= {result['nll_upper_bound']:.2f}", flush=True)
a, b = statistics.median(rates["float32"]), statistics.median(rates["bf16"])
mean, error = statistics.mean(differences), statistics.stdev(differences) / len(differences) ** 0.5
print(f"mean {mean:+.3f} +- {error:.3f} nats over seeds (within 0.1 is wanted); float32 {a:.0f}, bf16 {b:.0f} items/s, "
      f"ratio {b / a:.2f} (1.8 with AMX is wanted)")
turns.save(arguments.json, [{"case": "784-512-512-20, batch 128, bf16", "float32": a, "vem": b, "ratio": b / a, "difference": mean, "unit": "items/s"}])
