// A mixture of K distributions of one family.
#pragma once

#include <memory>

#include "vem/dist/categorical.h"

namespace vem {

/// sum_k weight_k p_k(x): `weights` [batch] over K categories, `components` with the batch shape [batch, K]. Draws
/// choose a component, so they are not differentiable; entropy and divergences have no closed form.
class Mixture final : public Distribution {
 public:
  Mixture(Categorical weights, std::shared_ptr<const Distribution> components);
  const char* name() const override { return "mixture"; }
  Support support() const override { return components_->support(); }
  Tensor mean() const override;
  Tensor variance() const override;
  Tensor log_prob(const Tensor& x) const override;
  /// log of the posterior probability of each component [..., batch, K] given x [..., batch, event].
  Tensor log_responsibilities(const Tensor& x) const;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  /// log(weight_k p_k(x)) [..., batch, K].
  Tensor joint(const Tensor& x) const;
  /// sum_k weight_k value_k [batch, event] of [batch, K, event].
  Tensor average(const Tensor& value) const;
  int64_t event_dims() const { return static_cast<int64_t>(event_shape().size()); }

  Categorical weights_;
  std::shared_ptr<const Distribution> components_;
};

}  // namespace vem
