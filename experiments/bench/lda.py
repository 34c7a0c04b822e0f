#!/usr/bin/env python3
"""Topics by vem, scikit-learn and tomotopy on 20 Newsgroups, one thread each: seconds of a pass, perplexity by seconds.

    python3 experiments/bench/lda.py DATA [--vem build/vem] [--parts passes curve] [--rounds 3] [--json FILE]

Needs scikit-learn and tomotopy (pip install scikit-learn tomotopy, in an environment of its own). DATA/bow holds
20ng-etm-{tr,va,ts_h1,ts_h2}.ldac.gz. Seconds are the processor's, of training alone: what vem needs to start and to
read is measured and taken off, as the rivals get their documents ready.

passes: both make the same number of sweeps over each document, from a fresh start, with no early end; medians of the
rounds of the difference between two runs, one of which makes more passes.
curve: the topics after some passes, all scored by perplexity() of experiments/lda/scoring.py, 50 topics; of each program
the pass that completes the validation documents best is marked.
"""
import argparse, json, os, statistics, sys, tempfile, time

for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[name] = "1"
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lda"))
import runs
import scoring

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data")
parser.add_argument("--vem", default="build/vem")
parser.add_argument("--topics", type=int, default=50)
parser.add_argument("--parts", nargs="+", choices=["passes", "curve"], default=["passes"])
parser.add_argument("--json", help="file for the results")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--sweeps", type=int, nargs="+", default=[2, 10, 50])
arguments = parser.parse_args()
K = arguments.topics


def corpus(part):
    return os.path.join(arguments.data, "bow", f"20ng-etm-{part}.ldac.gz")


train = scoring.read(corpus("tr"))
D, V = train.shape
folder = tempfile.TemporaryDirectory()


def ours(passes, *settings):
    """Processor seconds of the whole program."""
    return runs.train(arguments.vem, folder.name, corpus("tr"), [f"model.num_topics={K}", "train.tolerance=0",
                      f"train.epochs={passes}", *settings])[0]


def scikit_learn(alpha, eta, passes, **more):
    """The topics after each number of passes, with processor seconds; by the steps that fit() makes."""
    from sklearn.decomposition import LatentDirichletAllocation
    model = LatentDirichletAllocation(K, doc_topic_prior=alpha, topic_word_prior=eta, random_state=1, **more)
    begin = time.process_time()
    model._init_latent_vars(V, dtype=np.float64)
    for done in range(1, max(passes) + 1):
        model._em_step(train, total_samples=D, batch_update=True)
        if done in passes:
            yield done, time.process_time() - begin, model.components_ / model.components_.sum(1, keepdims=True)


def tomotopy(alpha, eta, passes):
    """Collapsed Gibbs sampling, hyperparameters fixed."""
    import tomotopy
    model = tomotopy.LDAModel(k=K, alpha=alpha, eta=eta, seed=1)
    model.optim_interval = 0
    for d in range(D):
        row = train[d]
        model.add_doc(np.repeat(row.indices, row.data.astype(int)).astype(str))
    model.train(0, workers=1)
    place = [int(word) for word in model.used_vocabs]
    seconds = 0
    for before, done in zip([0, *passes], passes):
        begin = time.process_time()
        model.train(done - before, workers=1)
        seconds += time.process_time() - begin
        topics = np.full((K, V), 1e-12)
        topics[:, place] = [model.get_topic_word_dist(k) for k in range(K)]
        yield done, seconds, topics


def vem(estimate, alpha, eta, passes):
    for done in passes:
        seconds = ours(done, f"model.estimate={estimate}", f"model.document_concentration={alpha}",
                       f"model.topic_concentration={eta}") - overhead()
        topics = os.path.join(folder.name, "topics.npy")
        runs.execute([arguments.vem, "export", folder.name, "--checkpoint", "last", "--format", "npy", "--out", topics, "--force"])
        yield done, seconds, np.load(topics)


def overhead():
    """Seconds of vem before its topics begin: one pass from random topics, less a pass."""
    if not OVERHEAD:
        rounds = [(ours(1, "model.start=random"), ours(11, "model.start=random")) for _ in range(arguments.rounds)]
        OVERHEAD.append(statistics.median(one - (eleven - one) / 10 for one, eleven in rounds))
    return OVERHEAD[0]


OVERHEAD = []


def passes():
    runs.header("sweeps a document", "scikit-learn, s a pass", "vem, s a pass", "ratio")
    results = []
    for sweeps in arguments.sweeps:
        theirs, own = [], []
        settings = ["model.gamma_start=fresh", f"model.inner_iterations={sweeps}", "model.inner_tolerance=0",
                    "model.start=random"]
        for _ in range(arguments.rounds):
            one, two = (s for _, s, _ in scikit_learn(0.1, 0.05, [1, 2], max_doc_update_iter=sweeps, mean_change_tol=0))
            theirs.append(two - one)
            own.append((ours(12, *settings) - ours(2, *settings)) / 10)
        a, b = statistics.median(theirs), statistics.median(own)
        runs.row(sweeps, f"{a:.3f}", f"{b:.4f}", f"{a / b:.1f}")
        results.append({"case": f"a pass, {sweeps} sweeps", "scikit_learn": a, "vem": b, "ratio": a / b})
    return results


def curve():
    validation = scoring.halves(scoring.read(corpus("va"), V), np.random.default_rng(0))
    test = [scoring.read(corpus(part), V) for part in ("ts_h1", "ts_h2")]
    methods = [
        ("vem, CVB0", 0.1, lambda: vem("cvb0", 0.1, 0.1, [3, 5, 10, 20])),
        ("vem, VB", 0.5, lambda: vem("posterior", 0.5, 0.5, [5, 10, 20])),
        ("tomotopy", 0.1, lambda: tomotopy(0.1, 0.1, [50, 200])),
        ("scikit-learn", 0.5, lambda: scikit_learn(0.5, 0.5, [10, 20, 30])),
    ]
    runs.header("program", "alpha", "passes", "seconds", "validation", "test", "chosen")
    results = []
    for name, alpha, points in methods:
        rows = [(scoring.perplexity(topics, alpha, *validation), done, seconds, scoring.perplexity(topics, alpha, *test))
                for done, seconds, topics in points()]
        for row in rows:
            score, done, seconds, perplexity = row
            runs.row(name, alpha, done, f"{seconds:.2f}", f"{score:.0f}", f"{perplexity:.0f}",
                     "*" if row == min(rows) else "")
            results.append({"program": name, "alpha": alpha, "passes": done, "seconds": seconds, "validation": score,
                            "test": perplexity, "chosen": row == min(rows)})
    return results


results = {"results" if part == "passes" else part: globals()[part]() for part in arguments.parts}
if arguments.json:
    with open(arguments.json, "w") as file:
        json.dump(results, file, indent=1)
