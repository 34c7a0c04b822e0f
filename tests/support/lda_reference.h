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

/// alpha + tokens / K.
Tensor dense_start(const DenseLda& model);

/// CSR documents of counts [D, V], as a data set.
Dataset documents_of_counts(const Tensor& counts);
/// And back.
Tensor dense_counts(const Batch& batch, int64_t num_words);

}  // namespace vem
