// K means with one precision: Lambda ~ Wishart(nu, V^-1), mu_k | Lambda ~ N(m_k, (beta_k Lambda)^-1), the conjugate
// family of K normals that share their covariance. One row of eta holds all of it:
//   eta = (beta_1 .. beta_K, beta_1 m_1 .. beta_K m_K, packed(V + sum_k beta_k m_k m_k'), nu - D - 1 + K),
//   t = (-mu_k' Lambda mu_k / 2 [K], Lambda mu_k [K D], packed*(-Lambda / 2), log|Lambda| / 2),
// with packed() and packed*() of the normal-Wishart, which this is for K = 1. Each (mu_k, Lambda) is normal-Wishart.
#pragma once

#include "vem/dist/normal_wishart.h"

namespace vem {

class TiedNormalWishartFamily final : public ExponentialFamily {
 public:
  /// variance_floor as in NormalWishart.
  TiedNormalWishartFamily(int64_t num_components, int64_t num_features, double variance_floor)
      : K_(num_components), D_(num_features), component_(num_features, variance_floor) {}
  int64_t size() const override { return K_ + K_ * D_ + D_ * (D_ + 1) / 2 + 1; }
  int64_t num_free() const override { return K_ * D_ + D_ * (D_ + 1) / 2; }
  Tensor log_partition(const Tensor& eta) const override;
  Tensor mean(const Tensor& eta) const override;
  Tensor mode(const Tensor& eta) const override;
  Tensor sample(const Tensor& eta, const Rng& rng) const override;
  int64_t num_floored(const Tensor& eta) const override;
  /// As for the normal-Wishart, with a beta and m for each component.
  Tensor unconstrained(const Tensor& eta) const override;
  Tensor constrained(const Tensor& coordinates) const override;

  /// eta [R, size()] to that of the normal-Wishart of each component [R K, component().size()].
  Tensor marginals(const Tensor& eta) const;
  /// K equal and independent normal-Wishart priors [1, component().size()], tied.
  Tensor tied(const Tensor& eta) const;
  /// t [R, size()] to that of every component [R K, component().size()], and its adjoint.
  Tensor expand(const Tensor& t) const;
  Tensor collapse(const Tensor& sums) const;
  const NormalWishartFamily& component() const { return component_; }

 private:
  /// t of the components [R K, ...], whose precisions are equal, to that of the family.
  Tensor gather(const Tensor& t) const;
  /// eta whose normal-Wishart modes have the covariance of the tied mode.
  Tensor for_mode(const Tensor& eta) const;

  int64_t K_, D_;
  NormalWishartFamily component_;
};

}  // namespace vem
