// The normal-Wishart distribution through Cholesky factors of V: nothing here forms an inverse that it does not return.
// Bishop, PRML, section 2.3.6 (2.155, 2.157) and appendix B (B.78 to B.82, with V = W^-1); draws by Bartlett's
// decomposition (Bartlett 1933).
#include "covariance_floor.h"
#include "log_gamma.h"
#include "matrix.h"
#include "never_seen.h"
#include "vem/core/error.h"
#include "vem/dist/normal_wishart.h"
#include "wishart_terms.h"

namespace vem {
namespace {

/// t from the mean [R, D], the precision [R, D, D], E[log|Lambda|] [R] and `extra` [R], which E[mu' Lambda mu] has on
/// top of m' Lambda m.
Tensor normal_wishart_t(const Tensor& m, const Tensor& precision, const Tensor& log_det_precision,
                        const Tensor& extra) {
  const Tensor precision_m = product(precision, m);
  return at::cat({-0.5 * ((m * precision_m).sum(-1, true) + extra.unsqueeze(-1)), precision_m,
                  -0.5 * packed_dual(precision), 0.5 * log_det_precision.unsqueeze(-1)},
                 -1);
}

}  // namespace

Tensor NormalWishartFamily::statistics(const Tensor& mu, const Tensor& Lambda) {
  const Tensor log_det = 2 * half_log_det(cholesky(Lambda, "precision"));
  return normal_wishart_t(mu, Lambda, log_det, at::zeros_like(log_det));
}

Tensor NormalWishartFamily::log_cholesky(const Tensor& matrix) {
  const auto [factor, info] = at::linalg_cholesky_ex(matrix);
  const Tensor logs = factor.tril(-1) + at::diag_embed(factor.diagonal(0, -2, -1).log());
  return at::where(info.unsqueeze(-1) > 0, at::full({}, std::nan(""), logs.options()), packed(logs.transpose(-2, -1)));
}

Tensor NormalWishartFamily::from_log_cholesky(const Tensor& packed, int64_t num_features) {
  const Tensor logs = unpacked(packed, num_features).tril();  // symmetric, so that its lower triangle is the factor's
  const Tensor factor = logs.tril(-1) + at::diag_embed(logs.diagonal(0, -2, -1).exp());
  return at::matmul(factor, factor.transpose(-2, -1));
}

Tensor NormalWishartFamily::unconstrained(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const Tensor more = (p.nu - static_cast<double>(D_ - 1)).log();
  return at::cat({p.beta.log().unsqueeze(-1), p.m, log_cholesky(p.V), more.unsqueeze(-1)}, 1);
}

Tensor NormalWishartFamily::constrained(const Tensor& coordinates) const {
  const Tensor V = from_log_cholesky(coordinates.slice(1, 1 + D_, size() - 1), D_);
  return natural({coordinates.select(1, 0).exp(), coordinates.slice(1, 1, 1 + D_), V,
                  coordinates.select(1, size() - 1).exp() + static_cast<double>(D_ - 1)});
}

Tensor NormalWishartFamily::cholesky(const Tensor& matrix, const char* what) {
  const auto [factor, info] = at::linalg_cholesky_ex(matrix);
  if (info.any().item<bool>())
    fail<NumericError>(
        "normal-wishart: the {} of component {} is not positive definite; a larger variance_floor or "
        "standardize = true helps",
        what, info.gt(0).to(at::kLong).argmax().item<int64_t>());
  return factor;
}

Tensor NormalWishartFamily::packed(const Tensor& matrix) { return vem::packed(matrix); }

Tensor NormalWishartFamily::unpacked(const Tensor& packed, int64_t num_features) {
  return vem::unpacked(packed).view({-1, num_features, num_features});
}

NormalWishartFamily::Parameters NormalWishartFamily::parameters(const Tensor& eta) const {
  const Tensor beta = eta.select(-1, 0), beta_m = eta.slice(-1, 1, 1 + D_);
  const Tensor m = at::where(beta.unsqueeze(-1) > kNeverSeen, beta_m / beta.unsqueeze(-1), at::zeros_like(beta_m));
  const Tensor V = unpacked(eta.slice(-1, 1 + D_, size() - 1), D_) - beta.view({-1, 1, 1}) * outer(m);
  return {beta, m, V, eta.select(-1, size() - 1) + D_};
}

Tensor NormalWishartFamily::natural(const Parameters& p) const {
  const Tensor beta = p.beta.unsqueeze(-1);
  return at::cat({beta, beta * p.m, packed(p.V + beta.unsqueeze(-1) * outer(p.m)), p.nu.unsqueeze(-1) - D_}, -1);
}

Tensor NormalWishartFamily::free_covariance(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const Tensor exponent = at::maximum(p.nu - D_, kSmallestExponent * p.beta).clamp_min(kNeverSeen).view({-1, 1, 1});
  return at::where(p.beta.view({-1, 1, 1}) > kNeverSeen, p.V / exponent, at::eye(D_, p.V.options()));
}

std::pair<Tensor, Tensor> NormalWishartFamily::moments(const Tensor& t) const {
  const Tensor precision = -2 * unpacked_dual(t.slice(-1, 1 + D_, size() - 1));
  const Tensor covariance = at::cholesky_inverse(cholesky(precision, "precision"));
  return {product(covariance, t.slice(-1, 1, 1 + D_)), covariance};
}

Tensor NormalWishartFamily::log_partition(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const auto D = static_cast<double>(D_);
  return wishart_log_normaliser(p.nu, half_log_det(cholesky(p.V, "scale")), D_) - 0.5 * D * p.beta.log() +
         D * kHalfLogTwoPi;
}

Tensor NormalWishartFamily::mean(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const Tensor factor = cholesky(p.V, "scale");
  return normal_wishart_t(p.m, p.nu.view({-1, 1, 1}) * at::cholesky_inverse(factor),
                          wishart_expected_log_det(p.nu, half_log_det(factor), D_), static_cast<double>(D_) / p.beta);
}

Tensor NormalWishartFamily::mode(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const Tensor factor = cholesky(floored(free_covariance(eta), floor_), "covariance");
  return normal_wishart_t(p.m, at::cholesky_inverse(factor), -2 * half_log_det(factor), at::zeros_like(p.beta));
}

int64_t NormalWishartFamily::num_floored(const Tensor& eta) const {
  return floor_ == 0 ? 0 : below_floor(free_covariance(eta), floor_).sum().item<int64_t>();
}

Tensor NormalWishartFamily::sample(const Tensor& eta, const Rng& rng) const {
  const Parameters p = parameters(eta);
  const Tensor factor = cholesky(p.V, "scale"), index = at::arange(eta.size(0), at::kLong);
  const Tensor log_gamma = rng.gamma(bartlett_shapes(p.nu, D_), "precision").log();
  const Tensor standard = bartlett(rng.normal(index, {D_, D_}, "bartlett"), log_gamma);
  // V = C C', Lambda = F F' with F = C'^-1 A; then Lambda^-1/2 z = F'^-1 z = C A'^-1 z.
  const Tensor root = at::linalg_solve_triangular(factor.transpose(-2, -1), standard, true);
  const Tensor noise = rng.normal(index, {D_, 1}, "mean") / p.beta.sqrt().view({-1, 1, 1});
  const Tensor shift = at::matmul(factor, at::linalg_solve_triangular(standard.transpose(-2, -1), noise, true));
  return normal_wishart_t(p.m + shift.squeeze(-1), at::matmul(root, root.transpose(-2, -1)),
                          2 * (half_log_det(standard) - half_log_det(factor)), at::zeros_like(p.beta));
}

}  // namespace vem
