#!/usr/bin/env python3
"""Document completion over seeds, with the number of passes chosen by the validation documents only.

    python3 experiments/lda/seeds.py DATA [--vem build/vem] [--topics 50] [--seeds 1 2 3 4 5] [--start clusters]

DATA holds 20ng-etm-{tr,va,ts,ts_h1,ts_h2}.ldac.gz. For each setting and seed, runs of some numbers of passes are
compared by completion of the validation documents (halved from seed 0), and the best one completes the test documents.
Everything that is not in the table is vem's default. One thread; nothing but the standard library is used.
"""
import argparse
import json
import os
import subprocess

SETTINGS = [("posterior", 0.1, 0.05, 1458), ("posterior", 0.5, 0.5, 1435), ("cvb0", 0.1, 0.1, 1414)]
PASSES = [5, 10, 20, 40]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data")
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--topics", type=int, default=50)
parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
parser.add_argument("--start", default="clusters")
parser.add_argument("--out", default="runs/lda-seeds")
arguments = parser.parse_args()


def run(*command):
    done = subprocess.run([arguments.vem, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")


def evaluated(folder, data, *more):
    run("evaluate", folder, "--checkpoint", "last", "--data", f"{arguments.data}/20ng-etm-{data}.ldac.gz", *more)
    with open(os.path.join(folder, "evaluation.json")) as file:
        return json.load(file)


print("| estimate | alpha, eta | bar | seed | passes | validation | test | NPMI | diversity |\n" + "| --- " * 9 + "|")
for estimate, alpha, eta, bar in SETTINGS:
    for seed in arguments.seeds:
        scores = []
        for passes in PASSES:
            folder = f"{arguments.out}-{estimate}-{passes}"
            run("train", "lda", "--data", f"{arguments.data}/20ng-etm-tr.ldac.gz", "--out", folder, "--force", "--seed",
                str(seed), "--threads", "1", "--set", f"model.num_topics={arguments.topics}", "--set",
                f"model.estimate={estimate}", "--set", f"model.document_concentration={alpha}", "--set",
                f"model.topic_concentration={eta}", "--set", f"model.start={arguments.start}", "--set",
                f"train.epochs={passes}")
            scores.append((evaluated(folder, "va")["completion_perplexity"], passes, folder))
        score, passes, folder = min(scores)
        held_out = f"{arguments.data}/20ng-etm-ts_h2.ldac.gz"
        test = evaluated(folder, "ts_h1", "--held-out", held_out)["completion_perplexity"]
        quality = evaluated(folder, "ts")
        print(f"| {estimate} | {alpha}, {eta} | {bar} | {seed} | {passes} | {score:.0f} | {test:.0f} | "
              f"{quality['npmi']:.3f} | {quality['topic_diversity']:.2f} |", flush=True)
