// One of K categories by logits [batch, K], as a number, as a one-hot vector, and relaxed to the simplex.
#pragma once

#include "vem/dist/natural_form.h"

namespace vem {

/// A category 0 .. K - 1; draws are int64, log_prob() takes any type. No mean. eta = logits, t = one_hot(x).
class Categorical final : public Distribution, public NaturalForm {
 public:
  explicit Categorical(const Tensor& logits);
  const char* name() const override { return "categorical"; }
  Support support() const override { return Support::category; }
  int64_t num_categories() const { return logits_.size(-1); }
  /// [batch, K].
  const Tensor& logits() const { return logits_; }
  /// Normalised logits [batch, K].
  Tensor log_probs() const;
  Tensor mean() const override { return {}; }
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;

  Tensor natural() const override { return logits_; }
  Tensor statistics(const Tensor& x) const override;
  Tensor expected_statistics() const override;
  Tensor log_partition(const Tensor& eta) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor logits_;
};

/// The same with events [K] that are one-hot. eta = logits, t = x.
class OneHotCategorical final : public Distribution, public NaturalForm {
 public:
  explicit OneHotCategorical(const Tensor& logits);
  const char* name() const override { return "one-hot-categorical"; }
  Support support() const override { return Support::one_hot; }
  const Categorical& category() const { return category_; }
  Tensor mean() const override { return category_.expected_statistics(); }
  Tensor variance() const override;
  Tensor entropy() const override { return category_.entropy(); }
  Tensor log_prob(const Tensor& x) const override;

  Tensor natural() const override { return category_.natural(); }
  Tensor statistics(const Tensor& x) const override { return x; }
  Tensor expected_statistics() const override { return category_.expected_statistics(); }
  Tensor log_partition(const Tensor& eta) const override { return category_.log_partition(eta); }
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Categorical category_;
};

/// softmax((logits + Gumbel noise) / temperature), a point of the simplex [K] that tends to one-hot as the temperature
/// falls: the concrete distribution (Maddison, Mnih and Teh 2017, equation 10; Jang, Gu and Poole 2017). Its mean and
/// entropy have no closed form.
class RelaxedOneHotCategorical final : public Distribution {
 public:
  /// temperature [batch], logits [batch, K].
  RelaxedOneHotCategorical(const Tensor& temperature, const Tensor& logits);
  const char* name() const override { return "relaxed-one-hot-categorical"; }
  Support support() const override { return Support::simplex; }
  Tensor mean() const override { return {}; }
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor temperature_, logits_;
};

}  // namespace vem
