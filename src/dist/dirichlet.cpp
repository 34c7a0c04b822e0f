// The Dirichlet distribution in natural coordinates (Bishop, PRML, appendix B, with eta = alpha - 1).
#include "vem/dist/dirichlet.h"

#include <limits>

namespace vem {
namespace {

constexpr double kSmallest = std::numeric_limits<double>::min();

Tensor log_normalized(const Tensor& positive) { return positive.log() - positive.sum(-1, true).log(); }

}  // namespace

Tensor Dirichlet::log_partition(const Tensor& eta) const {
  const Tensor alpha = eta + 1;
  return at::lgamma(alpha).sum(-1) - at::lgamma(alpha.sum(-1));
}

Tensor Dirichlet::mean(const Tensor& eta) const {
  const Tensor alpha = eta + 1;
  return at::digamma(alpha) - at::digamma(alpha.sum(-1, true));
}

Tensor Dirichlet::mode(const Tensor& eta) const { return log_normalized(eta.clamp_min(kSmallest)); }

Tensor Dirichlet::sample(const Tensor& eta, const Rng& rng) const {
  return log_normalized(rng.gamma(eta + 1, "dirichlet").clamp_min(kSmallest));  // small alphas underflow to zero
}

}  // namespace vem
