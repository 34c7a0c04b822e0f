#!/usr/bin/python3
"""Writes disentanglement.txt for tests/infer/disentanglement_test.cpp (made with scikit-learn 1.9.1, numpy 2.4.6).

600 items of three factors, the last of words, and four codes that mix them with noise, all by a formula. Lines: "mig",
"sap"; "tree" with the importance of each code and the held-out accuracy, from the first 400 items, for the first factor,
and for two mixtures of both; "factor_vae", of many more groups than vem draws. Usage: pip install scikit-learn; python3 disentanglement.py
"""
import numpy as np
from sklearn.metrics import mutual_info_score
from sklearn.tree import DecisionTreeClassifier

n = np.arange(600)
values = np.stack([n % 4, (n // 4) % 5, (n // 20) % 3], 1)
numbers = np.stack([values[:, 0], values[:, 1] ** 2], 1)  # of the first two factors
noise = lambda d: np.sin(1.7 * (n + 1) * (d + 1)) + np.cos(2.3 * n * (d + 2) + d)
z = np.stack([values[:, 0] + 0.7 * noise(0), values[:, 1] - 0.5 * values[:, 0] + 0.9 * noise(1),
              (values[:, 2] == 1) + 0.3 * values[:, 1] + 0.4 * noise(2), noise(3)], 1)
z = np.round(z * 1024) / 1024  # the same number in float32

bins = np.stack([np.clip(np.digitize(c, np.histogram(c, 20)[1][:-1]), 1, 20) for c in z.T], 1)


def gap(scores):
    return np.mean([s[-1] - s[-2] for s in np.sort(scores, 0).T])


information = np.array([[mutual_info_score(bins[:, l], values[:, f]) / mutual_info_score(values[:, f], values[:, f])
                         for f in range(3)] for l in range(4)])


def balanced(l):
    shares = np.array([[np.mean(bins[values[:, 2] == v, l] == b) for v in range(3)] for b in range(1, 21)])
    return shares.max(1).sum() / 3


predictability = np.array([[np.corrcoef(z[:, l], numbers[:, f])[0, 1] ** 2 for f in range(2)] + [balanced(l)] for l in range(4)])


labels = [values[:, 0], (values[:, 1] > 1).astype(int) + (z[:, 2] > 0.5), (values[:, 0] > 1) + 2 * (values[:, 1] > 1)]


def tree(label):
    """The smallest within a standard error of the best; the same whatever breaks ties, which is checked."""
    chosen = []
    for state in range(20):
        fits = [DecisionTreeClassifier(criterion="entropy", max_depth=depth, random_state=state).fit(z[:400], label[:400]) for depth in range(1, 17)]
        right = np.array([fit.score(z[400:], label[400:]) for fit in fits])
        best = right.max()
        first = np.flatnonzero(right >= best - np.sqrt(best * (1 - best) / 200))[0]
        chosen.append([*fits[first].feature_importances_, right[first]])
    assert np.allclose(chosen, chosen[0]), chosen
    return chosen[0]


def factor_vae(groups=200000, size=64):
    draw = np.random.default_rng(0)
    scaled = z / z.std(0)
    members = [[np.flatnonzero(values[:, f] == v) for v in range(values[:, f].max() + 1)] for f in range(3)]
    votes = np.zeros((4, 3))
    for _ in range(groups):
        f = draw.integers(3)
        items = members[f][values[draw.integers(600), f]]
        votes[scaled[draw.choice(items, size)].var(0).argmin(), f] += 1
    return votes.max(1).sum() / groups


with open("disentanglement.txt", "w") as out:
    print("mig", repr(float(gap(information))), file=out)
    print("sap", repr(float(gap(predictability))), file=out)
    for label in labels:
        print("tree", *[repr(float(v)) for v in tree(label)], file=out)
    print("factor_vae", factor_vae(), file=out)
