#!/usr/bin/python3
"""How the time of a pass or a step grows with the size of its work, and the exponent beside the expected one.

Usage: python3 experiments/bench/scaling.py [--vem build/vem] [--rounds 3] [--only NAME ...] [--json FILE] [--chart PNG]
Needs NumPy; matplotlib for the chart.

Each row doubles one size and holds the others. Seconds are medians of rounds: of closed-form models the difference
between two whole runs over the difference of their passes, of a VAE the rate that it logs. The exponent is the slope of
log seconds over log size (least squares); beside it that of the last doubling, where fixed costs matter least.
Expected is what the arithmetic says for large sizes.
"""
import argparse, json, math, os, statistics, subprocess, sys, tempfile

import turns  # before NumPy
import numpy as np

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--only", nargs="*", default=[], help="begins of names")
parser.add_argument("--json", default="", help="file for the results")
parser.add_argument("--chart", default="", help="file for the picture")
arguments = parser.parse_args()
rng = np.random.default_rng(0)


def closed_form(folder, model, data, settings, passes, threads=1):
    return turns.vem_pass(arguments.vem, model, data, os.path.join(folder, "run"), settings, 2, passes, threads)[0]


def mixture(folder, N=50000, D=16, K=16, covariance="full", threads=1):
    path = os.path.join(folder, "rows.npy")
    np.save(path, rng.normal(size=(N, D)))
    return closed_form(folder, "gmm", path, [f"model.num_components={K}", "model.estimate=ml", "model.start=random",
                       'model.observation={kind = "normal", covariance = "%s"}' % covariance], 10, threads)


def chain(folder, T=50000, sequences=1, K=8, threads=1):
    path = os.path.join(folder, "rows.csv")
    turns.write_table(path, {"sequence": np.arange(T * sequences) // T}, np.round(rng.normal(size=(T * sequences, 2)), 3))
    return closed_form(folder, "hmm", path, [f"model.num_components={K}", "model.estimate=ml", "model.start=random",
                       'model.observation={kind = "normal", covariance = "diagonal"}', 'data.sequence="sequence"'], 10, threads)


def topics(folder, documents=4000, V=4000, K=32, threads=1):
    """Documents of 100 different words."""
    path = os.path.join(folder, "corpus.ldac")
    with open(path, "w") as out:
        for _ in range(documents):
            words = np.unique(rng.integers(V, size=100))
            out.write(str(len(words)) + "".join(f" {w}:1" for w in words) + "\n")
    return closed_form(folder, "lda", path, [f"model.num_topics={K}", "model.start=random"], 20, threads)


def vae(folder, batch=128, width=256, latent=16, threads=1):
    """Seconds of a step: the median of three epochs after the first."""
    run = os.path.join(folder, "run")
    items = max(4096, 32 * batch)
    path = os.path.join(folder, "pixels.npy")
    np.save(path, (rng.random((items, 784)) < 0.3).astype(np.float32))
    command = [arguments.vem, "train", "vae", "--data", path, "--out", run, "--force", "--threads", str(threads)]
    for key, value in {"train.batch_size": batch, "train.epochs": 4, "model.latent_dim": latent,
                       "model.encoder.widths": [width, width], "model.decoder.widths": [width, width]}.items():
        command += ["--set", f"{key}={value}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with open(run + "/metrics.jsonl") as file:
        rates = [entry["items_per_second"] for entry in map(json.loads, file) if "items_per_second" in entry]
    return batch / statistics.median(rates[1:])


# name, what is measured, the size, its values, the expected exponent
CASES = [
    ("mixture, rows", mixture, "N", [25000, 50000, 100000, 200000], 1),
    ("mixture, columns", mixture, "D", [16, 32, 64, 128], 2),
    ("mixture, components", mixture, "K", [8, 16, 32, 64], 1),
    ("diagonal mixture, columns", lambda folder, D: mixture(folder, D=D, covariance="diagonal"), "D", [16, 32, 64, 128], 1),
    ("chain, steps", chain, "T", [25000, 50000, 100000, 200000], 1),
    ("chain, states", chain, "K", [16, 32, 64, 128], 2),
    ("chains, sequences", lambda folder, sequences: chain(folder, T=500, sequences=sequences), "sequences", [250, 500, 1000, 2000], 1),
    ("topics, documents", topics, "documents", [2000, 4000, 8000, 16000], 1),
    ("topics, vocabulary", topics, "V", [4000, 8000, 16000, 32000], 1),
    ("topics, topics", topics, "K", [32, 64, 128, 256], 1),
    ("VAE, batch", vae, "batch", [64, 128, 256, 512], 1),
    ("VAE, latent dimensions", vae, "latent", [8, 16, 32, 64], 0),
    ("VAE, width", vae, "width", [256, 512, 1024, 2048], 2),
    ("mixture, threads", lambda folder, threads: mixture(folder, N=200000, threads=threads), "threads", [1, 2], -1),
    ("chains, threads", lambda folder, threads: chain(folder, T=500, sequences=400, K=32, threads=threads), "threads", [1, 2], -1),
    ("topics, threads", lambda folder, threads: topics(folder, documents=16000, threads=threads), "threads", [1, 2], -1),
    ("VAE, threads", lambda folder, threads: vae(folder, batch=512, width=1024, threads=threads), "threads", [1, 2], -1),
]


def slope(sizes, seconds):
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def chart(results, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    columns = 4
    figure, axes = plt.subplots(math.ceil(len(results) / columns), columns, figsize=(3 * columns, 2.6 * math.ceil(len(results) / columns)))
    for axis, row in zip(np.ravel(axes), results):
        sizes, seconds = np.array(row["sizes"], float), np.array(row["seconds"])
        axis.loglog(sizes, seconds, "o-", color="#3465a4")
        axis.loglog(sizes, seconds[-1] * (sizes / sizes[-1]) ** row["expected"], ":", color="black")
        axis.set_title(f"{row['case']}: {row['exponent']:.2f}", fontsize=9)
        axis.set_xticks(sizes, [str(s) for s in row["sizes"]], fontsize=7)
        axis.minorticks_off()
        axis.tick_params(axis="y", labelsize=7)
    for axis in np.ravel(axes)[len(results):]:
        axis.remove()
    figure.supylabel("seconds (dotted: expected slope)", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


print(turns.machine())
print(f"{'case':28} {'sizes':>28} {'milliseconds':>36} {'exponent':>9} {'last':>6} {'expected':>9}")
results = []
for name, work, size, values, expected in CASES:
    if arguments.only and not any(name.startswith(begin) for begin in arguments.only):
        continue
    seconds = {value: [] for value in values}
    for _ in range(arguments.rounds):
        for value in values:
            with tempfile.TemporaryDirectory() as folder:
                seconds[value].append(work(folder, **{size: value}))
    medians = [statistics.median(seconds[value]) for value in values]
    if min(medians) <= 0:
        sys.exit(f"{name}: a difference of run times came out negative; the machine is too busy")
    row = {"case": name, "size": size, "sizes": values, "seconds": medians, "exponent": slope(values, medians),
           "last": slope(values[-2:], medians[-2:]), "expected": expected}
    results.append(row)
    print(f"{name:28} {' '.join(map(str, values)):>28} {' '.join(f'{1e3 * s:.4g}' for s in medians):>36} "
          f"{row['exponent']:9.2f} {row['last']:6.2f} {expected:9}", flush=True)
turns.save(arguments.json, results)
if arguments.chart:
    chart(results, arguments.chart)
