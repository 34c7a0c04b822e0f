// G independent Dirichlet distributions a row, each over C categories: the conjugate family of Bernoulli (C = 2) and
// categorical cells. eta = alpha - 1 and t = log pi, group after group: [R, G C].
#pragma once

#include "vem/dist/dirichlet.h"

namespace vem {

class DirichletsFamily final : public ExponentialFamily {
 public:
  DirichletsFamily(int64_t num_groups, int64_t num_categories)
      : G_(num_groups), C_(num_categories), group_(num_categories) {}
  int64_t size() const override { return G_ * C_; }
  int64_t num_free() const override { return G_ * (C_ - 1); }
  Tensor log_partition(const Tensor& eta) const override {
    return group_.log_partition(groups(eta)).view({-1, G_}).sum(1);
  }
  Tensor mean(const Tensor& eta) const override { return rows(group_.mean(groups(eta))); }
  /// As that of one Dirichlet; a group that was never seen is uniform.
  Tensor mode(const Tensor& eta) const override { return rows(group_.mode(groups(eta))); }
  Tensor sample(const Tensor& eta, const Rng& rng) const override { return rows(group_.sample(groups(eta), rng)); }
  Tensor unconstrained(const Tensor& eta) const override { return group_.unconstrained(eta); }
  Tensor constrained(const Tensor& coordinates) const override { return group_.constrained(coordinates); }

 private:
  Tensor groups(const Tensor& eta) const { return eta.reshape({-1, C_}); }
  Tensor rows(const Tensor& t) const { return t.reshape({-1, size()}); }

  int64_t G_, C_;
  DirichletFamily group_;
};

}  // namespace vem
