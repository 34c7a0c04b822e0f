// The concentration of a Dirichlet distribution, learned from the expected log weights of many draws:
//   eta = (sum over draws of E[log theta_k], -number of draws), t = (alpha_1 .. alpha_K, log B(alpha)),
// log B(alpha) = sum_k log Gamma(alpha_k) - log Gamma(sum_k alpha_k), so that <eta, t> is the expected log density but
// for terms without alpha. A point estimate: only mode() is meant. Minka 2000, "Estimating a Dirichlet distribution",
// with Newton's steps taken in log alpha, where every step stays in the domain.
#pragma once

#include "vem/dist/exponential_family.h"

namespace vem {

class DirichletConcentration final : public ExponentialFamily {
 public:
  /// symmetric: one alpha for all categories.
  DirichletConcentration(int64_t num_categories, bool symmetric) : K_(num_categories), symmetric_(symmetric) {}
  int64_t size() const override { return K_ + 1; }
  /// 0: it has no distribution of its own.
  Tensor log_partition(const Tensor& eta) const override;
  Tensor mean(const Tensor& eta) const override { return mode(eta); }
  /// t at the maximum of <eta, t>; alpha is kept in [1e-6, 1e6].
  Tensor mode(const Tensor& eta) const override;
  Tensor sample(const Tensor& eta, const Rng&) const override { return mode(eta); }

  /// t at alpha [K], and an eta of one draw whose mode it is: both [1, K + 1].
  static Tensor point(const Tensor& alpha);
  static Tensor start(const Tensor& alpha);

 private:
  int64_t K_;
  bool symmetric_;
};

}  // namespace vem
