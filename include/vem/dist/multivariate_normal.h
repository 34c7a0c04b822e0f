// Normal distributions of a vector [D] with dependent dimensions: full covariance, and low rank plus diagonal.
#pragma once

#include "vem/dist/natural_form.h"

namespace vem {

/// N(mean, L L') by the lower Cholesky factor L. eta = (P mean, packed(P)) and t = (x, -packed*(x x') / 2) with the
/// precision P; packed() is the upper triangle by rows, and packed*() doubles what is off the diagonal.
class FullNormal final : public Distribution, public NaturalForm {
 public:
  /// mean [batch, D], cholesky [batch, D, D], of which the upper triangle is not read; its diagonal must be positive.
  FullNormal(const Tensor& mean, const Tensor& cholesky);
  static FullNormal from_covariance(const Tensor& mean, const Tensor& covariance);
  static FullNormal from_precision(const Tensor& mean, const Tensor& precision);
  const char* name() const override { return "full-normal"; }
  Tensor mean() const override { return mean_; }
  const Tensor& cholesky() const { return cholesky_; }
  Tensor variance() const override;
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }
  using Distribution::rsample;
  Tensor rsample(const Tensor& noise) const override;

  Tensor natural() const override;
  Tensor statistics(const Tensor& x) const override;
  Tensor expected_statistics() const override;
  Tensor log_partition(const Tensor& eta) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor mean_, cholesky_;
};

/// N(mean, W W' + diag(d)) with W [D, R] of few columns: O(D R^2) a density, by the R x R capacitance I + W' W / d.
/// x = mean + W f + sqrt(d) e with f ~ N(0, I) [R] and e ~ N(0, I) [D].
class LowRankNormal final : public Distribution {
 public:
  /// mean [batch, D], factor [batch, D, R], diagonal [batch, D] > 0 (variances).
  LowRankNormal(const Tensor& mean, const Tensor& factor, const Tensor& diagonal);
  const char* name() const override { return "low-rank-normal"; }
  Tensor mean() const override { return mean_; }
  Tensor covariance() const;
  Tensor variance() const override;
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }
  using Distribution::rsample;
  /// noise [..., batch, D + R]: e, then f.
  Tensor rsample(const Tensor& noise) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor half_log_det() const;

  Tensor mean_, factor_, diagonal_;
  Tensor capacitance_;  // its lower Cholesky factor [batch, R, R]
};

}  // namespace vem
