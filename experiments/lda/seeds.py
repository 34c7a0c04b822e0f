#!/usr/bin/env python3
"""Document completion over seeds, with the number of passes chosen by the validation documents only.

    python3 experiments/lda/seeds.py DATA [--vem build/vem] [--topics 50] [--seeds 1 2 3 4 5]

DATA/bow holds 20ng-etm-{tr,va,ts,ts_h1,ts_h2}.ldac.gz. For each setting and seed, runs of some numbers of passes are
compared by completion of the validation documents (halved from seed 0), and the best one completes the test documents.
Everything that is not in the table is vem's default. One thread; nothing but the standard library is used.
"""
import argparse
import os
import tempfile

import runs

SETTINGS = [("posterior", 0.1, 0.05, 1458), ("posterior", 0.5, 0.5, 1435), ("cvb0", 0.1, 0.1, 1414)]
PASSES = [5, 10, 20, 40]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data")
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--topics", type=int, default=50)
parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
parser.add_argument("--set", nargs="*", default=[], help="further settings of every run")
arguments = parser.parse_args()


def corpus(part):
    return os.path.join(arguments.data, "bow", f"20ng-etm-{part}.ldac.gz")


runs.header("estimate", "alpha, eta", "bar", "seed", "passes", "validation", "test", "NPMI", "diversity", "seconds")
with tempfile.TemporaryDirectory() as folder:
    for estimate, alpha, eta, bar in SETTINGS:
        for seed in arguments.seeds:
            score, passes, run, seconds = runs.chosen(
                arguments.vem, folder, corpus("tr"), corpus("va"), [
                    f"model.num_topics={arguments.topics}", f"model.estimate={estimate}",
                    f"model.document_concentration={alpha}", f"model.topic_concentration={eta}", *arguments.set],
                PASSES, seed)
            test = runs.evaluate(arguments.vem, run, corpus("ts_h1"), corpus("ts_h2"))["completion_perplexity"]
            quality = runs.evaluate(arguments.vem, run, corpus("ts"))
            runs.row(estimate, f"{alpha}, {eta}", bar, seed, passes, f"{score:.0f}", f"{test:.0f}",
                     f"{quality['npmi']:.3f}", f"{quality['topic_diversity']:.2f}", f"{seconds:.1f}")
