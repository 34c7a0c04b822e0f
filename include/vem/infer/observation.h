// An observation family maps rows to sufficient statistics s with log p(row | k) = <s, t_k> + base, and back.
// For a distribution over a latent it gives E_q[s], which is all that makes it a prior as well.
// Legend: N rows, D features, K components, P statistics.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "vem/core/registry.h"
#include "vem/dist/exponential_family.h"
#include "vem/dist/normal.h"
#include "vem/infer/block.h"

namespace vem {

/// Mean [D] and covariance [D, D] that a data-dependent prior is centred on, float64.
struct Moments {
  Tensor mean, covariance;
};
/// Weighted moments of rows x [N, D] with weights [N]; the covariance has the divisor sum(weight) - 1, so that whole
/// weights count as repeated rows. The same bits for any number of threads.
Moments moments(const Tensor& x, const Tensor& weight);

/// Base of the options of conjugate parts. The model that encloses them tells its estimate (it is no option here), so
/// that options without effect are left out; as long as nobody did, every option counts.
struct ConjugateOptions : Options {
  std::optional<Estimate> estimate;
  /// Whether some column is a real number whose unit is arbitrary, so that it may be shifted and scaled.
  virtual bool real_valued() const { return false; }
  bool has_prior() const { return estimate != Estimate::ml; }
  bool has_mode() const { return !estimate || *estimate == Estimate::ml || *estimate == Estimate::map; }
  static void tell(const Choice& choice, Estimate estimate);
};
/// Throws the ConfigError of an option that was changed although the estimate leaves it without effect.
void refuse_without_effect(bool changed, const std::string& option, const std::string& condition);

/// Rows against components at a fixed t: prepared once an E-step, then shared by its threads. No gradients.
/// Legend: F features, the columns of a row's statistics without repetitions.
class RowKernel {
 public:
  virtual ~RowKernel() = default;
  virtual Tensor features(const Tensor& x) const = 0;                          ///< rows [n, D] -> [n, F]
  virtual Tensor log_lik(const Tensor& features) const = 0;                    ///< -> [n, K]
  virtual Tensor sums(const Tensor& features, const Tensor& marginals) const;  ///< marginals [n, K] -> [K, F]
  virtual Tensor statistics(const Tensor& sums) const = 0;                     ///< [K, F] -> sums of s [K, P]
};

class Observation {
 public:
  static constexpr const char* kKind = "observation";
  struct Context {
    int64_t num_features;
    at::ScalarType dtype;  ///< of statistics and of log_lik: float32 means float32 products
    Estimate estimate = Estimate::posterior;
  };
  virtual ~Observation() = default;
  /// The family of one component's parameters, its t linear in the log-likelihood.
  virtual std::shared_ptr<const ExponentialFamily> family() const = 0;
  /// [D] bool: columns that are real numbers whose unit is arbitrary; a model may shift and scale these, and no others.
  virtual Tensor real_columns() const = 0;
  /// Natural parameters of the prior of K components [K, P], float64.
  virtual Tensor prior(int64_t num_components, const Moments& moments) const = 0;
  /// s of rows x [N, D] -> [N, P], in the context's dtype.
  virtual Tensor statistics(const Tensor& x) const = 0;
  /// E_q[s] [N, P], differentiable; ConfigError where the family is no prior for that kind of q.
  virtual Tensor statistics(const Distribution& q) const = 0;
  /// log p(row | k) - <s, t_k>, the same for every component: [] or [N, 1].
  virtual Tensor log_base(const Tensor& s) const = 0;
  /// [N, K] log-likelihoods, differentiable in s and t [K, P].
  virtual Tensor log_lik(const Tensor& s, const Tensor& t) const;
  /// The adjoint: marginals [N, K] -> sums [K, P].
  virtual Tensor sums(const Tensor& s, const Tensor& marginals) const;
  /// What the closed-form E-step runs on rows; the default is statistics(), log_lik() and sums(). `exact`: in float64
  /// whatever the context says, for rows whose distance from the components at t says nothing (a start).
  virtual std::unique_ptr<const RowKernel> kernel(const Tensor& t, bool exact = false) const;

  // For methods and exports: in float64 from rows x of any floating type, from tensors of the block only, for any
  // number of rows, so that they can be traced.

  /// log p(row | k) at t [N, K], by differences from the means.
  virtual Tensor log_prob(const Tensor& x, const Tensor& t) const = 0;
  /// log of the predictive density of a row, theta integrated over q at eta [N, K].
  virtual Tensor log_predictive(const Tensor& x, const Tensor& eta) const = 0;
  /// Draws a row for each component index [n]: [n, D] from the components at t.
  virtual Tensor sample(const Tensor& component, const Tensor& t, const Rng& rng) const = 0;
  /// Likewise from the predictive density.
  virtual Tensor sample_predictive(const Tensor& component, const Tensor& eta, const Rng& rng) const = 0;
  /// TorchScript statements that set `x` [n, D] given `n`, the component indices `label` [n] and the tensors of `block`
  /// ("components"): from the predictive density for a posterior, else at the point.
  virtual std::string sample_script(const std::string& block, Estimate estimate) const = 0;
  /// The components at t, for people and exports: "means" [K, D], "covariances" [K, D, D] or "variances" [K, D].
  virtual TensorMap describe(const Tensor& t) const = 0;
};

}  // namespace vem
