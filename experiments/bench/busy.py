#!/usr/bin/env python3
"""Items a second of a VAE (784-512-512-20, batch 128, two threads), alone and beside one busy program, by how OpenMP's
threads wait for each other. A value that is not vem's own way is set in the environment, as GCC's OpenMP reads it.

Usage: python3 experiments/bench/busy.py [--vem build/vem] [--other VEM ...] [--rounds 3] [--json FILE]
The rows take turns; medians over rounds. Other programs on the machine should be still.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--other", nargs="*", default=[], help="other builds, such as one from before a change")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--json", default="", help="file for the results")
arguments = parser.parse_args()

ways = [("vem's own", arguments.vem, {}, "2")]
ways += [("GOMP_SPINCOUNT=" + count, arguments.vem, {"GOMP_SPINCOUNT": count}, "2") for count in ("10000", "1000", "0")]
ways += [("OMP_WAIT_POLICY=passive", arguments.vem, {"OMP_WAIT_POLICY": "passive"}, "2"), ("one thread", arguments.vem, {}, "1")]
ways += [(path, path, {}, "2") for path in arguments.other]


def items_per_second(vem, environment, threads, folder):
    run = os.path.join(folder, "run")
    command = [vem, "train", "vae", "--data", "fashion-mnist", "--out", run, "--force", "--threads", threads, "--seed", "1"]
    for setting in ("data.binarize=dynamic", "data.limit=20000", "data.validation=0", "train.batch_size=128", "train.epochs=6",
                    "model.encoder.widths=[512,512]", "model.decoder.widths=[512,512]", "model.latent_dim=20"):
        command += ["--set", setting]
    subprocess.run(command, check=True, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(run, "metrics.jsonl")) as lines:
        rates = [json.loads(line)["items_per_second"] for line in lines if "items_per_second" in line]
    return statistics.median(rates[1:])  # the first pass also wakes the threads up


results = {}
with tempfile.TemporaryDirectory() as folder:
    for neighbours in (0, 1):
        others = [subprocess.Popen(["yes"], stdout=subprocess.DEVNULL) for _ in range(neighbours)]
        try:
            for _ in range(arguments.rounds):
                for name, vem, environment, threads in ways:
                    results.setdefault((name, neighbours), []).append(items_per_second(vem, environment, threads, folder))
        finally:
            for other in others:
                other.kill()

print("%-28s %12s %18s" % ("waiting", "alone", "beside one `yes`"))
for name, *_ in ways:
    print("%-28s %12.0f %18.0f" % (name, *(statistics.median(results[name, n]) for n in (0, 1))))
if arguments.json:
    with open(arguments.json, "w") as file:
        json.dump([{"waiting": name, "neighbours": n, "items_per_second": values} for (name, n), values in results.items()], file, indent=1)
