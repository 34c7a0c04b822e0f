#!/usr/bin/env python3
"""Where a document's inner iterations should begin: stored or fresh gamma, on three corpora.

    python3 experiments/lda/gamma_start.py DATA [--vem build/vem] [--topics 50] [--passes 20] [--corpora ap reuters395 20ng-etm-tr]

DATA holds ap, reuters395 and 20ng-etm-tr as .ldac.gz. A fifth of the documents is held out; half of the words of each
is predicted from the other half. Prints perplexity of completion and seconds of training, one thread.
"""
import argparse
import itertools
import json
import subprocess
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data")
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--topics", type=int, default=50)
parser.add_argument("--passes", type=int, default=20)
parser.add_argument("--corpora", nargs="+", default=["ap", "reuters395", "20ng-etm-tr"])
parser.add_argument("--out", default="runs/gamma-start")
arguments = parser.parse_args()

print("| corpus | alpha, eta | start | inner iterations | perplexity | seconds |\n| --- | --- | --- | --- | --- | --- |")
for corpus, (alpha, eta), (start, inner) in itertools.product(
        arguments.corpora, [(0.1, 0.05), (0.5, 0.5)],
        [("stored", 1), ("stored", 2), ("stored", 10), ("fresh", 5), ("fresh", 10), ("fresh", 50)]):
    command = [arguments.vem, "train", "lda", "--data", f"{arguments.data}/{corpus}.ldac.gz", "--out", arguments.out, "--force",
               "--seed", "1", "--threads", "1"]
    for setting in [f"model.num_topics={arguments.topics}", f"model.document_concentration={alpha}",
                    f"model.topic_concentration={eta}", f"model.gamma_start={start}", f"model.inner_iterations={inner}",
                    f"train.epochs={arguments.passes}", "train.tolerance=0", "data.test=0.2"]:
        command += ["--set", setting]
    begin = time.time()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.time() - begin
    subprocess.run([arguments.vem, "evaluate", arguments.out, "--checkpoint", "last"], check=True, stdout=subprocess.DEVNULL)
    with open(arguments.out + "/evaluation.json") as file:
        perplexity = json.load(file)["completion_perplexity"]
    print(f"| {corpus} | {alpha}, {eta} | {start} | {inner} | {perplexity:.0f} | {seconds:.1f} |", flush=True)
