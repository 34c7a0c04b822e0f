#!/usr/bin/python3
"""Where passes and training steps spend their time: shares of samples by kind of work, from perf.

Usage: python3 experiments/bench/time_shares.py [--vem build/vem] [--only NAME ...] [--raw]
Needs perf (apt: linux-perf) and NumPy; Fashion-MNIST from Debian's package for the VAEs. One thread. --raw also prints the
functions themselves. The start of the program is a few per cent of each run and listed as such.
"""
import argparse, os, re, subprocess, sys, tempfile

import turns  # before NumPy
import numpy as np

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--only", nargs="*", default=[])
parser.add_argument("--raw", action="store_true")
arguments = parser.parse_args()
rng = np.random.default_rng(0)

# kind of work, pattern of "object symbol"; the first that fits counts
KINDS = [
    ("products with moments of rows", r"run_(avx512|avx2|any)"),
    ("rows read, centred, laid out", r"columns_of|standardize|look_up|anonymous namespace\)::count"),
    ("exponentials and normalisation", r"::normalize"),
    ("sweep forward, exponentials included", r"filter_frames|add_up"),
    ("sweep backward, sums of pairs", r"smooth_frames"),
    ("sweeps over documents", r"sweep_words|scatter_words|sum_documents|special::"),
    ("matrix products (BLAS)", r"openblas.*(gemm_kernel|small_kernel|gemv|dot)|dnnl|mkl"),
    ("matrix products in bfloat16 (oneDNN)", r"\[JIT\]"),
    ("packing for them (BLAS)", r"openblas"),
    ("optimiser", r"namespace\)::pass"),
    ("random numbers", r"fill_(53|23|normal)|[Bb]ernoulli|Rng::"),
    ("likelihood, bias gradients", r"::row\b|column_sums"),
    ("loops and calls of LibTorch", r"libtorch|libc10|tcmalloc|sleef"),
    ("start, files, system", r"."),
]


def mixture(covariance, N, D, K, precision):
    def command(folder):
        np.save(folder + "/x.npy", 2 * rng.normal(size=(K, D))[rng.integers(K, size=N)] + rng.normal(size=(N, D)))
        return ["gmm", "--data", folder + "/x.npy", f"model.num_components={K}", "model.estimate=ml", "model.start=random",
                'model.observation={kind = "normal", covariance = "%s"}' % covariance, f"model.precision={precision}"]
    return command


def chain(items, steps, K, D, observation):
    def command(folder):
        symbols = D == 0
        x = rng.integers(4, size=(items * steps, 1)) if symbols else np.round(rng.normal(size=(items * steps, D)), 2)
        turns.write_table(folder + "/x.csv", {"sequence": np.arange(items * steps) // steps}, x)
        return ["hmm", "--data", folder + "/x.csv", f"model.num_components={K}", "model.estimate=ml", "model.start=random",
                "model.observation=" + observation, 'data.sequence="sequence"']
    return command


def topics(folder):
    with open(folder + "/x.ldac", "w") as out:
        for _ in range(8000):
            words = np.unique(rng.integers(4000, size=100))
            out.write(str(len(words)) + "".join(f" {w}:1" for w in words) + "\n")
    return ["lda", "--data", folder + "/x.ldac", "model.num_topics=50", "model.start=random"]


def vae(batch, width, latent, activation, precision="float32"):
    settings = {"data.binarize": "dynamic", "data.validation": 0, "data.limit": 12800, "train.batch_size": batch, "model.latent_dim": latent,
                "model.precision": precision}
    for network in ["encoder", "decoder"]:
        settings.update({f"model.{network}.widths": [width, width], f"model.{network}.activation": activation})
    return lambda _: ["vae", "--data", "fashion-mnist", *(f"{key}={value}" for key, value in settings.items())]


CASES = {
    "mixture, full, 100,000 x 32, 16 components, float64": (mixture("full", 100000, 32, 16, "float64"), 60),
    "the same, float32": (mixture("full", 100000, 32, 16, "float32"), 120),
    "mixture, diagonal, 1,000,000 x 16, 32 components, float64": (mixture("diagonal", 1000000, 16, 32, "float64"), 40),
    "mixture, full, 20,000 x 128, 100 components, float64": (mixture("full", 20000, 128, 100, "float64"), 6),
    "chains, 1,000 x 500 x 16, 32 states, diagonal": (chain(1000, 500, 32, 16, '{kind = "normal", covariance = "diagonal"}'), 60),
    "chain, 1,000,000 symbols, 8 states": (chain(1, 1000000, 8, 0, '{kind = "categorical", num_symbols = 4}'), 100),
    "topics, 8,000 documents of 100 words, 50 topics": (topics, 100),
    "VAE 784-512-512-20, batch 128, a step": (vae(128, 512, 20, "relu"), 10),
    "the same in bf16": (vae(128, 512, 20, "relu", "bf16"), 15),
    "VAE 784-200-200-50, batch 20, a step": (vae(20, 200, 50, "tanh"), 12),
}

print(turns.machine())
for name, (make, epochs) in CASES.items():
    if arguments.only and not any(name.startswith(begin) for begin in arguments.only):
        continue
    with tempfile.TemporaryDirectory() as folder:
        kind, *rest = make(folder)
        flags, settings = (rest[:2], rest[2:])
        record = ["perf", "record", "-o", folder + "/perf.data", "-e", "cpu-clock", "-F", "1000", arguments.vem, "train", kind, *flags,
                  "--out", folder + "/run", "--threads", "1"]
        for setting in [*settings, f"train.epochs={epochs}", *([] if kind == "vae" else ["train.tolerance=0"])]:
            record += ["--set", setting]
        child = subprocess.run(record, capture_output=True, text=True)
        if child.returncode:
            sys.exit(child.stderr[-500:])
        report = subprocess.run(["perf", "report", "-i", folder + "/perf.data", "--no-children", "--sort", "dso,sym", "--stdio"],
                                capture_output=True, text=True).stdout
    shares = dict.fromkeys((kind for kind, _ in KINDS), 0.0)
    for line in report.splitlines():
        if match := re.match(r"\s*([\d.]+)%\s+(.*)", line):
            shares[next(kind for kind, pattern in KINDS if re.search(pattern, match[2]))] += float(match[1])
            if arguments.raw and float(match[1]) > 0.5:
                print(line)
    print(f"\n{name}")
    for kind, share in sorted(shares.items(), key=lambda item: -item[1]):
        if share >= 0.5:
            print(f"  {share:5.1f} %  {kind}")
