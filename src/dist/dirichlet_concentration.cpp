// Newton's method in log alpha. Legend: K categories, W draws, S_k = sum over draws of E[log theta_k].
#include "vem/dist/dirichlet_concentration.h"

#include <cmath>

namespace vem {
namespace {

constexpr double kSmallestAlpha = 1e-6, kLargestAlpha = 1e6;
// Steps in log alpha below the first are taken as they are: the objective does not resolve them, and Newton's method
// converges from there.
constexpr double kResolved = 1e-6, kConverged = 1e-11;
constexpr int kMaxSteps = 200, kMaxHalvings = 40;

Tensor log_beta(const Tensor& alpha) { return at::lgamma(alpha).sum(-1, true) - at::lgamma(alpha.sum(-1, true)); }
Tensor trigamma(const Tensor& x) { return at::polygamma(1, x); }

/// <eta, t(alpha)> / W for mean_log = S / W.
double objective(const Tensor& alpha, const Tensor& mean_log) {
  return ((alpha * mean_log).sum() - log_beta(alpha)).item<double>();
}

/// A Newton step in log alpha. The Hessian there is diag(alpha^2 q + alpha g) + z alpha alpha' with g the gradient in
/// alpha, q = -trigamma(alpha), z = trigamma(sum alpha); where alpha g is positive it is left out, so that the matrix
/// is negative definite and the step goes uphill; it vanishes at the optimum.
Tensor newton_step(const Tensor& alpha, const Tensor& mean_log, bool symmetric) {
  const Tensor total = alpha.sum();
  const Tensor gradient = alpha * (at::digamma(total) - at::digamma(alpha) + mean_log);
  const Tensor diagonal = -alpha * alpha * trigamma(alpha) + gradient.clamp_max(0), z = trigamma(total);
  if (symmetric) return (-gradient.sum() / (diagonal.sum() + z * total * total)).expand_as(alpha);
  // Sherman and Morrison: (diag(d) + z a a')^-1 g = g / d - (a / d) z <a, g / d> / (1 + z <a, a / d>)
  const Tensor g = gradient / diagonal, a = alpha / diagonal;
  return -(g - a * (z * (alpha * g).sum() / (1 + z * (alpha * a).sum())));
}

Tensor maximum(const Tensor& mean_log, bool symmetric) {
  Tensor alpha = at::ones_like(mean_log);
  double best = objective(alpha, mean_log);
  for (int i = 0; i < kMaxSteps; ++i) {
    Tensor step = newton_step(alpha, mean_log, symmetric);
    const double length = step.abs().max().item<double>();
    for (int halvings = 0; halvings < kMaxHalvings; ++halvings, step = 0.5 * step) {
      const Tensor next = (alpha.log() + step.clamp(-5, 5)).exp().clamp(kSmallestAlpha, kLargestAlpha);
      const double value = objective(next, mean_log);
      if (value <= best && length > kResolved) continue;
      alpha = next;
      best = value;
      break;
    }
    if (length < kConverged) break;
  }
  return alpha;
}

}  // namespace

Tensor DirichletConcentration::log_partition(const Tensor& eta) const { return at::zeros({eta.size(0)}, at::kDouble); }

Tensor DirichletConcentration::mode(const Tensor& eta) const {
  std::vector<Tensor> rows;
  for (int64_t r = 0; r < eta.size(0); ++r) {
    const Tensor draws = -eta[r][K_];
    Tensor mean_log = eta[r].slice(0, 0, K_) / draws;
    if (symmetric_) mean_log = mean_log.mean().expand({K_});
    rows.push_back(point(draws.item<double>() > 0 ? maximum(mean_log, symmetric_) : at::ones({K_}, at::kDouble)));
  }
  return at::cat(rows);
}

Tensor DirichletConcentration::point(const Tensor& alpha) { return at::cat({alpha, log_beta(alpha)}).unsqueeze(0); }

Tensor DirichletConcentration::start(const Tensor& alpha) {
  const Tensor mean_log = at::digamma(alpha) - at::digamma(alpha.sum());
  return at::cat({mean_log, -at::ones({1}, at::kDouble)}).unsqueeze(0);
}

}  // namespace vem
