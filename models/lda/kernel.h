// The E-step of latent Dirichlet allocation on CSR documents: no dense documents x words, no stored phi. Knows tensors
// only; which update, which prior and which start are given.
// Legend: D documents, V words, K topics; theta topic weights of a document, beta word weights of a topic.
#pragma once

#include "vem/data/dataset.h"

namespace vem {

/// How a document's weights theta enter: their posterior expectation exp(E log theta) = exp(digamma(gamma) -
/// digamma(sum gamma)), variational Bayes (Blei, Ng, Jordan 2003, equations 6 to 8; Hoffman, Blei, Bach 2010); or
/// gamma / sum gamma, the zero-order collapsed update without the own token's correction (Foulds et al. 2013), which
/// is the mode in the softmax basis.
enum class LdaUpdate { variational, collapsed };

struct LdaSettings {
  LdaUpdate update = LdaUpdate::variational;
  int64_t max_iterations = 1;  ///< sweeps over a document, at least 1
  double tolerance = 0;        ///< mean change of gamma below which one more sweep is the last
  bool sums = true;            ///< whether the sums are wanted
};

/// Sums over documents, weighted; float64. Empty documents add nothing. `bound` is at the gamma with which the last
/// sweep began; `gamma` [D, K], in the type of the kernel, is what that sweep made of it, so passes that start there
/// never lower the bound.
struct LdaExpectation {
  Tensor bound, documents, tokens, iterations;  ///< []; `documents` are those with words
  Tensor unconverged;                           ///< [] documents that the limit of sweeps ended
  Tensor topics;                                ///< [K, V] d bound / d log beta: expected counts
  Tensor log_theta;                             ///< [K] sum of E[log theta], or of its log at the mode
  Tensor gamma;
};

class LdaKernel {
 public:
  /// log_beta [K, V] float64: E[log beta], or its log. alpha [K] float64. dtype: float32 or float64, of the products.
  LdaKernel(const Tensor& log_beta, const Tensor& alpha, at::ScalarType dtype);

  /// log_norm is log B(alpha) of the document prior, an argument of its own so that the bound is linear in it.
  /// `start` [D, K] or undefined; rows of NaN and an undefined start begin at alpha + tokens / K. The same bits for any
  /// number of threads.
  LdaExpectation expect(const Batch& batch, const Tensor& start, double log_norm, const LdaSettings& settings) const;

  /// One sweep of Gibbs sampling (uncollapsed): topics of tokens given theta [D, K] (undefined or NaN: the prior's
  /// mean), then new theta given them, as `gamma`. The bound is log p(w | theta, beta); sums are counts.
  LdaExpectation sample(const Batch& batch, const Tensor& theta, const Rng& rng) const;

 private:
  template <class T>
  LdaExpectation expect_as(const Batch& batch, const Tensor& start, double log_norm, const LdaSettings& settings) const;

  int64_t K_, V_, padded_;
  Tensor log_beta_;  ///< [K, V] float64
  Tensor alpha_;     ///< [K] float64
  Tensor largest_;   ///< [V] float64: max over topics of log_beta
  Tensor rows_;      ///< [V, padded]: exp(log_beta - largest), zeros beyond K
};

}  // namespace vem
