#!/usr/bin/env python3
"""Memory and quality of stochastic variational Bayes on a corpus that stays on disk, whatever its length.

    python3 experiments/lda/stream.py FOLDER [--vem build/vem] [--documents 2000] [--factors 1 10 100]

Writes synthetic corpora of some lengths into FOLDER (20 topics, 5,000 words, 100 words a document), trains on each with
two stochastic passes from disk, prints processor seconds and peak memory, and completes the same 1,000 further
documents. The shorter corpora are also fitted by 40 batch passes in memory. What is not set here is vem's default.
Nothing but the standard library is used.
"""
import argparse
import collections
import itertools
import os
import random

import runs

TOPICS, WORDS, LENGTH = 20, 5000, 100

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder")
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--documents", type=int, default=2000)
parser.add_argument("--factors", type=int, nargs="+", default=[1, 10, 100])
parser.add_argument("--batch", type=int, default=100, help="documents a stochastic update")
parser.add_argument("--set", nargs="*", default=[], help="further settings of stochastic runs")
parser.add_argument("--batch-up-to", type=int, default=10, help="largest factor that is also fitted in memory")
arguments = parser.parse_args()


def write_corpus(path, documents, seed, topics):
    draw = random.Random(seed)
    with open(path, "w") as file:
        for _ in range(documents):
            theta = [draw.gammavariate(0.1, 1) + 1e-300 for _ in range(TOPICS)]
            counts = collections.Counter()
            for topic, n in collections.Counter(draw.choices(range(TOPICS), theta, k=LENGTH)).items():
                counts.update(draw.choices(range(WORDS), cum_weights=topics[topic], k=n))
            file.write(f"{len(counts)} " + " ".join(f"{w}:{c}" for w, c in counts.items()) + "\n")


os.makedirs(arguments.folder, exist_ok=True)
draw = random.Random(0)
topics = [list(itertools.accumulate(draw.gammavariate(0.05, 1) + 1e-12 for _ in range(WORDS))) for _ in range(TOPICS)]
held = os.path.join(arguments.folder, "held.ldac")
write_corpus(held, 1000, 1, topics)
vocabulary = os.path.join(arguments.folder, "words.txt")
with open(vocabulary, "w") as file:
    file.writelines(f"w{w}\n" for w in range(WORDS))
common = [f"model.num_topics={TOPICS}", f"data.vocabulary={vocabulary}"]
runs.header("documents", "file, MB", "how", "seconds", "peak memory, MB", "perplexity")
for factor in arguments.factors:
    documents = factor * arguments.documents
    corpus, folder = os.path.join(arguments.folder, f"{factor}.ldac"), os.path.join(arguments.folder, f"run{factor}")
    write_corpus(corpus, documents, 2, topics)
    size = os.path.getsize(corpus) / 2**20
    hows = [("two stochastic passes from disk",
             ["data.stream=true", "model.gamma_start=fresh", "model.inner_iterations=5", "train.epochs=2",
              f"train.batch_size={arguments.batch}", *arguments.set])]
    if factor <= arguments.batch_up_to:
        hows.append(("40 batch passes in memory", ["train.epochs=40"]))
    for how, settings in hows:
        seconds, memory = runs.train(arguments.vem, folder, corpus, common + settings)
        perplexity = runs.evaluate(arguments.vem, folder, held)["completion_perplexity"]
        runs.row(documents, f"{size:.0f}", how, f"{seconds:.0f}", f"{memory:.0f}", f"{perplexity:.1f}")
