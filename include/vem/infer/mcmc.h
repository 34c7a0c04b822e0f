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

/// Puts the components of draws into one order, since sampling leaves that open: order [S, K] int64 such that component
/// order[s][k] of draw s is component k of all of them. Here by what the components explain, which does not depend on
/// the scales of parameters: assignments [S, R] int64 give the component, of K, of each of R rows in each draw. Rows in
/// common with the mean of all draws in their order are maximised, starting from draw `pivot`, the most probable one,
/// until nothing changes (Papastamoulis and Iliopoulos 2010, iterated as in Stephens 2000).
Tensor aligned_by_assignments(const Tensor& assignments, int64_t K, int64_t pivot);
/// The same by parameters [S, K, P], for draws without assignments: component order[s][k] of draw s is nearest to
/// component k of the mean of all draws in their order, each column in units of its standard deviation within a
/// component, so that what tells components apart counts for more than what does not (Marin, Mengersen and Robert
/// 2005).
Tensor aligned(const Tensor& draws, int64_t pivot);

}  // namespace vem
