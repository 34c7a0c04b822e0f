// An observation family maps rows to sufficient statistics s with log p(row | k) = <s, t_k> + base, and back.
// For a distribution over a latent it gives E_q[s], which is all that makes it a prior as well.
// Legend: N rows, D features, K components, P statistics.
#pragma once

#include <memory>

#include "vem/core/registry.h"
#include "vem/dist/distribution.h"
#include "vem/dist/exponential_family.h"

namespace vem {

/// Mean [D] and covariance [D, D] that a data-dependent prior is centred on, float64.
struct Moments {
  Tensor mean, covariance;
};

class Observation {
 public:
  static constexpr const char* kKind = "observation";
  struct Context {
    int64_t num_features;
    at::ScalarType dtype;  ///< of statistics and of log_lik: float32 means float32 products
  };
  virtual ~Observation() = default;
  /// The family of one component's parameters, its t linear in the log-likelihood.
  virtual std::shared_ptr<const ExponentialFamily> family() const = 0;
  /// Natural parameters of the prior of K components [K, P], float64.
  virtual Tensor prior(int64_t num_components, const Moments& moments) const = 0;
  /// s of rows x [N, D] -> [N, P], in the context's dtype.
  virtual Tensor statistics(const Tensor& x) const = 0;
  /// E_q[s] [N, P], differentiable; ConfigError where the family is no prior for that kind of q.
  virtual Tensor statistics(const Distribution& q) const = 0;
  /// log p(row | k) - <s, t_k>: one number, the same for every row of complete data, unless log_base is overridden.
  virtual Tensor log_base(const Tensor& s) const = 0;
  /// [N, K] log-likelihoods, differentiable in s and t [K, P].
  virtual Tensor log_lik(const Tensor& s, const Tensor& t) const;
  /// The adjoint: marginals [N, K] -> sums [K, P].
  virtual Tensor sums(const Tensor& s, const Tensor& marginals) const;
  /// Draws a row for each component index [n]: [n, D] from the components at t.
  virtual Tensor sample(const Tensor& component, const Tensor& t, const Rng& rng) const = 0;
  /// The components at t, for people and exports: "means" [K, D], "covariances" [K, D, D] or "variances" [K, D].
  virtual TensorMap describe(const Tensor& t) const = 0;
};

}  // namespace vem
