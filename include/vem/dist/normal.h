// The normal distribution: of a number, and of a vector with independent dimensions.
#pragma once

#include "vem/dist/natural_form.h"

namespace vem {

/// N(mean, std^2). eta = (mean / variance, -1 / (2 variance)), t = (x, x^2).
class Normal final : public Distribution, public NaturalForm {
 public:
  Normal(const Tensor& mean, const Tensor& std);
  const char* name() const override { return "normal"; }
  Tensor mean() const override { return mean_; }
  const Tensor& std() const { return std_; }
  Tensor variance() const override;
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }
  using Distribution::rsample;
  Tensor rsample(const Tensor& noise) const override;

  Tensor natural() const override;
  Tensor statistics(const Tensor& x) const override;
  Tensor expected_statistics() const override;
  Tensor log_partition(const Tensor& eta) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor mean_, std_;
};

/// Independent dimensions, by mean and log standard deviation [batch, L]; event [L]. What an encoder gives. eta and t
/// as the normal's, first all linear parts, then all quadratic ones.
class DiagonalNormal final : public Distribution, public NaturalForm {
 public:
  DiagonalNormal(const Tensor& mean, const Tensor& log_std);
  const char* name() const override { return "diagonal-normal"; }
  Tensor mean() const override { return mean_; }
  const Tensor& log_std() const { return log_std_; }
  Tensor variance() const override;
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }
  using Distribution::rsample;
  Tensor rsample(const Tensor& noise) const override;

  Tensor natural() const override;
  Tensor statistics(const Tensor& x) const override;
  Tensor expected_statistics() const override;
  Tensor log_partition(const Tensor& eta) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor mean_, log_std_;
};

}  // namespace vem
