// The Bernoulli distribution and its continuous relative, both by logits.
#pragma once

#include "vem/dist/natural_form.h"

namespace vem {

/// P(x = 1) = sigmoid(logits). A value between 0 and 1 counts as the probability of a 1: log_prob is then its
/// expectation. eta = logits, t = x.
class Bernoulli final : public Distribution, public NaturalForm {
 public:
  explicit Bernoulli(const Tensor& logits);
  const char* name() const override { return "bernoulli"; }
  Support support() const override { return Support::unit_interval; }
  const Tensor& logits() const { return logits_; }
  Tensor mean() const override { return logits_.sigmoid(); }
  Tensor variance() const override;
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  /// The formula alone, unchecked: for loops whose data were checked before.
  static Tensor log_prob(const Tensor& logits, const Tensor& x);

  Tensor natural() const override { return logits_.unsqueeze(-1); }
  Tensor statistics(const Tensor& x) const override { return x.unsqueeze(-1); }
  Tensor expected_statistics() const override { return mean().unsqueeze(-1); }
  Tensor log_partition(const Tensor& eta) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor logits_;
};

/// Density proportional to e^(logits x) on [0, 1] (Loaiza-Ganem and Cunningham 2019). eta = logits, t = x.
class ContinuousBernoulli final : public Distribution, public NaturalForm {
 public:
  explicit ContinuousBernoulli(const Tensor& logits);
  const char* name() const override { return "continuous-bernoulli"; }
  Support support() const override { return Support::unit_interval; }
  Tensor mean() const override { return mean(logits_); }
  Tensor variance() const override;
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }
  /// The formulas alone, unchecked: density, mean, and the quantile function of u in (0, 1).
  static Tensor log_prob(const Tensor& logits, const Tensor& x);
  static Tensor mean(const Tensor& logits);
  static Tensor quantile(const Tensor& logits, const Tensor& u);

  Tensor natural() const override { return logits_.unsqueeze(-1); }
  Tensor statistics(const Tensor& x) const override { return x.unsqueeze(-1); }
  Tensor expected_statistics() const override { return mean().unsqueeze(-1); }
  Tensor log_partition(const Tensor& eta) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor logits_;
};

}  // namespace vem
