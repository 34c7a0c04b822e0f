// Through Cholesky factors of K and V, as the normal-Wishart does.
#include "vem/dist/matrix_normal_wishart.h"

#include "covariance_floor.h"
#include "log_gamma.h"
#include "matrix.h"
#include "never_seen.h"
#include "vem/dist/normal_wishart.h"
#include "wishart_terms.h"

namespace vem {
namespace {

Tensor transposed(const Tensor& matrix) { return matrix.transpose(-2, -1); }
Tensor symmetric(const Tensor& matrix) { return 0.5 * (matrix + transposed(matrix)); }

/// X with X K = B for symmetric K [B, R, R]; the shortest where K is singular.
Tensor solve_right(const Tensor& K, const Tensor& B) {
  const auto [factor, info] = at::linalg_cholesky_ex(K);
  if (info.any().item<bool>()) return at::matmul(B, at::linalg_pinv(K, 1e-13, /*hermitian=*/true));
  return transposed(at::cholesky_solve(transposed(B), factor));
}

}  // namespace

MatrixNormalWishartFamily::Parameters MatrixNormalWishartFamily::parameters(const Tensor& eta) const {
  const int64_t a = R_ * (R_ + 1) / 2, b = a + D_ * R_;
  const Tensor K = unpacked(eta.slice(-1, 0, a)).view({-1, R_, R_}), MK = eta.slice(-1, a, b).reshape({-1, D_, R_});
  const Tensor M = solve_right(K, MK);
  const Tensor V = unpacked(eta.slice(-1, b, size() - 1)).view({-1, D_, D_}) - at::matmul(MK, transposed(M));
  return {K, M, symmetric(V), eta.select(-1, size() - 1) + static_cast<double>(D_ + 1 - R_)};
}

Tensor MatrixNormalWishartFamily::natural(const Parameters& p) const {
  const Tensor MK = at::matmul(p.M, p.K);
  return at::cat({packed(p.K), MK.flatten(1), packed(symmetric(p.V + at::matmul(MK, transposed(p.M)))),
                  p.nu.unsqueeze(-1) - static_cast<double>(D_ + 1 - R_)},
                 -1);
}

std::pair<Tensor, Tensor> MatrixNormalWishartFamily::regression(const Tensor& t) const {
  const int64_t a = R_ * (R_ + 1) / 2, b = a + D_ * R_;
  const Tensor precision = -2 * unpacked_dual(t.slice(-1, b, size() - 1)).view({-1, D_, D_});
  const Tensor factor = NormalWishartFamily::cholesky(precision, "precision");
  return {at::cholesky_solve(t.slice(-1, a, b).reshape({-1, D_, R_}), factor), at::cholesky_inverse(factor)};
}

Tensor MatrixNormalWishartFamily::statistics(const Tensor& x, const Tensor& u, const Tensor& there) {
  const Tensor outer = (x.unsqueeze(2) * u.unsqueeze(1)).flatten(1);
  const Tensor second = packed(x.unsqueeze(2) * x.unsqueeze(1)), inputs = packed(u.unsqueeze(2) * u.unsqueeze(1));
  return at::cat({inputs, outer, second, at::ones_like(there)}, 1) * there;
}

Tensor MatrixNormalWishartFamily::join(const Tensor& A, const Tensor& precision, const Tensor& log_det,
                                       const Tensor& extra) {
  const Tensor precision_A = at::matmul(precision, A);
  return at::cat({-0.5 * packed_dual(symmetric(at::matmul(transposed(A), precision_A) + extra)), precision_A.flatten(1),
                  -0.5 * packed_dual(symmetric(precision)), 0.5 * log_det.unsqueeze(-1)},
                 -1);
}

Tensor MatrixNormalWishartFamily::log_partition(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const auto D = static_cast<double>(D_), R = static_cast<double>(R_);
  return wishart_log_normaliser(p.nu, half_log_det(NormalWishartFamily::cholesky(p.V, "scale")), D_) -
         D * half_log_det(NormalWishartFamily::cholesky(p.K, "precision of the coefficients")) + D * R * kHalfLogTwoPi;
}

Tensor MatrixNormalWishartFamily::mean(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const Tensor factor = NormalWishartFamily::cholesky(p.V, "scale");
  const Tensor spread = at::cholesky_inverse(NormalWishartFamily::cholesky(p.K, "precision of the coefficients"));
  return join(p.M, p.nu.view({-1, 1, 1}) * at::cholesky_inverse(factor),
              wishart_expected_log_det(p.nu, half_log_det(factor), D_), static_cast<double>(D_) * spread);
}

Tensor MatrixNormalWishartFamily::free_covariance(const Parameters& p) const {
  const Tensor exponent = (p.nu - static_cast<double>(D_ + 1 - R_)).view({-1, 1, 1});
  return at::where(exponent > kNeverSeen, p.V / exponent.clamp_min(kNeverSeen), at::eye(D_, p.V.options()));
}

Tensor MatrixNormalWishartFamily::mode(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const Tensor factor = NormalWishartFamily::cholesky(floored(free_covariance(p), floor_), "covariance");
  return join(p.M, at::cholesky_inverse(factor), -2 * half_log_det(factor), at::zeros_like(p.K));
}

int64_t MatrixNormalWishartFamily::num_floored(const Tensor& eta) const {
  return floor_ == 0 ? 0 : below_floor(free_covariance(parameters(eta)), floor_).sum().item<int64_t>();
}

Tensor MatrixNormalWishartFamily::unconstrained(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const Tensor more = (p.nu - static_cast<double>(D_ - 1)).log();
  return at::cat({NormalWishartFamily::log_cholesky(p.K), p.M.flatten(1), NormalWishartFamily::log_cholesky(p.V),
                  more.unsqueeze(-1)},
                 1);
}

Tensor MatrixNormalWishartFamily::constrained(const Tensor& coordinates) const {
  const int64_t a = R_ * (R_ + 1) / 2, b = a + D_ * R_;
  return natural({NormalWishartFamily::from_log_cholesky(coordinates.slice(1, 0, a), R_),
                  coordinates.slice(1, a, b).reshape({-1, D_, R_}),
                  NormalWishartFamily::from_log_cholesky(coordinates.slice(1, b, size() - 1), D_),
                  coordinates.select(1, size() - 1).exp() + static_cast<double>(D_ - 1)});
}

Tensor MatrixNormalWishartFamily::sample(const Tensor& eta, const Rng& rng) const {
  const Parameters p = parameters(eta);
  const Tensor factor = NormalWishartFamily::cholesky(p.V, "scale"), index = at::arange(eta.size(0), at::kLong);
  const Tensor log_gamma = rng.gamma(bartlett_shapes(p.nu, D_), "precision").log();
  const Tensor standard = bartlett(rng.normal(index, {D_, D_}, "bartlett"), log_gamma);
  // V = C C', Lambda = F F' with F = C'^-1 S, so Lambda^-1/2 is F'^-1 = C S'^-1; K = G G', so K^-1/2 is G^-1.
  const Tensor root = at::linalg_solve_triangular(transposed(factor), standard, true);
  const Tensor noise = rng.normal(index, {D_, R_}, "coefficients");
  const Tensor G = NormalWishartFamily::cholesky(p.K, "precision of the coefficients");
  const Tensor left = at::matmul(factor, at::linalg_solve_triangular(transposed(standard), noise, true));
  const Tensor shift = at::linalg_solve_triangular(G, left, false, /*left=*/false);
  return join(p.M + shift, at::matmul(root, transposed(root)), 2 * (half_log_det(standard) - half_log_det(factor)),
              at::zeros_like(p.K));
}

}  // namespace vem
