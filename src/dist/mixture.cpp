#include "vem/dist/mixture.h"

#include "check.h"

namespace vem {

Mixture::Mixture(Categorical weights, std::shared_ptr<const Distribution> components)
    : weights_(std::move(weights)), components_(std::move(components)) {
  const Shape expected = concatenated(weights_.batch_shape(), {weights_.num_categories()});
  if (components_->batch_shape() != expected)
    fail<Error>("mixture: components have batch shape [{}] but [{}] is expected, that of the weights and their number",
                fmt::join(components_->batch_shape(), ", "), fmt::join(expected, ", "));
  set_shapes(weights_.batch_shape(), components_->event_shape());
}

Tensor Mixture::joint(const Tensor& x) const {
  check_shape(name(), x, batch_shape(), event_shape());
  return components_->log_prob(x.unsqueeze(-1 - event_dims())) + weights_.log_probs();
}
Tensor Mixture::log_prob(const Tensor& x) const { return at::logsumexp(joint(x), {-1}); }
Tensor Mixture::log_responsibilities(const Tensor& x) const { return at::log_softmax(joint(x), -1); }

Tensor Mixture::average(const Tensor& value) const {
  Tensor weights = weights_.log_probs().exp();
  for (int64_t i = 0; i < event_dims(); ++i) weights = weights.unsqueeze(-1);
  return (weights * value).sum(-1 - event_dims());
}
Tensor Mixture::mean() const {
  const Tensor means = components_->mean();
  return means.defined() ? average(means) : means;
}
// The mean of the variances plus the variance of the means.
Tensor Mixture::variance() const {
  const Tensor means = components_->mean(), variances = components_->variance();
  if (!means.defined() || !variances.defined()) return {};
  return average(variances + (means - average(means).unsqueeze(-1 - event_dims())).square());
}

Tensor Mixture::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor all = components_->sample(sample_shape, rng.fold("value"));
  Tensor chosen = weights_.sample(sample_shape, rng.fold("component")).unsqueeze(-1);
  for (int64_t i = 0; i < event_dims(); ++i) chosen = chosen.unsqueeze(-1);
  Shape shape(all.sizes().vec());
  shape[shape.size() - 1 - event_shape().size()] = 1;
  return all.gather(-1 - event_dims(), chosen.expand(shape)).squeeze(-1 - event_dims());
}

}  // namespace vem
