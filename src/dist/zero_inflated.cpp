#include "vem/dist/zero_inflated.h"

#include "check.h"
#include "draws.h"

namespace vem {

ZeroInflated::ZeroInflated(std::shared_ptr<const Distribution> base, const Tensor& gate_logits)
    : base_(std::move(base)), gate_logits_(broadcast(name(), {{"gate_logits", gate_logits}})[0]) {
  const Shape& batch = base_->batch_shape();
  if (base_->support() != Support::count || !base_->event_shape().empty())
    fail<Error>("zero-inflated: base must be a distribution of counts, got {}", base_->name());
  if (!broadcasts_to(gate_logits_.sizes(), batch))
    fail<Error>("zero-inflated: gate_logits have shape [{}], which does not broadcast to the batch shape [{}] of {}",
                fmt::join(gate_logits_.sizes(), ", "), fmt::join(batch, ", "), base_->name());
  gate_logits_ = gate_logits_.expand(batch);
  set_shapes(batch, {});
}

Tensor ZeroInflated::mean() const { return (-gate_logits_).sigmoid() * base_->mean(); }
Tensor ZeroInflated::variance() const {
  const Tensor kept = (-gate_logits_).sigmoid();
  return kept * (base_->variance() + gate_logits_.sigmoid() * base_->mean().square());
}

Tensor ZeroInflated::log_prob(const Tensor& x) const {
  check_shape(name(), x, batch_shape(), event_shape());
  const Tensor kept = base_->log_prob(x) + at::log_sigmoid(-gate_logits_);
  return at::where(x == 0, at::logaddexp(kept, at::log_sigmoid(gate_logits_)), kept);
}

Tensor ZeroInflated::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor x = base_->sample(sample_shape, rng.fold("value"));
  return at::where(uniform_noise(sample_shape, gate_logits_, rng, "gate") < gate_logits_.sigmoid(), at::zeros_like(x),
                   x);
}

}  // namespace vem
