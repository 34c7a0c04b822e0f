#!/usr/bin/env python3
"""Memory and quality of stochastic variational Bayes on a corpus that stays on disk, whatever its length.

    python3 experiments/lda/stream.py FOLDER [--vem build/vem] [--documents 2000] [--factors 1 10 100]

Writes synthetic corpora of some lengths into FOLDER (20 topics, 5,000 words, 100 words a document), trains on each with
two stochastic passes from disk, prints peak memory, and completes the same 1,000 further documents. The shorter
corpora are also fitted by 40 batch passes in memory. Nothing but the standard library is used.
"""
import argparse
import collections
import itertools
import json
import os
import random
import time

TOPICS, WORDS, LENGTH = 20, 5000, 100

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder")
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--documents", type=int, default=2000)
parser.add_argument("--factors", type=int, nargs="+", default=[1, 10, 100])
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


def run(*command):
    """Seconds and peak megabytes of a run of vem."""
    begin = time.time()
    process = os.posix_spawn(arguments.vem, [arguments.vem, *command], os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, out, os.devnull, os.O_WRONLY, 0) for out in (1, 2)])
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        raise SystemExit(" ".join(command) + f": status {status}")
    return time.time() - begin, usage.ru_maxrss / 1024


def perplexity(folder, held):
    run("evaluate", folder, "--checkpoint", "last", "--data", held)
    with open(os.path.join(folder, "evaluation.json")) as file:
        return json.load(file)["completion_perplexity"]


os.makedirs(arguments.folder, exist_ok=True)
draw = random.Random(0)
topics = [list(itertools.accumulate(draw.gammavariate(0.05, 1) + 1e-12 for _ in range(WORDS))) for _ in range(TOPICS)]
held = os.path.join(arguments.folder, "held.ldac")
write_corpus(held, 1000, 1, topics)
vocabulary = os.path.join(arguments.folder, "words.txt")
with open(vocabulary, "w") as file:
    file.writelines(f"w{w}\n" for w in range(WORDS))
common = ["--seed", "1", "--threads", "1", "--force", "--set", f"model.num_topics={TOPICS}", "--set",
          f"data.vocabulary={vocabulary}"]
print("| documents | file, MB | how | seconds | peak memory, MB | perplexity |\n" + "| --- " * 6 + "|")
for factor in arguments.factors:
    documents = factor * arguments.documents
    corpus, folder = os.path.join(arguments.folder, f"{factor}.ldac"), os.path.join(arguments.folder, f"run{factor}")
    write_corpus(corpus, documents, 2, topics)
    size = os.path.getsize(corpus) / 2**20
    hows = [("two stochastic passes from disk", [
        "--set", "data.stream=true", "--set", "model.gamma_start=fresh", "--set", "model.inner_iterations=20", "--set",
        "train.batch_size=100", "--set", "train.epochs=2", "--set", "train.rho={kind='power',delay=64,exponent=0.7}"])]
    if factor <= arguments.batch_up_to:
        hows.append(("40 batch passes in memory", ["--set", "train.epochs=40"]))
    for how, settings in hows:
        seconds, memory = run("train", "lda", "--data", corpus, "--out", folder, *common, *settings)
        print(f"| {documents} | {size:.0f} | {how} | {seconds:.0f} | {memory:.0f} | {perplexity(folder, held):.1f} |", flush=True)
