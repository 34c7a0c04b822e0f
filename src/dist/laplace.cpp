#include "vem/dist/laplace.h"

#include "check.h"
#include "draws.h"

namespace vem {

Laplace::Laplace(const Tensor& mean, const Tensor& scale) {
  const auto p = broadcast(name(), {{"mean", mean}, {"scale", scale}});
  mean_ = p[0];
  scale_ = positive(p[1], name(), "scale");
  set_shapes(mean_, 0);
}

Tensor Laplace::variance() const { return 2 * scale_ * scale_; }
Tensor Laplace::entropy() const { return (2 * scale_).log() + 1; }
Tensor Laplace::log_prob(const Tensor& x) const { return -(checked(x) - mean_).abs() / scale_ - (2 * scale_).log(); }
Tensor Laplace::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor centred = uniform_noise(sample_shape, mean_, rng) - 0.5;
  const Tensor standard = -centred.sign() * at::log1p(-2 * centred.abs());
  return mean_ + scale_ * standard.to(scale_.scalar_type());
}

}  // namespace vem
