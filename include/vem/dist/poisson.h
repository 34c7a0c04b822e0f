// Counts: the Poisson and the negative binomial distribution.
#pragma once

#include "vem/dist/natural_form.h"

namespace vem {

/// rate^x e^-rate / x!. eta = log rate, t = x, h = 1 / x!. Its entropy has no closed form.
class Poisson final : public Distribution, public NaturalForm {
 public:
  explicit Poisson(const Tensor& rate);
  /// By the logarithm of the rate, which may lie so low that the rate itself underflows to zero.
  static Poisson of_log_rate(const Tensor& log_rate);
  const char* name() const override { return "poisson"; }
  Support support() const override { return Support::count; }
  Tensor mean() const override { return rate_; }
  Tensor variance() const override { return rate_; }
  Tensor log_prob(const Tensor& x) const override;

  Tensor natural() const override { return (log_rate_.defined() ? log_rate_ : rate_.log()).unsqueeze(-1); }
  Tensor statistics(const Tensor& x) const override { return x.unsqueeze(-1); }
  Tensor expected_statistics() const override { return rate_.unsqueeze(-1); }
  Tensor log_partition(const Tensor& eta) const override { return eta.squeeze(-1).exp(); }
  Tensor log_base(const Tensor& x) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Poisson(const Tensor& rate, const Tensor& log_rate);

  Tensor rate_, log_rate_;  // the second where it was given
};

/// Successes before `count` > 0 failures (a real number), each a success with probability p = sigmoid(logits): the mean
/// is count e^logits. For a fixed count eta = log p, t = x. Its entropy has no closed form.
class NegativeBinomial final : public Distribution, public NaturalForm {
 public:
  NegativeBinomial(const Tensor& count, const Tensor& logits);
  const char* name() const override { return "negative-binomial"; }
  Support support() const override { return Support::count; }
  const Tensor& count() const { return count_; }
  Tensor mean() const override;
  Tensor variance() const override;
  Tensor log_prob(const Tensor& x) const override;

  Tensor natural() const override;
  Tensor statistics(const Tensor& x) const override { return x.unsqueeze(-1); }
  Tensor expected_statistics() const override { return mean().unsqueeze(-1); }
  Tensor log_partition(const Tensor& eta) const override;
  Tensor log_base(const Tensor& x) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor count_, logits_;
};

}  // namespace vem
