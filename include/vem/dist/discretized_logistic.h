// A logistic distribution in the bins of equally spaced levels.
#pragma once

#include "vem/dist/distribution.h"

namespace vem {

/// Levels 0, 1 / (n - 1) ... 1 of a pixel: each has the mass that a logistic density has within half a level of it, the
/// outermost ones also what lies beyond (Salimans et al. 2017, equation 2), so the masses add up to one. log_prob()
/// takes a value to its nearest level.
class DiscretizedLogistic final : public Distribution {
 public:
  /// mean (of the density) and scale > 0 [batch].
  DiscretizedLogistic(const Tensor& mean, const Tensor& scale, int64_t num_levels);
  const char* name() const override { return "discretized-logistic"; }
  Support support() const override { return Support::unit_interval; }
  Tensor mean() const override { return mean(mean_, scale_, num_levels_); }
  Tensor variance() const override;
  Tensor log_prob(const Tensor& x) const override;
  /// The formula alone, unchecked.
  static Tensor mean(const Tensor& mean, const Tensor& scale, int64_t num_levels);

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor mean_, scale_;
  int64_t num_levels_;
};

}  // namespace vem
