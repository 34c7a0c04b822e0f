// The Dirichlet distribution over K weights.
#pragma once

#include "vem/dist/exponential_family.h"
#include "vem/dist/natural_form.h"

namespace vem {

/// log of a draw from Dirichlet(alpha) along the last dimension of alpha [..., K] >= 0, float64. Exact where alpha is
/// so small that every gamma variate would underflow; -infinity where alpha is 0, which must not be so of a whole row.
Tensor log_dirichlet_draw(const Tensor& alpha, const Rng& rng, const char* stream);

/// For conjugate blocks: eta = alpha - 1, t = log pi.
class DirichletFamily final : public ExponentialFamily {
 public:
  explicit DirichletFamily(int64_t num_categories) : num_categories_(num_categories) {}
  int64_t size() const override { return num_categories_; }
  int64_t num_free() const override { return num_categories_ - 1; }
  Tensor log_partition(const Tensor& eta) const override;
  Tensor mean(const Tensor& eta) const override;
  /// Log weights; -infinity for a category whose eta is not positive, unless no eta is: then all are alike.
  Tensor mode(const Tensor& eta) const override;
  Tensor sample(const Tensor& eta, const Rng& rng) const override;
  Tensor unconstrained(const Tensor& eta) const override;  ///< log alpha
  Tensor constrained(const Tensor& coordinates) const override;

 private:
  int64_t num_categories_;
};

/// Concentrations [batch, K] > 0; events on the simplex [K], draws inside it. eta = concentration - 1, t = log x.
class Dirichlet final : public Distribution, public NaturalForm {
 public:
  explicit Dirichlet(const Tensor& concentration);
  const char* name() const override { return "dirichlet"; }
  Support support() const override { return Support::simplex; }
  Tensor mean() const override;
  Tensor variance() const override;
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }

  Tensor natural() const override;
  Tensor statistics(const Tensor& x) const override { return x.log(); }
  Tensor expected_statistics() const override;
  Tensor log_partition(const Tensor& eta) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  Tensor concentration_;
};

}  // namespace vem
