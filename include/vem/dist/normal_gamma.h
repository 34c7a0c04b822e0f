// D independent normal-gamma distributions over (mu, lambda), the conjugate family of a diagonal normal.
//   lambda ~ Gamma(a, rate b), mu | lambda ~ N(m, 1 / (beta lambda))
//   eta = (beta, beta m, 2 b + beta m^2, 2 a - 1), t = (-lambda mu^2 / 2, lambda mu, -lambda / 2, log(lambda) / 2),
// each of D numbers, so that a row x has the statistics s = (1, x, x^2, 1) and a missing cell has zeros.
#pragma once

#include "vem/dist/exponential_family.h"

namespace vem {

class NormalGamma final : public ExponentialFamily {
 public:
  /// variance_floor: the smallest variance that mode() returns (0: none). The floored mode is the exact constrained
  /// one.
  NormalGamma(int64_t num_features, double variance_floor) : D_(num_features), floor_(variance_floor) {}
  int64_t size() const override { return 4 * D_; }
  Tensor log_partition(const Tensor& eta) const override;
  Tensor mean(const Tensor& eta) const override;
  Tensor mode(const Tensor& eta) const override;
  Tensor sample(const Tensor& eta, const Rng& rng) const override;
  int64_t num_floored(const Tensor& eta) const override;

  /// The usual parameters, each [R, D].
  struct Parameters {
    Tensor beta, m, a, b;
  };
  static Parameters parameters(const Tensor& eta);
  static Tensor natural(const Parameters& p);
  /// Mean and variance [R, D] of the normal at the point t: E under a posterior gives m and 1 / E[lambda].
  static std::pair<Tensor, Tensor> moments(const Tensor& t);

 private:
  int64_t D_;
  double floor_;
};

}  // namespace vem
