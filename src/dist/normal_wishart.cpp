// The normal-Wishart distribution through Cholesky factors of V: nothing here forms an inverse that it does not return.
// Bishop, PRML, section 2.3.6 (2.155, 2.157) and appendix B (B.78 to B.82, with V = W^-1); draws by Bartlett's
// decomposition (Bartlett 1933).
#include "vem/dist/normal_wishart.h"

#include "vem/core/error.h"

namespace vem {
namespace {

// As for the normal-gamma: what counts as never seen, and the smallest exponent of the precision over beta.
constexpr double kEmpty = 1e-250;
constexpr double kSmallestExponent = 1e-12;

Tensor log_det(const Tensor& cholesky) { return 2 * cholesky.diagonal(0, -2, -1).log().sum(-1); }

/// Positions i * D + j of the upper triangle by rows, and whether each is off the diagonal.
std::pair<Tensor, Tensor> triangle(int64_t D) {
  const Tensor ij = at::triu_indices(D, D, 0, at::kLong);
  return {ij[0] * D + ij[1], ij[0] != ij[1]};
}

Tensor outer(const Tensor& a) { return a.unsqueeze(-1) * a.unsqueeze(-2); }

/// t from the mean [R, D], the precision [R, D, D], E[log|Lambda|] [R] and `extra` [R], which E[mu' Lambda mu] has on
/// top of m' Lambda m.
Tensor join(const Tensor& m, const Tensor& precision, const Tensor& log_det_precision, const Tensor& extra) {
  const Tensor precision_m = at::matmul(precision, m.unsqueeze(-1)).squeeze(-1);
  const Tensor off_diagonal = triangle(m.size(-1)).second;
  return at::cat({-0.5 * ((m * precision_m).sum(-1, true) + extra.unsqueeze(-1)), precision_m,
                  NormalWishart::packed(precision) * (-0.5 * (1 + off_diagonal.to(m.scalar_type()))),
                  0.5 * log_det_precision.unsqueeze(-1)},
                 -1);
}

/// The covariance that maximises <eta, t> at mu = m without a floor [R, D, D]; I for what was never seen.
Tensor free_covariance(const NormalWishart::Parameters& p) {
  const int64_t D = p.m.size(-1);
  const Tensor exponent = at::maximum(p.nu - D, kSmallestExponent * p.beta).clamp_min(kEmpty).view({-1, 1, 1});
  return at::where(p.beta.view({-1, 1, 1}) > kEmpty, p.V / exponent, at::eye(D, p.V.options()));
}

/// Rows [R] with an eigenvalue that is not above `floor`.
Tensor below(const Tensor& covariance, double floor) {
  const Tensor shifted = covariance - floor * at::eye(covariance.size(-1), covariance.options());
  return std::get<1>(at::linalg_cholesky_ex(shifted)) > 0;
}

/// Clips the eigenvalues of those rows that need it: minimises tr(Lambda V) - n log|Lambda| under the constraint.
Tensor floored(const Tensor& covariance, double floor) {
  const Tensor rows = below(covariance, floor).nonzero().squeeze(-1);
  if (floor == 0 || rows.numel() == 0) return covariance;
  const auto [values, vectors] = at::linalg_eigh(covariance.index_select(0, rows));
  const Tensor clipped = at::matmul(vectors * values.clamp_min(floor).unsqueeze(-2), vectors.transpose(-2, -1));
  return covariance.index_copy(0, rows, 0.5 * (clipped + clipped.transpose(-2, -1)));
}

}  // namespace

Tensor NormalWishart::cholesky(const Tensor& matrix, const char* what) {
  const auto [factor, info] = at::linalg_cholesky_ex(matrix);
  if (info.any().item<bool>())
    fail<NumericError>(
        "normal-wishart: the {} of component {} is not positive definite; a larger variance_floor or "
        "standardize = true helps",
        what, info.gt(0).to(at::kLong).argmax().item<int64_t>());
  return factor;
}

Tensor NormalWishart::packed(const Tensor& matrix) {
  return matrix.flatten(-2).index_select(-1, triangle(matrix.size(-1)).first);
}

Tensor NormalWishart::unpacked(const Tensor& packed, int64_t num_features) {
  const int64_t D = num_features;
  const Tensor upper = triangle(D).first, place = at::arange(upper.numel(), at::kLong);
  const Tensor positions = at::zeros({D * D}, at::kLong).index_copy(0, upper, place).view({D, D});
  const Tensor source = positions.triu() + positions.triu(1).t();
  return packed.index_select(-1, source.flatten()).view({-1, D, D});
}

NormalWishart::Parameters NormalWishart::parameters(const Tensor& eta) const {
  const Tensor beta = eta.select(-1, 0), beta_m = eta.slice(-1, 1, 1 + D_);
  const Tensor m = at::where(beta.unsqueeze(-1) > kEmpty, beta_m / beta.unsqueeze(-1), at::zeros_like(beta_m));
  const Tensor V = unpacked(eta.slice(-1, 1 + D_, size() - 1), D_) - beta.view({-1, 1, 1}) * outer(m);
  return {beta, m, V, eta.select(-1, size() - 1) + D_};
}

Tensor NormalWishart::natural(const Parameters& p) const {
  const Tensor beta = p.beta.unsqueeze(-1);
  return at::cat({beta, beta * p.m, packed(p.V + beta.unsqueeze(-1) * outer(p.m)), p.nu.unsqueeze(-1) - D_}, -1);
}

std::pair<Tensor, Tensor> NormalWishart::moments(const Tensor& t) const {
  const Tensor off_diagonal = triangle(D_).second;
  const Tensor precision = t.slice(-1, 1 + D_, size() - 1) * (-2 / (1 + off_diagonal.to(t.scalar_type())));
  const Tensor covariance = at::cholesky_inverse(cholesky(unpacked(precision, D_), "precision"));
  return {at::matmul(covariance, t.slice(-1, 1, 1 + D_).unsqueeze(-1)).squeeze(-1), covariance};
}

Tensor NormalWishart::log_partition(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const auto D = static_cast<double>(D_);
  return 0.5 * D * std::log(2.) * p.nu + at::mvlgamma(0.5 * p.nu, D_) - 0.5 * p.nu * log_det(cholesky(p.V, "scale")) -
         0.5 * D * p.beta.log() + 0.5 * D * std::log(2 * M_PI);
}

Tensor NormalWishart::mean(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const Tensor factor = cholesky(p.V, "scale"), order = at::arange(D_, eta.options());
  const Tensor log_det_precision = at::digamma(0.5 * (p.nu.unsqueeze(-1) - order)).sum(-1) +
                                   static_cast<double>(D_) * std::log(2.) - log_det(factor);
  return join(p.m, p.nu.view({-1, 1, 1}) * at::cholesky_inverse(factor), log_det_precision,
              static_cast<double>(D_) / p.beta);
}

Tensor NormalWishart::mode(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const Tensor factor = cholesky(floored(free_covariance(p), floor_), "covariance");
  return join(p.m, at::cholesky_inverse(factor), -log_det(factor), at::zeros_like(p.beta));
}

int64_t NormalWishart::num_floored(const Tensor& eta) const {
  return floor_ == 0 ? 0 : below(free_covariance(parameters(eta)), floor_).sum().item<int64_t>();
}

Tensor NormalWishart::sample(const Tensor& eta, const Rng& rng) const {
  const Parameters p = parameters(eta);
  const Tensor factor = cholesky(p.V, "scale"), index = at::arange(eta.size(0), at::kLong);
  const Tensor chi_square = 2 * rng.gamma(0.5 * (p.nu.unsqueeze(-1) - at::arange(D_, eta.options())), "precision");
  const Tensor bartlett = rng.normal(index, {D_, D_}, "bartlett").tril(-1) + at::diag_embed(chi_square.sqrt());
  // V = C C', Lambda = F F' with F = C'^-1 A; then Lambda^-1/2 z = F'^-1 z = C A'^-1 z.
  const Tensor root = at::linalg_solve_triangular(factor.transpose(-2, -1), bartlett, true);
  const Tensor noise = rng.normal(index, {D_, 1}, "mean") / p.beta.sqrt().view({-1, 1, 1});
  const Tensor shift = at::matmul(factor, at::linalg_solve_triangular(bartlett.transpose(-2, -1), noise, true));
  return join(p.m + shift.squeeze(-1), at::matmul(root, root.transpose(-2, -1)),
              chi_square.log().sum(-1) - log_det(factor), at::zeros_like(p.beta));
}

}  // namespace vem
