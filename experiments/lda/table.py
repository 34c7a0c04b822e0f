#!/usr/bin/env python3
"""Topic models on 20 Newsgroups as split by Dieng et al. 2020: every algorithm over numbers of topics, as one table.

    python3 experiments/lda/table.py DATA [--vem build/vem] [--topics 20 50 100 200] [--out runs/lda] [--seed 1]

DATA holds 20ng-etm-{tr,va,ts,ts_h1,ts_h2}.ldac.gz and 20ng-etm.vocab.gz. For each algorithm and number of topics the
priors and the number of passes are chosen by document completion of the validation documents, halved from seed 0; the
test documents are then scored once, the words of their second halves given the first. Coherence and diversity are those
of `vem evaluate` on the test documents. Nothing but the standard library is used.
"""
import argparse
import itertools
import json
import os
import subprocess
import time

STOCHASTIC = ["model.gamma_start=fresh", "model.inner_iterations=20", "train.batch_size=500",
              "train.rho={kind='power',delay=10,exponent=0.7}"]
ALGORITHMS = {
    "VB": [],
    "VB, fresh gamma": ["model.gamma_start=fresh", "model.inner_iterations=10"],
    "stochastic VB": STOCHASTIC,
    "memoised VB": ["train.batch_size=2000", "train.memoised=true"],
    "VB, alpha learned": ["model.learn_document_prior=vector"],
    "CVB0": ["model.estimate=cvb0"],
    "stochastic CVB0": ["model.estimate=cvb0"] + STOCHASTIC,
    "Gibbs": ["model.estimate=gibbs"],
}
PASSES = [5, 20]
PRIORS = [(0.1, 0.1), (0.5, 0.5)]


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")


def trained(arguments, name, settings, topics, alpha, eta, passes):
    folder = os.path.join(arguments.out, f"{name}-{topics}-{alpha}-{eta}-{passes}".replace(" ", "-").replace(",", ""))
    command = [arguments.vem, "train", "lda", "--data", f"{arguments.data}/20ng-etm-tr.ldac.gz", "--out", folder, "--force",
               "--seed", str(arguments.seed), "--threads", "1"]
    for setting in settings + [f"model.num_topics={topics}", f"model.document_concentration={alpha}",
                               f"model.topic_concentration={eta}", f"train.epochs={passes}"]:
        command += ["--set", setting]
    begin = time.time()
    run(command)
    return folder, time.time() - begin


def evaluated(arguments, folder, data, held_out=None):
    command = [arguments.vem, "evaluate", folder, "--checkpoint", "last", "--data", f"{arguments.data}/20ng-etm-{data}.ldac.gz"]
    if held_out:
        command += ["--held-out", f"{arguments.data}/20ng-etm-{held_out}.ldac.gz"]
    run(command)
    with open(os.path.join(folder, "evaluation.json")) as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--vem", default="build/vem")
    parser.add_argument("--out", default="runs/lda")
    parser.add_argument("--topics", type=int, nargs="+", default=[20, 50, 100, 200])
    parser.add_argument("--algorithms", nargs="+", default=list(ALGORITHMS))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print("| topics | algorithm | alpha, eta | passes | seconds | validation | test | NPMI | diversity |\n" + "| --- " * 9 + "|")
    for topics, name in itertools.product(arguments.topics, arguments.algorithms):
        settings = ALGORITHMS[name]
        best = None
        for (alpha, eta), epochs in itertools.product(PRIORS, [100] if name == "Gibbs" else PASSES):
            folder, seconds = trained(arguments, name, settings, topics, alpha, eta, epochs)
            score = evaluated(arguments, folder, "va")["completion_perplexity"]
            if best is None or score < best[0]:
                best = (score, folder, alpha, eta, epochs, seconds)
        score, folder, alpha, eta, epochs, seconds = best
        test = evaluated(arguments, folder, "ts_h1", "ts_h2")
        quality = evaluated(arguments, folder, "ts")
        print(f"| {topics} | {name} | {alpha}, {eta} | {epochs} | {seconds:.1f} | {score:.0f} | "
              f"{test['completion_perplexity']:.0f} | {quality['npmi']:.3f} | {quality['topic_diversity']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
