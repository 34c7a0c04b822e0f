#include "vem/dist/bernoulli.h"

#include "check.h"
#include "draws.h"

namespace vem {

Bernoulli::Bernoulli(const Tensor& logits) : logits_(broadcast(name(), {{"logits", logits}})[0]) {
  set_shapes(logits_, 0);
}

Tensor Bernoulli::variance() const { return logits_.sigmoid() * (-logits_).sigmoid(); }
Tensor Bernoulli::entropy() const { return -log_prob(logits_, mean()); }
Tensor Bernoulli::log_prob(const Tensor& x) const { return log_prob(logits_, checked(x)); }

// Both terms keep their digits in their own tail, as x l - log(1 + e^l) does not.
Tensor Bernoulli::log_prob(const Tensor& logits, const Tensor& x) {
  return x * at::log_sigmoid(logits) + (1 - x) * at::log_sigmoid(-logits);
}

Tensor Bernoulli::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor u = uniform_noise(sample_shape, logits_, rng);
  return (u < mean()).to(logits_.scalar_type());
}

Tensor Bernoulli::log_partition(const Tensor& eta) const { return -at::log_sigmoid(-eta.squeeze(-1)); }
std::shared_ptr<const Distribution> Bernoulli::from_natural(const Tensor& eta) const {
  return std::make_shared<Bernoulli>(eta.squeeze(-1));
}

}  // namespace vem
