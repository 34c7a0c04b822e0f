#!/usr/bin/env python3
"""Topics of vem, scikit-learn and gensim (batch variational Bayes, their defaults) scored in one common way.

    python3 experiments/lda/peers.py CORPUS.ldac.gz [--vem build/vem] [--topics 50] [--passes 20] [--seeds 1 2]

Needs scikit-learn and gensim (pip install scikit-learn gensim, in an environment of its own). A fifth of the documents
is held out and halved; the topics of each program are scored by perplexity() in scoring.py. Prints the perplexity and
processor seconds of training, one thread, with the same priors and numbers of passes for all.
"""
import argparse, os, tempfile, time

for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[name] = "1"
import numpy as np

import runs
import scoring

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("corpus")
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--topics", type=int, default=50)
parser.add_argument("--passes", type=int, default=20)
parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
parser.add_argument("--tools", nargs="+", default=["vem", "vem cvb0", "scikit-learn", "gensim"])
arguments = parser.parse_args()
K = arguments.topics

rng = np.random.default_rng(0)
corpus = scoring.read(arguments.corpus)
D, V = corpus.shape
order = rng.permutation(D)
seen, held = scoring.halves(corpus[order[: D // 5]], rng)
train = corpus[np.sort(order[D // 5:])]


def vem(alpha, eta, seed, estimate="posterior"):
    with tempfile.TemporaryDirectory() as folder:
        data = scoring.write(folder + "/train", train)
        settings = [f"model.num_topics={K}", f"model.estimate={estimate}", f"model.document_concentration={alpha}",
                    f"model.topic_concentration={eta}", f"train.epochs={arguments.passes}", "train.tolerance=0"]
        seconds, _ = runs.train(arguments.vem, folder + "/run", data, settings, seed)
        runs.execute([arguments.vem, "export", folder + "/run", "--checkpoint", "last", "--format", "npy", "--force", "--out",
                      folder + "/topics.npy"])
        return np.load(folder + "/topics.npy"), seconds


def scikit_learn(alpha, eta, seed):
    from sklearn.decomposition import LatentDirichletAllocation
    begin = time.process_time()
    model = LatentDirichletAllocation(K, doc_topic_prior=alpha, topic_word_prior=eta, max_iter=arguments.passes,
                                      random_state=seed).fit(train)
    return model.components_ / model.components_.sum(1, keepdims=True), time.process_time() - begin


def gensim(alpha, eta, seed):
    from gensim.models import LdaModel
    documents = [list(zip(train[d].indices.tolist(), train[d].data.tolist())) for d in range(train.shape[0])]
    begin = time.process_time()
    model = LdaModel(documents, num_topics=K, id2word={w: str(w) for w in range(V)}, alpha=[alpha] * K, eta=eta,
                     passes=arguments.passes, update_every=0, random_state=seed, eval_every=None)
    return model.get_topics().astype(np.float64), time.process_time() - begin


TOOLS = {"vem": vem, "vem cvb0": lambda *a: vem(*a, "cvb0"), "scikit-learn": scikit_learn, "gensim": gensim}
runs.header("alpha, eta", "program", "perplexity, one number a seed", "seconds")
for alpha, eta in [(0.1, 0.05), (0.5, 0.5)]:
    for name in arguments.tools:
        scores, times = [], []
        for seed in arguments.seeds:
            topics, seconds = TOOLS[name](alpha, eta, seed)
            scores.append(f"{scoring.perplexity(topics, alpha, seen, held):.0f}")
            times.append(seconds)
        runs.row(f"{alpha}, {eta}", name, " ".join(scores), f"{np.median(times):.1f}")
