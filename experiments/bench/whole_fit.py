#!/usr/bin/python3
"""A mixture from a .csv to a saved model: vem's program against the usual script with scikit-learn, in turn, one thread
each; and what vem's program takes beyond the load of LibTorch.

Usage: python3 experiments/bench/whole_fit.py [--vem build/vem] [--rounds 3] [--json FILE]
Needs NumPy and scikit-learn; g++ for the second part.

Both read 100,000 rows of 8 columns, take the best of five starts by k-means++ and pass on until the log-likelihood of a
row rises by less than 1e-4, and save what they found; both seconds are of the whole process. What each reached is
printed; vem may not end lower by more than 0.01 nats a row. scikit-learn runs each start to its end, vem goes on with
the one that is best after some passes: that is part of what is compared. The second part fits 272 rows of 2 columns, as
many as those of Old Faithful; the load of LibTorch is that of a program that links it and does nothing.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

import turns  # before NumPy
import numpy as np

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--json", default="", help="file for the results")
arguments = parser.parse_args()
N, D, K, STARTS = 100000, 8, 10, 5

SCRIPT = f"""
import pickle, sys
import numpy as np
from sklearn.mixture import GaussianMixture
x = np.loadtxt(sys.argv[1], delimiter=",", skiprows=1)
model = GaussianMixture({K}, n_init={STARTS}, init_params="k-means++", tol=1e-4, max_iter=1000, random_state=0).fit(x)
pickle.dump(model, open(sys.argv[2], "wb"))
print(model.score(x))
"""


def seconds(command):
    begin = time.perf_counter()
    child = subprocess.run(command, capture_output=True, text=True)
    if child.returncode:
        sys.exit(child.stderr)
    return time.perf_counter() - begin, child.stdout


def train(data, run, **settings):
    command = [arguments.vem, "train", "gmm", "--data", data, "--out", run, "--force", "--threads", "1"]
    for key, value in settings.items():
        command += ["--set", key.replace("__", ".") + "=" + str(value)]
    return seconds(command)[0]


def fit(folder):
    took = train(folder + "/x.csv", folder + "/run", model__num_components=K, model__estimate="ml", model__restarts=STARTS,
                 train__tolerance=1e-4, train__epochs=1000)
    with open(folder + "/run/metrics.jsonl") as file:
        bounds = [row["bound"] for row in map(json.loads, file) if "bound" in row]
    return took, bounds[-1]


def script(folder):
    took, score = seconds([sys.executable, "-c", SCRIPT, folder + "/x.csv", folder + "/model.pkl"])
    return took, float(score)


def start_up(folder):
    """Seconds of a program that only loads LibTorch, and of vem's."""
    small = folder + "/small.csv"
    turns.write_table(small, {}, np.round(np.random.default_rng(1).normal(size=(272, 2)), 3))
    nothing = folder + "/nothing"
    flavour = "/usr/lib/x86_64-linux-gnu/openblas-openmp"
    subprocess.run(["g++", "-x", "c++", "-", "-Wl,--no-as-needed", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{flavour}", "-o", nothing],
                   input="int main() {}", text=True, check=True)
    runs = {"nothing": lambda: seconds([nothing]), "list": lambda: seconds([arguments.vem, "list"]),
            "--help": lambda: seconds([arguments.vem, "--help"]),
            "train gmm, 272 rows": lambda: (train(small, folder + "/small", model__num_components=2), None)}
    return {name: took for name, (took, _) in turns.in_turn(5 * arguments.rounds, runs).items()}


print(turns.machine())
results = []
with tempfile.TemporaryDirectory() as folder:
    rng = np.random.default_rng(0)
    x = 2 * rng.normal(size=(K, D))[rng.integers(K, size=N)] + rng.normal(size=(N, D))
    turns.write_table(folder + "/x.csv", {}, np.round(x, 4))
    both = turns.in_turn(arguments.rounds, {"scikit-learn": lambda: script(folder), "vem": lambda: fit(folder)})
    (a, theirs), (b, ours) = both["scikit-learn"], both["vem"]
    case = f"from .csv to model, {N} x {D}, {K} components, {STARTS} starts"
    print(f"{case}: scikit-learn {a:.2f} s ({theirs:.4f} nats a row), vem {b:.2f} s ({ours:.4f}), ratio {a / b:.2f} (at least 4 is wanted)")
    results.append({"case": case, "scikit_learn": a, "vem": b, "ratio": a / b, "difference": ours - theirs})
    load = start_up(folder)
    for name, took in load.items():
        if name != "nothing":
            print(f"vem {name}: {took:.3f} s, {took - load['nothing']:+.3f} s beside the load of LibTorch, {load['nothing']:.3f} s")
turns.save(arguments.json, results + [{"case": "start-up, seconds", **load}])
if ours < theirs - 0.01:
    sys.exit("vem ends lower")
