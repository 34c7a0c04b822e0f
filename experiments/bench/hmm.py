#!/usr/bin/python3
"""EM passes of hidden Markov models in vem against hmmlearn, one thread each, in turn, in one run.

Usage: python3 experiments/bench/hmm.py [--vem build/vem] [--rounds 3] [--dna FILE.fa.gz] [--only NAME]
Needs NumPy and hmmlearn (pip install hmmlearn, in an environment of its own).

Both start from the same parameters: those of a fixed labelling of the rows, which vem reads as the label column. The
table has the median seconds of one pass (E-step and M-step) and their ratio; the log-likelihoods before each of the
passes must agree, or the script fails. vem's figure is the difference of the times of two whole runs, one of which makes more passes;
hmmlearn's is the time of its fit over its number of passes.
"""
import argparse, gzip, os, sys, tempfile, time

import turns  # before NumPy
import numpy as np
from hmmlearn import hmm

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--dna", default="", help="FASTA file; without it that row is left out")
parser.add_argument("--only", default="", help="begin of the names of the cases that run")
parser.add_argument("--json", default="", help="file for the results")
arguments = parser.parse_args()
PASSES, MORE = 4, 16  # that are compared; that are timed on top in vem


def normal_data(items, steps, K, D):
    """Rows of a sticky chain, rounded so that a text file holds them exactly."""
    rng = np.random.default_rng(0)
    centers = 2 * rng.normal(size=(K, D))
    state = np.empty(items * steps, np.int64)
    for t in range(items * steps):
        state[t] = rng.integers(K) if t % steps == 0 or rng.random() < 0.2 else state[t - 1]
    return (centers[state] + rng.normal(size=(items * steps, D))).astype(np.float64), state


def dna_data(path):
    with gzip.open(path, "rt") as file:
        text = "".join(line.strip().upper() for line in file if not line.startswith(">"))
    return np.array(["ACGT".index(c) for c in text], np.int64)[:, None]


def moments(x, state, lengths, K):
    """The maximum of the likelihood given the states."""
    begin = np.cumsum([0] + lengths[:-1])
    start = np.bincount(state[begin], minlength=K) / len(lengths)
    inside = np.ones(len(x), bool)
    inside[begin] = False
    to = np.flatnonzero(inside)
    pairs = np.zeros((K, K))
    np.add.at(pairs, (state[to - 1], state[to]), 1)
    return start, pairs / pairs.sum(1, keepdims=True)


def hmmlearn_run(case, x, state, lengths):
    K = case["K"]
    options = dict(n_components=K, n_iter=PASSES, tol=-np.inf, init_params="", implementation="scaling")
    start, transition = moments(x, state, lengths, K)
    if case["kind"] == "categorical":
        model = hmm.CategoricalHMM(n_features=4, **options)
        counts = np.zeros((K, 4))
        np.add.at(counts, (state, x[:, 0]), 1)
        model.emissionprob_ = counts / counts.sum(1, keepdims=True)
    else:
        kind = {"full": "full", "diagonal": "diag"}[case["kind"]]
        model = hmm.GaussianHMM(covariance_type=kind, covars_prior=0, min_covar=0, **options)
        model.means_ = np.stack([x[state == k].mean(0) for k in range(K)])
        covariances = np.stack([np.cov(x[state == k].T, bias=True) for k in range(K)])
        model.covars_ = covariances if kind == "full" else np.stack([np.diag(c) for c in covariances])
    model.startprob_, model.transmat_ = start, transition
    begin = time.perf_counter()
    model.fit(x, lengths)
    return (time.perf_counter() - begin) / PASSES, list(model.monitor_.history)


def vem_run(case, folder, data):
    kind = '{kind = "categorical", num_symbols = 4}' if case["kind"] == "categorical" else '{kind = "normal", covariance = "%s"}' % case["kind"]
    settings = ["model.num_components=%d" % case["K"], "model.estimate=ml", 'model.start="labels"',
                "model.observation=" + kind, 'data.sequence="sequence"', 'data.label="state"']
    seconds, bounds = turns.vem_pass(arguments.vem, "hmm", data, os.path.join(folder, "run"), settings, PASSES, MORE)
    return seconds, [bound * case["items"] for bound in bounds]


CASES = [
    dict(name="long-full", kind="full", items=1, steps=100000, K=10, D=8),
    dict(name="long-diagonal", kind="diagonal", items=1, steps=100000, K=10, D=8),
    dict(name="many-diagonal", kind="diagonal", items=1000, steps=500, K=32, D=16),
    dict(name="dna", kind="categorical", items=1, steps=0, K=8, D=1),
]

print(turns.machine())
print("%-16s %10s %10s %8s %14s" % ("case", "hmmlearn", "vem", "ratio", "difference"))
results = []
for case in CASES:
    if (case["name"] == "dna" and not arguments.dna) or not case["name"].startswith(arguments.only):
        continue
    if case["kind"] == "categorical":
        x = dna_data(arguments.dna)
        case["steps"] = len(x)
        state = (np.arange(len(x)) // 5) % case["K"]
    else:
        x, state = normal_data(case["items"], case["steps"], case["K"], case["D"])
    lengths = [case["steps"]] * case["items"]
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data.csv")
        turns.write_table(data, {"sequence": np.arange(len(x)) // case["steps"], "state": state}, x)
        both = turns.in_turn(arguments.rounds, {"hmmlearn": lambda: hmmlearn_run(case, x, state, lengths),
                                                "vem": lambda: vem_run(case, folder, data)})
    (a, history), (b, bounds) = both["hmmlearn"], both["vem"]
    difference = max(abs(p - q) / abs(p) for p, q in zip(history, bounds))
    print("%-16s %8.3f s %8.3f s %8.2f %14.1e" % (case["name"], a, b, a / b, difference), flush=True)
    results.append(dict(case=case["name"], hmmlearn=a, vem=b, ratio=a / b, difference=difference))
    if difference > 1e-9:
        sys.exit("the log-likelihoods differ")
turns.save(arguments.json, results)
