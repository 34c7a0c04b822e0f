#!/usr/bin/python3
"""Writes gaussian_mixture.txt: scikit-learn's EM (apt: python3-sklearn 1.2.1) for the four covariance structures, for
tests/models/golden_mixture_test.cpp.

Data: 120 rows of 3 columns by a formula. Start: the maximum likelihood estimate of the hard labels n mod 3. No floor on
variances. Lines: covariance, number of M-steps before, log-likelihood of the data.
"""
import numpy as np
from sklearn.mixture import GaussianMixture

n = np.arange(120.0)[:, None]
d = np.arange(3.0)[None, :]
centers = np.array([[0.0, 0.0, 0.0], [2.5, 1.0, -1.0], [-1.0, 2.0, 2.5]])
label = np.arange(120) % 3
x = centers[label] + np.sin(1.7 * (n + 1) * (d + 1)) + 0.5 * np.cos(2.3 * n + d * n / 7)

weights = np.bincount(label) / 120
means = np.stack([x[label == k].mean(0) for k in range(3)])
full = np.stack([np.cov(x[label == k].T, bias=True) for k in range(3)])
precisions = {
    "full": np.linalg.inv(full),
    "tied": np.linalg.inv((weights[:, None, None] * full).sum(0)),
    "diagonal": 1 / np.stack([np.diag(c) for c in full]),
    "spherical": 1 / np.array([np.trace(c) / 3 for c in full]),
}
with open("gaussian_mixture.txt", "w") as out:
    for covariance, start in precisions.items():
        for steps in range(20):
            model = GaussianMixture(3, covariance_type=covariance.replace("diagonal", "diag"), reg_covar=0, tol=0,
                                    max_iter=steps + 1, weights_init=weights, means_init=means, precisions_init=start)
            out.write(f"{covariance} {steps} {float(model.fit(x).lower_bound_ * 120)!r}\n")
