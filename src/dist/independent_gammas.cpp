// Gamma distributions in natural coordinates (Bishop, PRML, appendix B).
#include "vem/dist/independent_gammas.h"

#include <limits>

namespace vem {
namespace {

constexpr double kSmallestDraw = std::numeric_limits<double>::min();

Tensor gamma_t(const Tensor& log_rate, const Tensor& rate) { return at::cat({log_rate, -rate}, 1); }

}  // namespace

Tensor GammasFamily::log_partition(const Tensor& eta) const {
  const std::vector<Tensor> part = eta.chunk(2, 1);
  const Tensor a = part[0] + 1;
  return (at::lgamma(a) - a * part[1].log()).sum(1);
}

Tensor GammasFamily::mean(const Tensor& eta) const {
  const std::vector<Tensor> part = eta.chunk(2, 1);
  const Tensor a = part[0] + 1;
  return gamma_t(at::digamma(a) - part[1].log(), a / part[1]);
}

Tensor GammasFamily::mode(const Tensor& eta) const {
  const std::vector<Tensor> part = eta.chunk(2, 1);
  const Tensor unseen = part[0].le(0).logical_and(part[1].le(0));
  const Tensor rate = at::where(unseen, at::ones_like(part[0]), part[0].clamp_min(0) / part[1]);
  const Tensor limited = rate.clamp(min_rate_, max_rate_);
  return gamma_t(limited.log(), limited);
}

Tensor GammasFamily::unconstrained(const Tensor& eta) const {
  return at::cat({eta.slice(1, 0, D_).log1p(), eta.slice(1, D_).log()}, 1);
}

Tensor GammasFamily::constrained(const Tensor& coordinates) const {
  return at::cat({coordinates.slice(1, 0, D_).expm1(), coordinates.slice(1, D_).exp()}, 1);
}

int64_t GammasFamily::num_floored(const Tensor& eta) const {
  const std::vector<Tensor> part = eta.chunk(2, 1);
  return (part[0] > max_rate_ * part[1]).any(1).sum().item<int64_t>();
}

Tensor GammasFamily::sample(const Tensor& eta, const Rng& rng) const {
  const std::vector<Tensor> part = eta.chunk(2, 1);
  // Small shapes underflow to zero.
  const Tensor rate = (rng.gamma(part[0] + 1, "rate") / part[1]).clamp_min(kSmallestDraw);
  return gamma_t(rate.log(), rate);
}

}  // namespace vem
