// Draws add Gumbel noise to the logits: the largest is a categorical draw, their softmax the relaxed one.
#include "vem/dist/categorical.h"

#include "check.h"
#include "draws.h"

namespace vem {
namespace {

Tensor noisy(const Tensor& logits, const Shape& sample_shape, const Rng& rng) {
  return logits + gumbel_noise(sample_shape, logits, rng);
}

}  // namespace

Categorical::Categorical(const Tensor& logits) : logits_(broadcast(name(), {{"logits", logits, 1}})[0]) {
  set_shapes(logits_.select(-1, 0), 0);
}

Tensor Categorical::log_probs() const { return at::log_softmax(logits_, -1); }

Tensor Categorical::entropy() const {
  const Tensor log_p = log_probs();
  return -(log_p.exp() * log_p).sum(-1);
}

Tensor Categorical::log_prob(const Tensor& x) const {
  const Tensor category = checked(x).to(at::kLong);
  if (category.numel() > 0 && ((category < 0).any() | (category >= num_categories()).any()).item<bool>())
    fail<DataError>("{}.log_prob: x must be a category 0 .. {}, got {} .. {}", name(), num_categories() - 1,
                    category.min().item<int64_t>(), category.max().item<int64_t>());
  const Tensor log_p = log_probs(), wide = at::broadcast_tensors({category, log_p.select(-1, 0)})[0];
  return log_p.expand(concatenated(wide.sizes().vec(), {num_categories()})).gather(-1, wide.unsqueeze(-1)).squeeze(-1);
}

Tensor Categorical::draw(const Shape& sample_shape, const Rng& rng) const {
  return noisy(logits_, sample_shape, rng).argmax(-1);
}

Tensor Categorical::statistics(const Tensor& x) const {
  return at::one_hot(x.to(at::kLong), num_categories()).to(logits_.scalar_type());
}
Tensor Categorical::expected_statistics() const { return at::softmax(logits_, -1); }
Tensor Categorical::log_partition(const Tensor& eta) const { return at::logsumexp(eta, {-1}); }
std::shared_ptr<const Distribution> Categorical::from_natural(const Tensor& eta) const {
  return std::make_shared<Categorical>(eta);
}

OneHotCategorical::OneHotCategorical(const Tensor& logits) : category_(broadcast(name(), {{"logits", logits, 1}})[0]) {
  set_shapes(category_.logits(), 1);
}

Tensor OneHotCategorical::variance() const {
  const Tensor p = mean();
  return p * (1 - p);
}
Tensor OneHotCategorical::log_prob(const Tensor& x) const { return (checked(x) * category_.log_probs()).sum(-1); }
Tensor OneHotCategorical::draw(const Shape& sample_shape, const Rng& rng) const {
  return category_.statistics(category_.sample(sample_shape, rng));
}
std::shared_ptr<const Distribution> OneHotCategorical::from_natural(const Tensor& eta) const {
  return std::make_shared<OneHotCategorical>(eta);
}

RelaxedOneHotCategorical::RelaxedOneHotCategorical(const Tensor& temperature, const Tensor& logits) {
  const auto p = broadcast(name(), {{"temperature", temperature}, {"logits", logits, 1}});
  temperature_ = positive(p[0], name(), "temperature").unsqueeze(-1);
  logits_ = p[1];
  set_shapes(logits_, 1);
}

// log Gamma(K) + (K - 1) log T + sum_k (l_k - (T + 1) log x_k) - K log sum_k exp(l_k - T log x_k)
Tensor RelaxedOneHotCategorical::log_prob(const Tensor& x) const {
  const auto K = static_cast<double>(logits_.size(-1));
  const Tensor log_x = checked(x).log(), score = at::log_softmax(logits_ - temperature_ * log_x, -1);
  return (score - log_x).sum(-1) + (K - 1) * temperature_.squeeze(-1).log() + std::lgamma(K);
}

Tensor RelaxedOneHotCategorical::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor x = at::softmax(noisy(logits_, sample_shape, rng) / temperature_, -1);
  return x.clamp_min(smallest_positive(x));  // a zero would have no density
}

}  // namespace vem
