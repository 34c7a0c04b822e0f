// Latent Dirichlet allocation written out with dense tensors: every phi [D, V, K] is there, and the bound is summed
// term by term as in Blei, Ng, Jordan 2003, equation 15. What the CSR kernel is checked against.
#pragma once

#include "vem/data/dataset.h"

namespace vem {

struct DenseLda {
  Tensor counts;    ///< [D, V] float64
  Tensor log_beta;  ///< [K, V] float64
  Tensor alpha;     ///< [K] float64
  bool collapsed;   ///< theta at its mode in the softmax basis, instead of a posterior
};

struct DenseSweep {
  Tensor bound;      ///< [D], 0 for empty documents
  Tensor topics;     ///< [D, K, V]
  Tensor log_theta;  ///< [D, K]
  Tensor gamma;      ///< [D, K]: after the sweep
};

/// One sweep from gamma [D, K]; bound and sums at that gamma.
DenseSweep dense_sweep(const DenseLda& model, const Tensor& gamma);

struct DenseDraw {
  Tensor log_prob;  ///< [D] log p(w | theta, beta)
  Tensor topics;    ///< [D, K, V] counts of tokens
  Tensor theta;     ///< [D, K] the new weights
};

/// One sweep of Gibbs sampling from theta [D, K], token by token: z_i is drawn from p(z_i = k | theta, beta), which is
/// theta_k beta_kw over its sum, then theta from Dirichlet(alpha + counts), with the numbers that the kernel draws.
DenseDraw dense_draw(const DenseLda& model, const Tensor& theta, const Rng& rng);

/// alpha + tokens / K.
Tensor dense_start(const DenseLda& model);

/// CSR documents of counts [D, V], as a data set.
Dataset documents_of_counts(const Tensor& counts);
/// And back.
Tensor dense_counts(const Batch& batch, int64_t num_words);

}  // namespace vem
