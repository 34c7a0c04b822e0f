// Whether chains of a sampler have mixed: Gelman et al., Bayesian Data Analysis (3rd edition), sections 11.4 and 11.5.
// For quantities that do not depend on the labels of components, such as the log-likelihood.
#pragma once

#include "vem/core/types.h"

namespace vem {

/// Split R-hat (11.4) of chains [M, n] float64, each cut into halves, n >= 4. Near 1 once they have mixed; NaN where
/// nothing varies.
double split_r_hat(const Tensor& chains);
/// Effective sample size (11.8) of all draws of the split chains: autocorrelations are summed up to the first odd lag
/// after which two neighbours are negative together (Geyer 1992). At most M n; NaN where nothing varies.
double effective_sample_size(const Tensor& chains);

/// Puts the components of draws [S, K, P] into one order, since sampling leaves that open: order [S, K] int64 such that
/// component order[s][k] of draw s is nearest to component k of the mean of all draws in their order, in units of each
/// column's standard deviation. Starts from draw `pivot`, the most probable one (Marin, Mengersen and Robert 2005),
/// then alternates between the assignments and the mean until nothing changes (after Stephens 2000).
Tensor aligned(const Tensor& draws, int64_t pivot);

}  // namespace vem
