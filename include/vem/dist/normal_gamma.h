// D independent normal-gamma distributions over (mu, lambda), the conjugate family of a diagonal normal.
//   lambda ~ Gamma(a, rate b), mu | lambda ~ N(m, 1 / (beta lambda))
//   eta = (beta, beta m, 2 b + beta m^2, 2 a - 1), t = (-lambda mu^2 / 2, lambda mu, -lambda / 2, log(lambda) / 2),
// each of D numbers, so that a row x has the statistics s = (1, x, x^2, 1) and a missing cell has zeros.
#pragma once

#include "vem/dist/exponential_family.h"
#include "vem/dist/gamma.h"

namespace vem {

class NormalGammaFamily final : public ExponentialFamily {
 public:
  /// variance_floor: the smallest variance that mode() returns (0: none). The floored mode is the exact constrained
  /// one.
  NormalGammaFamily(int64_t num_features, double variance_floor) : D_(num_features), floor_(variance_floor) {}
  int64_t size() const override { return 4 * D_; }
  int64_t num_free() const override { return 2 * D_; }
  Tensor log_partition(const Tensor& eta) const override;
  Tensor mean(const Tensor& eta) const override;
  Tensor mode(const Tensor& eta) const override;
  Tensor sample(const Tensor& eta, const Rng& rng) const override;
  int64_t num_floored(const Tensor& eta) const override;
  Tensor unconstrained(const Tensor& eta) const override;  ///< (log beta, m, log a, log b)
  Tensor constrained(const Tensor& coordinates) const override;

  /// The usual parameters, each [R, D].
  struct Parameters {
    Tensor beta, m, a, b;
  };
  static Parameters parameters(const Tensor& eta);
  static Tensor natural(const Parameters& p);
  /// Mean and variance [R, D] of the normal at the point t: E under a posterior gives m and 1 / E[lambda].
  static std::pair<Tensor, Tensor> moments(const Tensor& t);
  /// t at (mu, lambda), each [..., D].
  static Tensor statistics(const Tensor& mu, const Tensor& lambda);

 private:
  int64_t D_;
  double floor_;
};

/// The pair (mu, lambda) as one event [2], for each of a batch: lambda ~ Gamma(concentration, rate),
/// mu | lambda ~ N(mean, 1 / (beta lambda)). eta and t as above for one feature.
class NormalGamma final : public Distribution, public NaturalForm {
 public:
  NormalGamma(const Tensor& mean, const Tensor& beta, const Tensor& concentration, const Tensor& rate);
  const char* name() const override { return "normal-gamma"; }
  Support support() const override { return Support::other; }
  Tensor mean() const override;
  Tensor variance() const override;  ///< of mu infinite where concentration <= 1
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }

  Tensor natural() const override;
  Tensor statistics(const Tensor& x) const override;
  Tensor expected_statistics() const override;
  Tensor log_partition(const Tensor& eta) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  explicit NormalGamma(const std::vector<Tensor>& parameters);

  Tensor mean_, beta_, concentration_, rate_;
  Gamma precision_;
};

}  // namespace vem
