"""Writes hmm_em.txt: log-likelihoods before every M-step of EM as hmmlearn computes them (made with hmmlearn 0.3.3).

Data: a line "sequence state", the two real columns, a count and a symbol in 0..3. The start is the maximum of the
likelihood of the data together with the states. Usage: pip install hmmlearn; python3 hmm_em.py > hmm_em.txt
"""
import numpy as np
from hmmlearn import hmm

K, LENGTHS, ITERATIONS = 3, [17, 1, 25, 9, 30], 12
rng = np.random.default_rng(3)
N = sum(LENGTHS)
state = np.concatenate([(np.arange(n) // 4 + i) % K for i, n in enumerate(LENGTHS)])
centers = np.array([[0.0, 0.0], [1.5, 1.0], [-1.0, 2.0]])
real = np.round(centers[state] + rng.normal(size=(N, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]]), 6)
count = rng.poisson(np.array([2.0, 5.0, 9.0])[state])
symbol = (rng.random((N, 1)) > np.array([[0.5, 0.7, 0.9], [0.1, 0.2, 0.9], [0.1, 0.6, 0.7]])[state]).sum(1)

first = np.cumsum([0] + LENGTHS[:-1])
start = np.bincount(state[first], minlength=K) / len(LENGTHS)
inside = np.setdiff1d(np.arange(1, N), first)
pairs = np.zeros((K, K))
np.add.at(pairs, (state[inside - 1], state[inside]), 1)
share = np.eye(K)[state]
weight = share.sum(0)[:, None]


def history(model, x):
    model.startprob_, model.transmat_ = start, pairs / pairs.sum(1, keepdims=True)
    model.fit(x, LENGTHS)
    return " ".join(f"{value:.12f}" for value in model.monitor_.history)


def options(**more):
    return dict(n_components=K, n_iter=ITERATIONS, tol=-np.inf, init_params="", **more)


for row in zip(np.repeat(np.arange(len(LENGTHS)), LENGTHS), state, real, count, symbol):
    print(row[0], row[1], f"{row[2][0]:.6f} {row[2][1]:.6f}", row[3], row[4])
means = share.T @ real / weight
for kind in ["full", "diag"]:
    model = hmm.GaussianHMM(covariance_type=kind, covars_prior=0, min_covar=0, **options())
    model.means_ = means
    centred = [real[state == k] - means[k] for k in range(K)]
    full = np.stack([c.T @ c / len(c) for c in centred])
    model.covars_ = full if kind == "full" else np.stack([np.diag(c) for c in full])
    print(kind, history(model, real))
model = hmm.PoissonHMM(**options())
model.lambdas_ = share.T @ count[:, None] / weight
print("poisson", history(model, count[:, None]))
model = hmm.CategoricalHMM(n_features=4, **options())
model.emissionprob_ = share.T @ np.eye(4)[symbol] / weight
print("categorical", history(model, symbol[:, None]))
