#!/usr/bin/python3
"""Passes of Gaussian mixtures in vem against scikit-learn, one thread each, in turn, in one run.

Usage: python3 experiments/bench/mixtures.py [--vem build/vem] [--rounds 3] [--only NAME ...] [--large] [--json FILE]
                                             [--armadillo] [--mclust]
Needs NumPy and scikit-learn (apt: python3-sklearn); where asked for, Armadillo (apt: libarmadillo-dev) and mclust (apt:
r-cran-mclust), of which one round of the smaller cases in float64 is measured.

Both start from the same labels, a column of the table that vem reads. The table has the median seconds of one pass
(E-step and M-step) and their ratio. The log-likelihoods before each pass must agree to 1e-9, to 1e-5 where vem takes
products in float32; for variational Bayes, whose bound scikit-learn gives without its constants, the means after
the last pass, to 1e-6. vem's figure is the difference of the times of two whole runs over the difference of their
passes, scikit-learn's is the time between two passes of one fit.
"""
import argparse, json, os, subprocess, sys, tempfile, time, warnings

import turns  # before NumPy
import numpy as np
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--only", nargs="*", default=[])
parser.add_argument("--large", action="store_true", help="also 128 columns and 100 components, half a minute a pass: one round")
parser.add_argument("--armadillo", action="store_true")
parser.add_argument("--mclust", action="store_true")
parser.add_argument("--json", default="", help="file for the results")
arguments = parser.parse_args()
warnings.simplefilter("ignore")  # that so few passes have not converged
PASSES, MORE = 3, 8  # that are compared; that are timed on top in vem

CASES = [
    dict(name="full-32", N=100000, D=32, K=16, covariance="full", estimate="ml", precision="float64"),
    dict(name="full-32-float32", N=100000, D=32, K=16, covariance="full", estimate="ml", precision="float32"),
    dict(name="full-32-vb", N=100000, D=32, K=16, covariance="full", estimate="posterior", precision="float64"),
    dict(name="diagonal-16", N=1000000, D=16, K=32, covariance="diagonal", estimate="ml", precision="float64"),
    dict(name="diagonal-16-float32", N=1000000, D=16, K=32, covariance="diagonal", estimate="ml", precision="float32"),
    dict(name="full-128", N=100000, D=128, K=100, covariance="full", estimate="ml", precision="float64", large=True),
    dict(name="full-128-float32", N=100000, D=128, K=100, covariance="full", estimate="ml", precision="float32", large=True),
]


def blobs(N, D, K):
    """Overlapping blobs, rounded so that a short text holds them exactly, and labels that are right for most rows."""
    rng = np.random.default_rng(0)
    label = rng.integers(K, size=N)
    x = np.round(rng.normal(size=(K, D))[label] + rng.normal(size=(N, D)), 3)
    return x, np.where(rng.random(N) < 0.3, rng.integers(K, size=N), label)


def sklearn_run(case, x, label):
    """Seconds of a pass, the log-likelihood before each pass per row, and the means after the last."""
    base = BayesianGaussianMixture if case["estimate"] == "posterior" else GaussianMixture
    history, times = [], []

    class Recorded(base):
        # Later versions also pass the array library by name.
        def _initialize_parameters(self, X, random_state, **library):
            self._initialize(X, np.eye(case["K"])[label])

        def _m_step(self, X, log_resp, **library):
            super()._m_step(X, log_resp, **library)
            times.append(time.perf_counter())

        def _compute_lower_bound(self, log_resp, log_prob_norm, **library):
            history.append(log_prob_norm)
            return super()._compute_lower_bound(log_resp, log_prob_norm, **library)

    options = dict(n_components=case["K"], covariance_type={"full": "full", "diagonal": "diag"}[case["covariance"]],
                   tol=0, reg_covar=0, max_iter=PASSES)
    if case["estimate"] == "posterior":
        options.update(weight_concentration_prior_type="dirichlet_distribution", weight_concentration_prior=1.0)
    model = Recorded(**options)
    model.fit(x)
    return (times[-1] - times[0]) / (len(times) - 1), (history, model.means_)


def vem_run(case, folder, data):
    run = os.path.join(folder, "run")
    settings = ["model.num_components=%d" % case["K"], 'model.estimate="%s"' % case["estimate"], 'model.start="labels"',
                'model.observation={kind = "normal", covariance = "%s"}' % case["covariance"], 'data.label="state"',
                'model.precision="%s"' % case["precision"]]
    seconds, bounds = turns.vem_pass(arguments.vem, "gmm", data, run, settings, PASSES, 2 if case.get("large") else MORE)
    subprocess.run([arguments.vem, "export", run, "--checkpoint", "last", "--format", "json", "--out", run + ".json", "--force"],
                   check=True, stdout=subprocess.DEVNULL)
    with open(run + ".json") as file:
        return seconds, (bounds, np.array(json.load(file)["component_parameters"]["means"]))


def others(folder):
    """Name -> the command of a peer that is no Python package, before its arguments."""
    here = os.path.dirname(os.path.abspath(__file__))
    if arguments.armadillo:
        program = os.path.join(folder, "armadillo")
        subprocess.run(["g++", "-O3", "-march=native", "-fopenmp", "-DARMA_NO_DEBUG", here + "/armadillo.cpp", "-larmadillo", "-o", program],
                       check=True)
        yield "armadillo", [program]
    if arguments.mclust:
        yield "mclust", ["Rscript", here + "/mclust.R"]


def compare(name, command, case, data, ours):
    """A row of the results for such a peer."""
    more = 1 if name == "mclust" else MORE
    command = command + [data, str(case["K"]), case["covariance"], str(PASSES - 1), str(more)]
    seconds, log_p = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    took, (bounds, _) = ours
    difference = abs(bounds[PASSES - 1] - log_p) / abs(log_p)  # the bound of a pass is that before it
    print("%-20s %12.3f s %8.3f s %8.2f %14.1e   (%s)" % (case["name"], seconds, took, seconds / took, difference, name), flush=True)
    if difference > 1e-6:
        sys.exit(f"{name} and vem differ")
    return {"case": case["name"], name: seconds, "vem": took, "ratio": seconds / took, "difference": difference}


def difference_of(case, theirs, ours):
    if case["estimate"] == "posterior":
        return np.abs(theirs[1] - ours[1]).max()
    return max(abs(p - q) / abs(p) for p, q in zip(theirs[0], ours[0]))


print(turns.machine())
print("%-20s %14s %10s %8s %14s" % ("case", "scikit-learn", "vem", "ratio", "difference"))
results, data_of = [], {}
with tempfile.TemporaryDirectory() as folder:
    peers = list(others(folder))
    for case in CASES:
        if (arguments.only and case["name"] not in arguments.only) or (case.get("large") and not arguments.large):
            continue
        shape = case["N"], case["D"], case["K"]
        if shape not in data_of:
            x, label = blobs(*shape)
            data_of = {shape: (x, label)}
            data = os.path.join(folder, "data.csv")
            turns.write_table(data, {"state": label}, x)
        x, label = data_of[shape]
        both = turns.in_turn(1 if case.get("large") else arguments.rounds, {"scikit-learn": lambda: sklearn_run(case, x, label),
                                                "vem": lambda: vem_run(case, folder, data)})
        (a, theirs), (b, ours) = both["scikit-learn"], both["vem"]
        difference = difference_of(case, theirs, ours)
        print("%-20s %12.3f s %8.3f s %8.2f %14.1e" % (case["name"], a, b, a / b, difference), flush=True)
        results.append(dict(case=case["name"], scikit_learn=a, vem=b, ratio=a / b, difference=float(difference)))
        if case["estimate"] == "ml" and case["precision"] == "float64" and not case.get("large"):
            results += [compare(name, command, case, data, both["vem"]) for name, command in peers]
        if difference > (1e-6 if case["estimate"] == "posterior" else 1e-5 if case["precision"] == "float32" else 1e-9):
            sys.exit("scikit-learn and vem differ")
turns.save(arguments.json, results)
