#!/usr/bin/python3
"""Writes low_rank.txt: scikit-learn's probabilistic PCA and factor analysis (made with scikit-learn 1.9.1), for
tests/models/low_rank_test.cpp.

Data: 120 rows of 5 columns by a formula: two periodic latents, loadings and a noise of its own a column. Lines: model,
rank, log-likelihood of the data, then the noise variances, then the latent means of row 7 up to signs (of PCA
transformed to E[z | x]). Usage: pip install scikit-learn; python3 low_rank.py > low_rank.txt
"""
import numpy as np
from sklearn.decomposition import PCA, FactorAnalysis

n = np.arange(120.0)[:, None]
d = np.arange(5.0)[None, :]
z = np.concatenate([2 * np.sin(0.7 * n), 1.5 * np.cos(1.3 * n + 1)], 1)
W = np.array([[1.0, 0.8, -0.6, 0.3, 1.2], [-0.4, 1.0, 0.5, 1.1, -0.7]])
x = z @ W + 3 + (0.2 + 0.15 * d) * np.sin(1.7 * (n + 1) * (d + 1)) + 0.1 * np.cos(2.3 * n + d * n / 7)

def line(name, rank, total, noise, latents):
    print(name, rank, " ".join(repr(float(v)) for v in [total, *noise, *latents]))

for rank in [1, 2, 3]:
    # scikit-learn divides by N - 1; the maximum of the likelihood divides by N, so its covariance is put in its place.
    S = np.cov(x.T, bias=True)
    values, vectors = np.linalg.eigh(S)
    values, vectors = values[::-1], vectors[:, ::-1]
    model = PCA(rank, svd_solver="full").fit(x)
    model.explained_variance_ = values[:rank]
    model.noise_variance_ = values[rank:].mean()
    C = model.get_covariance()
    scale = np.sqrt(values[:rank] - model.noise_variance_)
    latents = (vectors[:, :rank] * scale).T @ np.linalg.solve(C, x[7] - x.mean(0))
    line("ppca", rank, model.score(x) * 120, [model.noise_variance_] * 5, latents)
for rank in [1, 2]:
    model = FactorAnalysis(rank, tol=1e-13, max_iter=1000000, svd_method="lapack").fit(x)
    line("factor", rank, model.score(x) * 120, model.noise_variance_, model.transform(x[7:8])[0])
