// Normals whose covariance is of low rank beside its noise: x = mu + W z + e, z ~ N(0, I), e ~ N(0, diag(psi)), hence
// C = W W' + diag(psi) with loadings W [D, L]. Isotropic noise is probabilistic PCA (Tipping and Bishop 1999,
// "Probabilistic principal component analysis", equations 7 and 8: the maximum is in closed form); a noise a dimension
// is factor analysis (Rubin and Thayer 1982; for mixtures Ghahramani and Hinton 1996).
// Points only: the statistics of a row, its prior and <eta, t> are those of the normal-Wishart with Lambda = C^-1, so
// that map is the mode of that density among such C; it is no conjugate prior of W and psi and has no mean or draw.
//   t = (t of the normal-Wishart at (mu, C^-1), psi), eta = (eta of the normal-Wishart, 0)
// psi has no statistic; it stands in t because C alone does not tell it, and iterations go on from it.
#pragma once

#include "vem/dist/normal_wishart.h"

namespace vem {

class LowRankNormalFamily final : public ExponentialFamily {
 public:
  enum class Noise { isotropic, diagonal };
  /// 0 < rank < num_features. variance_floor: smallest variance of the noise, exact as in NormalWishartFamily.
  LowRankNormalFamily(int64_t num_features, int64_t rank, Noise noise, double variance_floor)
      : D_(num_features), L_(rank), noise_(noise), floor_(variance_floor), normal_(num_features, 0) {}
  int64_t size() const override { return normal_.size() + D_; }
  /// Loadings count up to a rotation.
  int64_t num_free() const override;
  Tensor log_partition(const Tensor& eta) const override { return normal_.log_partition(normal_part(eta)); }
  /// t at the point of this kind that is the likeliest where the covariance would be (nu V^-1)^-1: for starts.
  Tensor mean(const Tensor& eta) const override;
  Tensor mode(const Tensor& eta) const override;
  /// Isotropic noise: mode(). Else some steps that never lower <eta, t>: W at its optimum given psi, then psi by the
  /// M-step of EM, which at that W is diag(S - W W') (ECM, Meng and Rubin 1993).
  Tensor improved(const Tensor& eta, const Tensor& t) const override;
  /// Throws ConfigError.
  Tensor sample(const Tensor& eta, const Rng& rng) const override;
  /// Those of the normal-Wishart. t goes on from where it is, so the same coordinates may give a better one.
  Tensor unconstrained(const Tensor& eta) const override { return normal_.unconstrained(normal_part(eta)); }
  Tensor constrained(const Tensor& coordinates) const override { return padded(normal_.constrained(coordinates)); }
  /// Rows whose data leave less than the floor for the noise.
  int64_t num_floored(const Tensor& eta) const override;

  /// Without psi, for what goes by the covariance alone [R, size() - D].
  Tensor normal_part(const Tensor& eta_or_t) const { return eta_or_t.slice(-1, 0, normal_.size()); }
  /// With zeros for psi.
  Tensor padded(const Tensor& eta_or_sums) const;
  /// psi [R, D] and W [R, D, L], turned so that W' diag(psi)^-1 W is diagonal and falls (given a row, its latents are
  /// then independent), the largest entry of each column above zero.
  struct Factors {
    Tensor loadings, noise;
  };
  Factors factors(const Tensor& t) const;

 private:
  /// The loadings and the noise that explain sample covariances S [R, D, D] best, from psi [R, D] on.
  Factors fitted(const Tensor& S, const Tensor& psi) const;
  Tensor statistics(const Tensor& mean, const Factors& factors) const;

  int64_t D_, L_;
  Noise noise_;
  double floor_;
  NormalWishartFamily normal_;
};

}  // namespace vem
