// The Dirichlet distribution over K weights: eta = alpha - 1, t = log pi.
#pragma once

#include "vem/dist/exponential_family.h"

namespace vem {

class Dirichlet final : public ExponentialFamily {
 public:
  explicit Dirichlet(int64_t num_categories) : num_categories_(num_categories) {}
  int64_t size() const override { return num_categories_; }
  Tensor log_partition(const Tensor& eta) const override;
  Tensor mean(const Tensor& eta) const override;
  /// Log weights; a category whose eta is not positive gets the smallest positive weight, never -inf.
  Tensor mode(const Tensor& eta) const override;
  Tensor sample(const Tensor& eta, const Rng& rng) const override;

 private:
  int64_t num_categories_;
};

}  // namespace vem
