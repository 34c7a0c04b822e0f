// Annealed importance sampling (Neal 2001): evidence estimates that need no good q, from both sides.
// Legend: C chains, N items, L latent dimensions, T temperatures.
#pragma once

#include <functional>

#include "vem/core/rng.h"
#include "vem/core/types.h"

namespace vem {

/// What is annealed: from p(z) to p(z) p(x | z). Each takes z [C, N, L] and gives [C, N], differentiable.
struct Annealed {
  std::function<Tensor(const Tensor&)> log_prior, log_likelihood;
};

struct AnnealingSettings {
  int64_t temperatures = 1000;  ///< between 0 and 1, denser at both ends (a sigmoid: Wu et al. 2017)
  int64_t leapfrog = 10;        ///< steps of a Hamiltonian move; their size is adapted to 65 % of moves accepted
};

struct AnnealingResult {
  Tensor log_weights;  ///< [C, N] float64: exp() of them is, on average, p(x) forwards, and 1 / p(x) backwards
  Tensor acceptance;   ///< [N] float64: share of moves accepted
};

/// From draws of the prior to the posterior. log-mean-exp of the weights is a lower bound of log p(x) on average.
AnnealingResult anneal(const Annealed& target, const Tensor& prior_draws, const AnnealingSettings& settings,
                       const Rng& rng);
/// From draws of the exact posterior, which only simulated data have, to the prior: minus log-mean-exp of the weights
/// is an upper bound of log p(x) on average (Grosse, Ghahramani and Adams 2015).
AnnealingResult anneal_back(const Annealed& target, const Tensor& posterior_draws, const AnnealingSettings& settings,
                            const Rng& rng);

}  // namespace vem
