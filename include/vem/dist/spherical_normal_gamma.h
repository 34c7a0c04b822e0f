// D means with one precision: lambda ~ Gamma(a, rate b), mu_d | lambda ~ N(m_d, 1 / (beta_d lambda)), the conjugate
// family of a normal with the covariance I / lambda. A beta a dimension, so that missing cells are exact.
//   eta = (beta [D], beta m [D], 2 b + sum beta m^2, 2 a - 2 + D), t = (-lambda mu^2 / 2 [D], lambda mu [D], -lambda /
//   2, log(lambda) / 2). Each (mu_d, lambda) is normal-gamma.
#pragma once

#include "vem/dist/normal_gamma.h"

namespace vem {

class SphericalNormalGammaFamily final : public ExponentialFamily {
 public:
  /// variance_floor as in NormalGamma.
  SphericalNormalGammaFamily(int64_t num_features, double variance_floor) : D_(num_features), floor_(variance_floor) {}
  int64_t size() const override { return 2 * D_ + 2; }
  int64_t num_free() const override { return D_ + 1; }
  Tensor log_partition(const Tensor& eta) const override;
  Tensor mean(const Tensor& eta) const override;
  Tensor mode(const Tensor& eta) const override;
  Tensor sample(const Tensor& eta, const Rng& rng) const override;
  int64_t num_floored(const Tensor& eta) const override;
  Tensor unconstrained(const Tensor& eta) const override;  ///< (log beta, m, log a, log b)
  Tensor constrained(const Tensor& coordinates) const override;

  /// The normal-gamma eta [R, 4 D] of each dimension.
  Tensor marginals(const Tensor& eta) const;
  /// The spherical prior of a row [R, 4 D] of equal normal-gamma ones: their a, and the mean of their b.
  Tensor shared(const Tensor& eta) const;
  /// t [R, size()] to the [R, 4 D] of a normal-gamma, and its adjoint.
  Tensor expand(const Tensor& t) const;
  Tensor collapse(const Tensor& sums) const;

 private:
  /// The usual parameters: beta, m [R, D], a, b [R, 1].
  struct Parameters {
    Tensor beta, m, a, b;
  };
  Parameters parameters(const Tensor& eta) const;
  Tensor natural(const Parameters& p) const;
  Tensor free_variance(const Tensor& eta) const;

  int64_t D_;
  double floor_;
};

}  // namespace vem
