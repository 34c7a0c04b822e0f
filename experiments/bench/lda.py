#!/usr/bin/env python3
"""Batch passes of latent Dirichlet allocation in vem against scikit-learn, one thread each, in turn, in one run.

    python3 experiments/bench/lda.py CORPUS.ldac.gz [--vem build/vem] [--topics 50] [--rounds 3]

Needs scikit-learn (pip install scikit-learn, in an environment of its own). Both make the same number of sweeps over
each document in a pass, from a fresh start, with no early end. The seconds of a pass are the difference between two
runs, one of which makes more passes: medians of the rounds.
"""
import argparse, gzip, os, statistics, subprocess, time

for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[name] = "1"
import scipy.sparse
from sklearn.decomposition import LatentDirichletAllocation

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("corpus")
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--topics", type=int, default=50)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--sweeps", type=int, nargs="+", default=[2, 10, 50])
arguments = parser.parse_args()

indptr, indices, counts = [0], [], []
with gzip.open(arguments.corpus, "rt") as file:
    for line in file:
        pairs = [pair.split(":") for pair in line.split()[1:]]
        indices += [int(w) for w, _ in pairs]
        counts += [float(c) for _, c in pairs]
        indptr.append(len(indices))
x = scipy.sparse.csr_matrix((counts, indices, indptr))


def peer(sweeps, passes):
    model = LatentDirichletAllocation(arguments.topics, doc_topic_prior=0.1, topic_word_prior=0.05, max_iter=passes,
                                      max_doc_update_iter=sweeps, mean_change_tol=0, evaluate_every=0, random_state=0)
    begin = time.time()
    model.fit(x)
    return time.time() - begin


def ours(sweeps, passes):
    command = [arguments.vem, "train", "lda", "--data", arguments.corpus, "--out", "/tmp/vem-bench-lda", "--force",
               "--threads", "1"]
    for setting in [f"model.num_topics={arguments.topics}", "model.gamma_start=fresh", f"model.inner_iterations={sweeps}",
                    "model.inner_tolerance=0", f"train.epochs={passes}", "model.start=random"]:
        command += ["--set", setting]
    begin = time.time()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.time() - begin


print("| sweeps a document | scikit-learn, s a pass | vem, s a pass | ratio |\n" + "| --- " * 4 + "|")
for sweeps in arguments.sweeps:
    theirs, own = [], []
    for _ in range(arguments.rounds):
        theirs.append(peer(sweeps, 3) - peer(sweeps, 1))
        own.append(ours(sweeps, 22) - ours(sweeps, 2))
    a, b = statistics.median(theirs) / 2, statistics.median(own) / 20
    print(f"| {sweeps} | {a:.3f} | {b:.4f} | {a / b:.1f} |", flush=True)
