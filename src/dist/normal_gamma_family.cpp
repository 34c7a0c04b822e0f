// D independent normal-gamma distributions a row. Every function splits eta or t into its four parts of D numbers.
// Bishop, PRML, equation 2.154 (there with lambda for beta, and b as here a rate).
#include "never_seen.h"
#include "vem/dist/normal_gamma.h"

namespace vem {
namespace {

/// t at (mu, lambda) from E[lambda mu^2], E[lambda mu], E[lambda], E[log lambda].
Tensor normal_gamma_t(const Tensor& lambda_mu2, const Tensor& lambda_mu, const Tensor& lambda,
                      const Tensor& log_lambda) {
  return at::cat({-0.5 * lambda_mu2, lambda_mu, -0.5 * lambda, 0.5 * log_lambda}, -1);
}

/// The variance that maximises <eta, t> at mu = m without a floor; 1 for what was never seen, where any value does.
Tensor free_variance(const Tensor& eta) {
  const NormalGammaFamily::Parameters p = NormalGammaFamily::parameters(eta);
  const Tensor exponent = at::maximum(2 * p.a - 1, kSmallestExponent * p.beta);
  return at::where(p.beta > kNeverSeen, 2 * p.b / exponent, at::ones_like(p.b));
}

}  // namespace

Tensor NormalGammaFamily::statistics(const Tensor& mu, const Tensor& lambda) {
  return normal_gamma_t(lambda * mu * mu, lambda * mu, lambda, lambda.log());
}

NormalGammaFamily::Parameters NormalGammaFamily::parameters(const Tensor& eta) {
  const std::vector<Tensor> part = eta.chunk(4, -1);
  const Tensor m = at::where(part[0] > kNeverSeen, part[1] / part[0], at::zeros_like(part[1]));
  return {part[0], m, 0.5 * (part[3] + 1), 0.5 * (part[2] - part[1] * m)};
}

Tensor NormalGammaFamily::natural(const Parameters& p) {
  return at::cat({p.beta, p.beta * p.m, 2 * p.b + p.beta * p.m * p.m, 2 * p.a - 1}, -1);
}

std::pair<Tensor, Tensor> NormalGammaFamily::moments(const Tensor& t) {
  const std::vector<Tensor> part = t.chunk(4, -1);
  const Tensor variance = -0.5 / part[2];
  return {part[1] * variance, variance};
}

Tensor NormalGammaFamily::log_partition(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  return (at::lgamma(p.a) - p.a * p.b.log() - 0.5 * p.beta.log() + 0.5 * std::log(2 * M_PI)).sum(-1);
}

Tensor NormalGammaFamily::mean(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  const Tensor lambda = p.a / p.b;
  return normal_gamma_t(lambda * p.m * p.m + 1 / p.beta, lambda * p.m, lambda, at::digamma(p.a) - p.b.log());
}

Tensor NormalGammaFamily::mode(const Tensor& eta) const {
  return statistics(parameters(eta).m, 1 / free_variance(eta).clamp_min(floor_));
}

int64_t NormalGammaFamily::num_floored(const Tensor& eta) const {
  return (free_variance(eta) < floor_).any(-1).sum().item<int64_t>();
}

Tensor NormalGammaFamily::unconstrained(const Tensor& eta) const {
  const Parameters p = parameters(eta);
  return at::cat({p.beta.log(), p.m, p.a.log(), p.b.log()}, 1);
}

Tensor NormalGammaFamily::constrained(const Tensor& coordinates) const {
  const std::vector<Tensor> part = coordinates.chunk(4, 1);
  return natural({part[0].exp(), part[1], part[2].exp(), part[3].exp()});
}

Tensor NormalGammaFamily::sample(const Tensor& eta, const Rng& rng) const {
  const Parameters p = parameters(eta);
  const Tensor lambda = rng.gamma(p.a, "precision") / p.b;
  const Tensor noise = rng.normal(at::arange(eta.size(0), at::kLong), {D_}, "mean");
  return statistics(p.m + noise / (p.beta * lambda).sqrt(), lambda);
}

}  // namespace vem
