#!/usr/bin/env python3
"""Topics of vem, scikit-learn and gensim (batch variational Bayes, their defaults) scored in one common way.

    python3 experiments/lda/peers.py CORPUS.ldac.gz [--vem build/vem] [--topics 50] [--passes 20] [--seeds 3]

Needs scikit-learn and gensim (pip install scikit-learn gensim, in an environment of its own). A fifth of the documents
is held out and halved; theta of a held-out document is found from its first half by 100 steps of
theta <- alpha + sum of phi, from the mean topics, and the words of the second half are scored. Prints perplexity and
seconds of training, one thread, with the same priors and numbers of passes for all.
"""
import argparse, gzip, os, subprocess, tempfile, time

for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[name] = "1"
import numpy as np
import scipy.sparse

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("corpus")
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--topics", type=int, default=50)
parser.add_argument("--passes", type=int, default=20)
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--tools", nargs="+", default=["vem", "vem cvb0", "scikit-learn", "gensim"])
arguments = parser.parse_args()
K = arguments.topics

with gzip.open(arguments.corpus, "rt") as file:
    documents = [[tuple(map(int, pair.split(":"))) for pair in line.split()[1:]] for line in file]
V = 1 + max(w for document in documents for w, _ in document)
rng = np.random.default_rng(0)
order = rng.permutation(len(documents))
held = [documents[i] for i in order[: len(documents) // 5]]
train = [documents[i] for i in np.sort(order[len(documents) // 5:])]
halves = []
for document in held:
    tokens = rng.permutation(np.repeat([w for w, _ in document], [c for _, c in document]))
    halves.append((np.bincount(tokens[::2], minlength=V), np.bincount(tokens[1::2], minlength=V)))


def perplexity(topics, alpha):
    log_prob = total = 0
    for seen, target in halves:
        w, t = np.flatnonzero(seen), np.flatnonzero(target)
        theta = np.full(K, 1 / K)
        for _ in range(100):
            phi = topics[:, w] * theta[:, None]
            theta = alpha + (phi / phi.sum(0) * seen[w]).sum(1)
            theta /= theta.sum()
        log_prob += target[t] @ np.log(theta @ topics[:, t])
        total += target.sum()
    return np.exp(-log_prob / total)


def vem(alpha, eta, seed, estimate="posterior"):
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/train.ldac", "w") as file:
            for d in train:
                file.write(f"{len(d)} " + " ".join(f"{w}:{c}" for w, c in d) + "\n")
        with open(folder + "/train.vocab", "w") as file:
            file.writelines(f"w{w}\n" for w in range(V))
        command = [arguments.vem, "train", "lda", "--data", folder + "/train.ldac", "--out", folder + "/run", "--seed",
                   str(seed), "--threads", "1"]
        for setting in [f"model.num_topics={K}", f"model.estimate={estimate}", f"model.document_concentration={alpha}",
                        f"model.topic_concentration={eta}", f"train.epochs={arguments.passes}"]:
            command += ["--set", setting]
        begin = time.time()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.time() - begin
        subprocess.run([arguments.vem, "export", folder + "/run", "--format", "npy", "--out", folder + "/topics.npy"],
                       check=True, stdout=subprocess.DEVNULL)
        return np.load(folder + "/topics.npy"), seconds


def scikit_learn(alpha, eta, seed):
    from sklearn.decomposition import LatentDirichletAllocation
    indptr = np.cumsum([0] + [len(d) for d in train])
    x = scipy.sparse.csr_matrix(([c for d in train for _, c in d], [w for d in train for w, _ in d], indptr),
                                shape=(len(train), V), dtype=np.float64)
    begin = time.time()
    model = LatentDirichletAllocation(K, doc_topic_prior=alpha, topic_word_prior=eta, max_iter=arguments.passes,
                                      random_state=seed).fit(x)
    return model.components_ / model.components_.sum(1, keepdims=True), time.time() - begin


def gensim(alpha, eta, seed):
    from gensim.models import LdaModel
    begin = time.time()
    model = LdaModel(train, num_topics=K, id2word={w: str(w) for w in range(V)}, alpha=[alpha] * K, eta=eta,
                     passes=arguments.passes, update_every=0, random_state=seed, eval_every=None)
    return model.get_topics().astype(np.float64), time.time() - begin


TOOLS = {"vem": vem, "vem cvb0": lambda *a: vem(*a, "cvb0"), "scikit-learn": scikit_learn, "gensim": gensim}
print("| alpha, eta | tool | perplexity, one number a seed | seconds |\n" + "| --- " * 4 + "|")
for alpha, eta in [(0.1, 0.05), (0.5, 0.5)]:
    for name in arguments.tools:
        scores, times = [], []
        for seed in range(1, arguments.seeds + 1):
            topics, seconds = TOOLS[name](alpha, eta, seed)
            scores.append(perplexity(topics, alpha))
            times.append(seconds)
        print(f"| {alpha}, {eta} | {name} | {' '.join(f'{s:.0f}' for s in scores)} | {np.median(times):.1f} |", flush=True)
