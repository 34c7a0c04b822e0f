#!/usr/bin/env python3
"""Topic models on 20 Newsgroups as split by Dieng et al. 2020: every algorithm over numbers of topics, as one table.

    python3 experiments/lda/table.py DATA [--vem build/vem] [--topics 20 50 100 200] [--out runs/lda-table.json]

DATA/bow holds 20ng-etm-{tr,va,ts,ts_h1,ts_h2}.ldac.gz. For each algorithm and number of topics the number of passes is chosen
by document completion of the validation documents, halved from seed 0; the test documents are then scored once, the
words of their second halves given the first. Both priors have concentration .1. Coherence and diversity are those of
`vem evaluate` on the test documents, seconds those of the processor for the chosen passes. Rows that the file of results
has are kept, so the table goes on where it was stopped. One thread; nothing but the standard library is used.
"""
import argparse
import itertools
import json
import os
import tempfile

import runs

FRESH = ["model.gamma_start=fresh", "model.inner_iterations=5"]
STOCHASTIC = [*FRESH, "train.batch_size=500"]
ALGORITHMS = {
    "VB": [],
    "VB, fresh gamma": FRESH,
    "stochastic VB": STOCHASTIC,
    "memoised VB": ["train.batch_size=2000", "train.memoised=true"],
    "CVB0": ["model.estimate=cvb0"],
    "stochastic CVB0": ["model.estimate=cvb0", *STOCHASTIC],
    "Gibbs": ["model.estimate=gibbs", "train.burn_in=50"],
}
PASSES, SWEEPS = [5, 20], [60]
COLUMNS = ["topics", "algorithm", "passes", "validation", "test", "NPMI", "diversity", "seconds"]


def measured(arguments, topics, name):
    def corpus(part):
        return os.path.join(arguments.data, "bow", f"20ng-etm-{part}.ldac.gz")

    settings = [f"model.num_topics={topics}", "model.document_concentration=0.1", "model.topic_concentration=0.1",
                *ALGORITHMS[name]]
    with tempfile.TemporaryDirectory() as folder:
        score, passes, run, seconds = runs.chosen(arguments.vem, folder, corpus("tr"), corpus("va"), settings,
                                                  SWEEPS if name == "Gibbs" else PASSES)
        test = runs.evaluate(arguments.vem, run, corpus("ts_h1"), corpus("ts_h2"))["completion_perplexity"]
        quality = runs.evaluate(arguments.vem, run, corpus("ts"))
    return [topics, name, passes, f"{score:.0f}", f"{test:.0f}", f"{quality['npmi']:.3f}",
            f"{quality['topic_diversity']:.2f}", f"{seconds:.1f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--vem", default="build/vem")
    parser.add_argument("--out", default="runs/lda-table.json")
    parser.add_argument("--topics", type=int, nargs="+", default=[20, 50, 100, 200])
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS))
    arguments = parser.parse_args()
    rows = {}
    if os.path.exists(arguments.out):
        with open(arguments.out) as file:
            rows = json.load(file)
    os.makedirs(os.path.dirname(arguments.out) or ".", exist_ok=True)
    runs.header(*COLUMNS)
    for topics, name in itertools.product(arguments.topics, arguments.algorithms):
        key = f"{name}, {topics}"
        if key not in rows:
            rows[key] = measured(arguments, topics, name)
            with open(arguments.out, "w") as file:
                json.dump(rows, file, indent=1)
        runs.row(*rows[key])


if __name__ == "__main__":
    main()
