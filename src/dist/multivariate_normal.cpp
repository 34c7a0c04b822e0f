// Everything through Cholesky factors; Woodbury's identity and the matrix determinant lemma for low rank.
#include "vem/dist/multivariate_normal.h"

#include "check.h"
#include "draws.h"
#include "log_gamma.h"
#include "matrix.h"
#include "vem/dist/normal_function.h"

namespace vem {
namespace {

Tensor entropy_of(const Tensor& half_log_det, int64_t D) {
  return half_log_det + (kHalfLogTwoPi + 0.5) * static_cast<double>(D);
}

}  // namespace

FullNormal::FullNormal(const Tensor& mean, const Tensor& cholesky) {
  const auto p = broadcast(name(), {{"mean", mean, 1}, {"cholesky", cholesky, 2}});
  const int64_t D = p[0].size(-1);
  require_shape(p[1].size(-1) == D && p[1].size(-2) == D, p[1], name(), "cholesky", "[..., D, D] for a mean [..., D]");
  mean_ = p[0];
  cholesky_ = p[1].tril();
  positive(cholesky_.diagonal(0, -2, -1), name(), "the diagonal of cholesky");
  set_shapes(mean_, 1);
}

FullNormal FullNormal::from_covariance(const Tensor& mean, const Tensor& covariance) {
  return {mean, vem::cholesky(covariance, "full-normal", "covariance")};
}

// With the lower factor of the reversed precision, reversed back: an upper U with U U' = P, so L = U'^-1.
FullNormal FullNormal::from_precision(const Tensor& mean, const Tensor& precision) {
  const Tensor upper = vem::cholesky(precision.flip({-2, -1}), "full-normal", "precision").flip({-2, -1});
  const Tensor identity = at::eye(precision.size(-1), precision.options());
  return {mean, at::linalg_solve_triangular(upper.transpose(-2, -1), identity, false)};
}

Tensor FullNormal::variance() const { return cholesky_.square().sum(-1); }
Tensor FullNormal::entropy() const { return entropy_of(half_log_det(cholesky_), mean_.size(-1)); }
Tensor FullNormal::log_prob(const Tensor& x) const {
  return normal_log_density(solve(cholesky_, checked(x) - mean_).square().sum(-1), half_log_det(cholesky_),
                            mean_.size(-1));
}
Tensor FullNormal::rsample(const Tensor& noise) const { return mean_ + product(cholesky_, noise); }
Tensor FullNormal::draw(const Shape& sample_shape, const Rng& rng) const {
  return rsample(normal_noise(sample_shape, mean_, rng));
}

Tensor FullNormal::natural() const {
  return at::cat({solve(cholesky_, solve(cholesky_, mean_), true), packed(inverse_from(cholesky_))}, -1);
}
Tensor FullNormal::statistics(const Tensor& x) const { return at::cat({x, -0.5 * packed_dual(outer(x))}, -1); }
Tensor FullNormal::expected_statistics() const {
  const Tensor covariance = at::matmul(cholesky_, cholesky_.transpose(-2, -1));
  return at::cat({mean_, -0.5 * packed_dual(covariance + outer(mean_))}, -1);
}
Tensor FullNormal::log_partition(const Tensor& eta) const {
  const int64_t D = mean_.size(-1);
  const Tensor factor = vem::cholesky(unpacked(eta.slice(-1, D)), name(), "the precision in eta");
  const Tensor root = solve(factor, eta.slice(-1, 0, D));
  return 0.5 * root.square().sum(-1) - half_log_det(factor) + kHalfLogTwoPi * static_cast<double>(D);
}
std::shared_ptr<const Distribution> FullNormal::from_natural(const Tensor& eta) const {
  const int64_t D = mean_.size(-1);
  const FullNormal centred = from_precision(at::zeros_like(eta.slice(-1, 0, D)), unpacked(eta.slice(-1, D)));
  const Tensor half = product(centred.cholesky_.transpose(-2, -1), eta.slice(-1, 0, D));
  return std::make_shared<FullNormal>(product(centred.cholesky_, half), centred.cholesky_);
}

LowRankNormal::LowRankNormal(const Tensor& mean, const Tensor& factor, const Tensor& diagonal) {
  const auto p = broadcast(name(), {{"mean", mean, 1}, {"factor", factor, 2}, {"diagonal", diagonal, 1}});
  const int64_t D = p[0].size(-1);
  require_shape(p[1].size(-2) == D, p[1], name(), "factor", "[..., D, R] for a mean [..., D]");
  require_shape(p[2].size(-1) == D, p[2], name(), "diagonal", "[..., D] as the mean's");
  mean_ = p[0];
  factor_ = p[1];
  diagonal_ = positive(p[2], name(), "diagonal");
  const Tensor scaled = factor_ / diagonal_.sqrt().unsqueeze(-1);
  capacitance_ = vem::cholesky(
      at::matmul(scaled.transpose(-2, -1), scaled) + at::eye(factor_.size(-1), factor_.options()), name(), "factor");
  set_shapes(mean_, 1);
}

Tensor LowRankNormal::half_log_det() const { return vem::half_log_det(capacitance_) + 0.5 * diagonal_.log().sum(-1); }
Tensor LowRankNormal::covariance() const {
  return at::matmul(factor_, factor_.transpose(-2, -1)) + at::diag_embed(diagonal_);
}
Tensor LowRankNormal::variance() const { return factor_.square().sum(-1) + diagonal_; }
Tensor LowRankNormal::entropy() const { return entropy_of(half_log_det(), mean_.size(-1)); }

// |x|^2 under the diagonal less what the factor explains.
Tensor LowRankNormal::log_prob(const Tensor& x) const {
  const Tensor residual = checked(x) - mean_, scaled = residual / diagonal_;
  const Tensor explained = solve(capacitance_, product(factor_.transpose(-2, -1), scaled));
  const Tensor square = (residual * scaled).sum(-1) - explained.square().sum(-1);
  return normal_log_density(square, half_log_det(), mean_.size(-1));
}

Tensor LowRankNormal::rsample(const Tensor& noise) const {
  const auto parts = noise.split_with_sizes({mean_.size(-1), factor_.size(-1)}, -1);
  return mean_ + product(factor_, parts[1]) + diagonal_.sqrt() * parts[0];
}
Tensor LowRankNormal::draw(const Shape& sample_shape, const Rng& rng) const {
  return rsample(at::cat({normal_noise(sample_shape, mean_, rng, "diagonal"),
                          normal_noise(sample_shape, factor_.select(-2, 0), rng, "factor")},
                         -1));
}

}  // namespace vem
