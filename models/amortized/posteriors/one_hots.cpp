#include "one_hots.h"

namespace vem {

OneHots::OneHots(const Tensor& logits, int64_t num_classes)
    : K_(num_classes), log_probs_(at::log_softmax(logits.unflatten(-1, {-1, num_classes}), -1)) {
  set_shapes(logits, 1);
}

Tensor OneHots::variance() const {
  const Tensor p = mean();
  return p * (1 - p);
}
Tensor OneHots::entropy() const { return -(log_probs_.exp() * log_probs_).sum({-2, -1}); }
Tensor OneHots::log_prob(const Tensor& z) const { return (z * log_probs_.flatten(-2)).sum(-1); }

// -log(-log u) with u the normal distribution function of the noise, whose logarithm is exact in both tails.
Tensor OneHots::noisy(const Tensor& noise) const {
  return log_probs_ - (-at::special_log_ndtr(noise.unflatten(-1, {-1, K_}))).log();
}
Tensor OneHots::rsample(const Tensor& noise) const {
  return at::one_hot(noisy(noise).argmax(-1), K_).to(log_probs_.scalar_type()).flatten(-2);
}
Tensor OneHots::relaxed(const Tensor& noise, double temperature) const {
  return at::softmax(noisy(noise) / temperature, -1).flatten(-2);
}
Tensor OneHots::sample(const Tensor& index, const Rng& rng) const {
  const int64_t own = log_probs_.numel();
  const Tensor number = (index.unsqueeze(-1) * own + at::arange(own, at::kLong)).flatten();  // one for every logit
  Shape shape = log_probs_.flatten(-2).sizes().vec();
  shape.insert(shape.begin(), -1);
  return rsample(rng.normal(number, {}, "one-hots", log_probs_.scalar_type()).view(shape)).detach();
}
Tensor OneHots::draw(const Shape& sample_shape, const Rng& rng) const {
  Shape shape = sample_shape;
  const Shape own = log_probs_.flatten(-2).sizes().vec();
  shape.insert(shape.end(), own.begin(), own.end());
  return sample(at::arange(c10::multiply_integers(sample_shape), at::kLong), rng).view(shape);
}

}  // namespace vem
