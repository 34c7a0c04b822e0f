// The gamma and the beta distribution.
#pragma once

#include "vem/dist/natural_form.h"

namespace vem {

/// b^a x^(a-1) e^(-b x) / Gamma(a), concentration a, rate b. eta = (a - 1, -b), t = (log x, x).
class Gamma final : public Distribution, public NaturalForm {
 public:
  Gamma(const Tensor& concentration, const Tensor& rate);
  const char* name() const override { return "gamma"; }
  Support support() const override { return Support::nonnegative; }
  Tensor mean() const override;
  Tensor variance() const override;
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }

  Tensor natural() const override;
  Tensor statistics(const Tensor& x) const override;
  Tensor expected_statistics() const override;
  Tensor log_partition(const Tensor& eta) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor concentration_, rate_;
};

/// x^(a-1) (1 - x)^(b-1) / B(a, b). eta = (a - 1, b - 1), t = (log x, log(1 - x)). Draws stay inside (0, 1).
class Beta final : public Distribution, public NaturalForm {
 public:
  Beta(const Tensor& a, const Tensor& b);
  const char* name() const override { return "beta"; }
  Support support() const override { return Support::unit_interval; }
  Tensor mean() const override;
  Tensor variance() const override;
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }

  Tensor natural() const override;
  Tensor statistics(const Tensor& x) const override;
  Tensor expected_statistics() const override;
  Tensor log_partition(const Tensor& eta) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor a_, b_;
};

}  // namespace vem
