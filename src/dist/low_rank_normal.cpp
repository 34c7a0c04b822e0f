// Loadings by eigenvectors of the (whitened) sample covariance S, noise by what they leave.
#include "vem/dist/low_rank_normal.h"

#include "vem/core/error.h"

namespace vem {
namespace {

// Steps of one improvement, and the relative change of every noise variance at which there is nothing left to improve.
constexpr int kSteps = 50;
constexpr double kSettled = 1e-12;
// The smallest noise without a floor, as a share of the column's variance: W W' alone has no inverse.
constexpr double kSmallestShare = 1e-12, kSmallest = 1e-250;

Tensor variances(const Tensor& matrix) { return matrix.diagonal(0, -2, -1); }

/// The L largest eigenvalues [R, L], their vectors [R, D, L], and all values in rising order [R, D].
struct Leading {
  Tensor values, vectors, all;
};
Leading leading(const Tensor& matrix, int64_t L) {
  const auto [values, vectors] = at::linalg_eigh(matrix);
  const int64_t first = values.size(-1) - L;
  return {values.slice(-1, first), vectors.slice(-1, first), values};
}

}  // namespace

// No more than a covariance without constraints has: with many latents, different loadings and noise give the same one.
int64_t LowRankNormalFamily::num_free() const {
  const int64_t factors = D_ * L_ - L_ * (L_ - 1) / 2 + (noise_ == Noise::isotropic ? 1 : D_);
  return D_ + std::min(factors, D_ * (D_ + 1) / 2);
}

Tensor LowRankNormalFamily::padded(const Tensor& x) const {
  return at::cat({x, at::zeros({x.size(0), D_}, x.options())}, 1);
}

LowRankNormalFamily::Factors LowRankNormalFamily::fitted(const Tensor& S, const Tensor& start) const {
  if (noise_ == Noise::isotropic) {
    const Leading top = leading(S, L_);
    const Tensor rest = top.all.slice(-1, 0, D_ - L_).mean(-1, true).clamp_min(std::max(floor_, kSmallest));
    const Tensor length = (top.values - rest).clamp_min(0).sqrt();
    return {top.vectors * length.unsqueeze(-2), rest.expand({-1, D_}).contiguous()};
  }
  const Tensor least = (kSmallestShare * variances(S)).clamp_min(std::max(floor_, kSmallest));
  Factors now{{}, at::maximum(start, least)};
  for (int step = 0; step < kSteps; ++step) {
    const Tensor root = now.noise.sqrt();
    const Leading top = leading(S / (root.unsqueeze(-1) * root.unsqueeze(-2)), L_);
    now.loadings = root.unsqueeze(-1) * top.vectors * (top.values - 1).clamp_min(0).sqrt().unsqueeze(-2);
    const Tensor noise = at::maximum(variances(S) - now.loadings.square().sum(-1), least);
    const double change = ((noise - now.noise).abs() / noise).max().item<double>();
    now.noise = noise;
    if (change < kSettled) break;
  }
  return now;
}

Tensor LowRankNormalFamily::statistics(const Tensor& mean, const Factors& f) const {
  const Tensor covariance = at::matmul(f.loadings, f.loadings.transpose(-2, -1)) + at::diag_embed(f.noise);
  const Tensor factor = NormalWishartFamily::cholesky(covariance, "covariance");
  return at::cat({NormalWishartFamily::statistics(mean, at::cholesky_inverse(factor)), f.noise}, 1);
}

Tensor LowRankNormalFamily::mean(const Tensor& eta) const {
  const NormalWishartFamily::Parameters p = normal_.parameters(normal_part(eta));
  const Tensor S = p.V / p.nu.clamp_min(kSmallest).view({-1, 1, 1});
  return statistics(p.m, fitted(S, 0.5 * variances(S)));
}

Tensor LowRankNormalFamily::mode(const Tensor& eta) const {
  const Tensor S = normal_.free_covariance(normal_part(eta));
  return statistics(normal_.parameters(normal_part(eta)).m, fitted(S, 0.5 * variances(S)));
}

Tensor LowRankNormalFamily::improved(const Tensor& eta, const Tensor& t) const {
  const Tensor S = normal_.free_covariance(normal_part(eta));
  return statistics(normal_.parameters(normal_part(eta)).m, fitted(S, t.slice(-1, normal_.size())));
}

Tensor LowRankNormalFamily::sample(const Tensor&, const Rng&) const {
  fail<ConfigError>("low-rank normal: loadings and noise have no conjugate posterior to draw from");
}

int64_t LowRankNormalFamily::num_floored(const Tensor& eta) const {
  const Tensor S = normal_.free_covariance(normal_part(eta));
  const Tensor left =
      noise_ == Noise::isotropic ? leading(S, L_).all.slice(-1, 0, D_ - L_).mean(-1, true) : variances(S);
  return floor_ == 0 ? 0 : left.lt(floor_).any(-1).sum().item<int64_t>();
}

LowRankNormalFamily::Factors LowRankNormalFamily::factors(const Tensor& t) const {
  const Tensor noise = t.slice(-1, normal_.size()), root = noise.sqrt();
  const Tensor common = normal_.moments(normal_part(t)).second - at::diag_embed(noise);
  const Leading top = leading(common / (root.unsqueeze(-1) * root.unsqueeze(-2)), L_);
  const Tensor length = top.values.clamp_min(0).sqrt().unsqueeze(-2);
  const Tensor W = (root.unsqueeze(-1) * top.vectors * length).flip({-1});
  const Tensor largest = W.gather(-2, W.abs().argmax(-2, true));
  return {W * at::where(largest < 0, -at::ones_like(largest), at::ones_like(largest)), noise};
}

}  // namespace vem
