// Log-likelihoods from importance weights, with the numbers that say how far they can be trusted. Pure functions.
// The tail, its size and the threshold 0.7 are those of Pareto smoothed importance sampling (Vehtari, Simpson, Gelman,
// Yao and Gabry 2024, JMLR 25:72); the fit is that of Zhang and Stephens 2009 (Technometrics 51:316-325) with k's sign
// turned.
#pragma once

#include <vector>

#include "vem/core/types.h"

namespace vem {

/// One number an item: [items] float64.
struct ImportanceSummary {
  Tensor log_likelihood;     ///< log of the mean weight, nats: a lower bound on log p(x) in expectation
  Tensor effective_samples;  ///< (sum w)^2 / sum w^2, in [1, samples]
  Tensor pareto_k;  ///< shape of the weights' tail; NaN for fewer than 21 samples. Above 0.7: not to be trusted
};

/// log_weights [samples, items], log p(x, z) - log q(z | x) for z drawn from q. Throws DataError for another shape.
ImportanceSummary summarize_importance(const Tensor& log_weights);

/// The importance-weighted bound of `size` samples (Burda, Grosse and Salakhutdinov 2016; the ELBO for 1): [items]
/// float64, the mean over groups of that size; samples that fill no group are left out. Throws Error if there is none.
Tensor importance_bound(const Tensor& log_weights, int64_t size);

/// k-hat of one item's log weights (any order); NaN for fewer than 21, -infinity for weights that are all equal.
double pareto_k(std::vector<double> log_weights);

/// Shape k of the generalised Pareto distribution with density (1/s)(1 + k x / s)^(-1/k - 1), fitted to excesses x > 0
/// in ascending order (at least 5); `prior`: shrunk towards 0.5 as if by ten observations.
double generalized_pareto_shape(const std::vector<double>& excesses, bool prior = true);

}  // namespace vem
