#!/usr/bin/env python3
"""By what the defaults of topic models were chosen: where topics begin, and where a document's inner iterations begin.

    python3 experiments/lda/defaults.py DATA [--vem build/vem] [--topics 50] [--passes 20] [--seeds 1 2]

DATA/bow holds ap, reuters395 and 20ng-etm-tr as .ldac.gz. A fifth of the documents of each is held out; half of the words of
each is predicted from the other half. No document of the test set of 20 Newsgroups is read. Prints perplexities of
completion, a seed each, their mean, and processor seconds of a training of one thread, median. The first choices have
fresh gamma with 5 sweeps, the last ones three clusterings.
"""
import argparse
import itertools
import os
import statistics
import tempfile

import runs

FRESH = ["model.gamma_start=fresh", "model.inner_iterations=5"]
CHOICES = {
    "random": ["model.start=random", *FRESH],
    "clusters, 1 restart": ["model.restarts=1", *FRESH],
    "clusters, 3 restarts": ["model.restarts=3", *FRESH],
    "clusters, 10 restarts": ["model.restarts=10", *FRESH],
    **{f"{start}, {sweeps} sweeps": ["model.restarts=3", f"model.gamma_start={start}", f"model.inner_iterations={sweeps}"]
       for start, sweeps in [("stored", 2), ("stored", 5), ("fresh", 20)]},
}
PRIORS = [("posterior", 0.1, 0.05), ("posterior", 0.5, 0.5), ("cvb0", 0.1, 0.1)]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data")
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--topics", type=int, default=50)
parser.add_argument("--passes", type=int, default=20)
parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
parser.add_argument("--corpora", nargs="+", default=["reuters395", "ap", "20ng-etm-tr"])
parser.add_argument("--choices", nargs="+", choices=CHOICES, default=list(CHOICES))
arguments = parser.parse_args()

runs.header("corpus", "estimate", "alpha, eta", "choice", "perplexity", "mean", "seconds")
with tempfile.TemporaryDirectory() as folder:
    for corpus, (estimate, alpha, eta), choice in itertools.product(arguments.corpora, PRIORS, arguments.choices):
        settings = [f"model.num_topics={arguments.topics}", f"model.estimate={estimate}", "train.tolerance=0",
                    f"model.document_concentration={alpha}", f"model.topic_concentration={eta}", "data.test=0.2",
                    f"train.epochs={arguments.passes}", *CHOICES[choice]]
        data = os.path.join(arguments.data, "bow", corpus + ".ldac.gz")
        scores, seconds = [], []
        for seed in arguments.seeds:
            seconds.append(runs.train(arguments.vem, folder, data, settings, seed)[0])
            scores.append(runs.evaluate(arguments.vem, folder)["completion_perplexity"])
        runs.row(corpus, estimate, f"{alpha}, {eta}", choice, " ".join(f"{s:.0f}" for s in scores),
                 f"{statistics.mean(scores):.0f}", f"{statistics.median(seconds):.1f}")
