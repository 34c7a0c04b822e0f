// The Laplace distribution.
#pragma once

#include "vem/dist/distribution.h"

namespace vem {

/// exp(-|x - mean| / scale) / (2 scale).
class Laplace final : public Distribution {
 public:
  Laplace(const Tensor& mean, const Tensor& scale);
  const char* name() const override { return "laplace"; }
  Tensor mean() const override { return mean_; }
  const Tensor& scale() const { return scale_; }
  Tensor variance() const override;
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor mean_, scale_;
};

}  // namespace vem
