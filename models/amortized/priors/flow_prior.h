// What priors by flows share: p(z) = N(u; 0, I) |du / dz| with u = f(z), drawn by z = f^-1(noise).
#pragma once

#include "vem/infer/prior.h"

namespace vem {

class FlowPrior : public Prior {
 public:
  Tensor log_prob(const Tensor& z, const Batch& batch, const TensorMap& globals) const final;
  Tensor kl(const Distribution&, const Batch&, const TensorMap&) const final { return {}; }
  Tensor sample(const Tensor& index, const Rng& rng) const final;
  /// "prior_draw": z of standard normal noise.
  std::vector<Method> methods() const final;

 protected:
  explicit FlowPrior(const Context& context) : latent_dim_(context.latent_dim), dtype_(context.dtype) {}
  /// u [..., L] of z [..., L], and log |du / dz| [...].
  virtual std::pair<Tensor, Tensor> whitened(const Tensor& z) const = 0;
  /// z [..., L] of u [..., L].
  virtual Tensor coloured(const Tensor& u) const = 0;
  /// Log standard deviations from unbounded numbers: near them, and of a size below 5, so that no draw explodes.
  static Tensor bounded(const Tensor& log_scale);

  const int64_t latent_dim_;
  const at::ScalarType dtype_;
};

}  // namespace vem
