// The matrix-normal-Wishart distribution over (A, Lambda), the conjugate family of regressions x = A u + e with noise e
// ~ N(0, Lambda^-1), A [D, R] and u [R] given:
//   Lambda ~ Wishart(nu, V^-1), A | Lambda ~ N(M, Lambda^-1 between rows, K^-1 between columns)
//   eta = (packed(K), M K by rows, packed(V + M K M'), nu - D - 1 + R),
//   t = (packed*(-A' Lambda A / 2), Lambda A by rows, packed*(-Lambda / 2), log|Lambda| / 2),
// with packed() and packed*() of the normal-Wishart, which this is for R = 1 and u = 1. A row has the statistics s =
// (packed(u u'), x u' by rows, packed(x x'), 1).
// West and Harrison 1997, "Bayesian Forecasting and Dynamic Models", section 16.4 (matrix normal inverse Wishart).
#pragma once

#include "vem/dist/exponential_family.h"

namespace vem {

class MatrixNormalWishartFamily final : public ExponentialFamily {
 public:
  /// variance_floor as in NormalWishartFamily.
  MatrixNormalWishartFamily(int64_t num_features, int64_t num_inputs, double variance_floor)
      : D_(num_features), R_(num_inputs), floor_(variance_floor) {}
  int64_t size() const override { return R_ * (R_ + 1) / 2 + D_ * R_ + D_ * (D_ + 1) / 2 + 1; }
  int64_t num_free() const override { return D_ * R_ + D_ * (D_ + 1) / 2; }
  Tensor log_partition(const Tensor& eta) const override;
  Tensor mean(const Tensor& eta) const override;
  /// Where the inputs seen do not determine A, the shortest one.
  Tensor mode(const Tensor& eta) const override;
  Tensor sample(const Tensor& eta, const Rng& rng) const override;
  Tensor unconstrained(const Tensor& eta) const override;
  Tensor constrained(const Tensor& coordinates) const override;
  int64_t num_floored(const Tensor& eta) const override;

  /// The usual parameters: K [B, R, R], M [B, D, R], V [B, D, D], nu [B].
  struct Parameters {
    Tensor K, M, V, nu;
  };
  Parameters parameters(const Tensor& eta) const;
  Tensor natural(const Parameters& p) const;
  /// A [B, D, R] and the covariance of the noise [B, D, D] at the point t (under a posterior: the mean of A, and the
  /// inverse of the expected precision).
  std::pair<Tensor, Tensor> regression(const Tensor& t) const;
  /// s of rows x [N, D] with inputs u [N, R], each of weight `there` [N, 1]: 1, or 0 for a row that is no row.
  static Tensor statistics(const Tensor& x, const Tensor& u, const Tensor& there);

 private:
  Tensor free_covariance(const Parameters& p) const;
  /// t from A, Lambda, E[log|Lambda|] [B] and `extra` [B, R, R], which E[A' Lambda A] has on top of M' Lambda M.
  static Tensor join(const Tensor& A, const Tensor& precision, const Tensor& log_det_precision, const Tensor& extra);

  int64_t D_, R_;
  double floor_;
};

}  // namespace vem
