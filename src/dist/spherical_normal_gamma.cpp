// The normal-gamma distribution of D means that share one precision.
#include "vem/dist/spherical_normal_gamma.h"

#include "never_seen.h"

namespace vem {
namespace {

/// t at mu [R, D] and lambda [R, 1], where E[lambda mu^2] is `extra` above lambda mu^2.
Tensor spherical_t(const Tensor& mu, const Tensor& lambda, const Tensor& log_lambda, const Tensor& extra) {
  return at::cat({-0.5 * (lambda * mu * mu + extra), lambda * mu, -0.5 * lambda, 0.5 * log_lambda}, -1);
}

}  // namespace

SphericalNormalGammaFamily::Parameters SphericalNormalGammaFamily::parameters(const Tensor& eta) const {
  const Tensor beta = eta.slice(1, 0, D_), beta_m = eta.slice(1, D_, 2 * D_);
  const Tensor m = at::where(beta > kNeverSeen, beta_m / beta, at::zeros_like(beta_m));
  const Tensor squares = eta.slice(1, 2 * D_, 2 * D_ + 1), exponent = eta.slice(1, 2 * D_ + 1);
  return {beta, m, 0.5 * (exponent + static_cast<double>(2 - D_)), 0.5 * (squares - (beta_m * m).sum(1, true))};
}

Tensor SphericalNormalGammaFamily::marginals(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  return NormalGammaFamily::natural({p.beta, p.m, p.a.expand({-1, D_}), p.b.expand({-1, D_})});
}

Tensor SphericalNormalGammaFamily::shared(const Tensor& eta) const {
  const NormalGammaFamily::Parameters p = NormalGammaFamily::parameters(eta);
  return natural({p.beta, p.m, p.a.slice(1, 0, 1), p.b.mean(1, true)});
}

Tensor SphericalNormalGammaFamily::natural(const Parameters& p) const {
  return at::cat(
      {p.beta, p.beta * p.m, 2 * p.b + (p.beta * p.m * p.m).sum(1, true), 2 * p.a + static_cast<double>(D_ - 2)}, 1);
}

Tensor SphericalNormalGammaFamily::unconstrained(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  return at::cat({p.beta.log(), p.m, p.a.log(), p.b.log()}, 1);
}

Tensor SphericalNormalGammaFamily::constrained(const Tensor& coordinates) const {
  const std::vector<Tensor> part = coordinates.split_with_sizes({D_, D_, 1, 1}, 1);
  return natural({part[0].exp(), part[1], part[2].exp(), part[3].exp()});
}

Tensor SphericalNormalGammaFamily::expand(const Tensor& t) const {
  return at::cat(
      {t.slice(1, 0, 2 * D_), t.slice(1, 2 * D_, 2 * D_ + 1).expand({-1, D_}), t.slice(1, 2 * D_ + 1).expand({-1, D_})},
      1);
}

Tensor SphericalNormalGammaFamily::collapse(const Tensor& sums) const {
  return at::cat(
      {sums.slice(1, 0, 2 * D_), sums.slice(1, 2 * D_, 3 * D_).sum(1, true), sums.slice(1, 3 * D_).sum(1, true)}, 1);
}

Tensor SphericalNormalGammaFamily::log_partition(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const Tensor means = 0.5 * (std::log(2 * M_PI) - p.beta.log()).sum(1);
  return (at::lgamma(p.a) - p.a * p.b.log()).squeeze(1) + means;
}

Tensor SphericalNormalGammaFamily::mean(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  return spherical_t(p.m, p.a / p.b, at::digamma(p.a) - p.b.log(), 1 / p.beta);
}

/// The variance that maximises <eta, t> without a floor [R, 1]; 1 for what was never seen.
Tensor SphericalNormalGammaFamily::free_variance(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const Tensor seen = p.beta.sum(1, true);
  const Tensor exponent = at::maximum(eta.slice(1, 2 * D_ + 1), kSmallestExponent * seen);
  return at::where(seen > kNeverSeen, 2 * p.b / exponent, at::ones_like(p.b));
}

Tensor SphericalNormalGammaFamily::mode(const Tensor& eta) const {
  const Tensor variance = free_variance(eta).clamp_min(floor_), m = parameters(eta).m;
  return spherical_t(m, 1 / variance, -variance.log(), at::zeros_like(m));
}

int64_t SphericalNormalGammaFamily::num_floored(const Tensor& eta) const {
  return (free_variance(eta) < floor_).sum().item<int64_t>();
}

Tensor SphericalNormalGammaFamily::sample(const Tensor& eta, const Rng& rng) const {
  const Parameters p = parameters(eta);
  const Tensor lambda = rng.gamma(p.a, "precision") / p.b;
  const Tensor noise = rng.normal(at::arange(eta.size(0), at::kLong), {D_}, "mean");
  return spherical_t(p.m + noise / (p.beta * lambda).sqrt(), lambda, lambda.log(), at::zeros_like(p.m));
}

}  // namespace vem
