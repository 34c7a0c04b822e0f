// Several independent categories, one-hot and side by side: what discrete latents are.
// Legend: M categories, K classes each, L = M K.
#pragma once

#include "vem/dist/distribution.h"

namespace vem {

/// Events [L]. Draws by the Gumbel-max trick.
class OneHots final : public Distribution {
 public:
  /// logits [batch, L]; num_classes must divide L.
  OneHots(const Tensor& logits, int64_t num_classes);
  const char* name() const override { return "one-hots"; }
  Support support() const override { return Support::other; }
  int64_t num_classes() const { return K_; }
  /// Normalised logits [batch, M, K].
  const Tensor& log_probs() const { return log_probs_; }
  Tensor mean() const override { return log_probs_.exp().flatten(-2); }
  Tensor variance() const override;
  Tensor entropy() const override;
  /// Linear in z, so that it has a value and a slope between the corners as well.
  Tensor log_prob(const Tensor& z) const override;
  using Distribution::rsample;
  /// A draw from normal noise [..., batch, L], constant in the parameters.
  Tensor rsample(const Tensor& noise) const override;
  using Distribution::sample;
  /// A draw [n, batch, L] for each entry of index, which is 0 .. n - 1 [n] int64. Traceable with Rng::recorded().
  Tensor sample(const Tensor& index, const Rng& rng) const;
  /// softmax((log_probs + Gumbel noise) / temperature), from the same noise: its largest class is that of rsample()
  /// (Maddison, Mnih and Teh 2017; Jang, Gu and Poole 2017, equation 2).
  Tensor relaxed(const Tensor& noise, double temperature) const;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  /// log_probs + Gumbel noise [..., M, K].
  Tensor noisy(const Tensor& noise) const;

  int64_t K_;
  Tensor log_probs_;
};

}  // namespace vem
