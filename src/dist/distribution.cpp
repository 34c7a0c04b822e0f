// The diagonal normal distribution of a latent.
#include "vem/dist/distribution.h"

#include "vem/dist/normal_function.h"

namespace vem {
namespace {

const double kHalfLogTwoPi = 0.5 * std::log(2 * M_PI);

}  // namespace

Tensor DiagonalNormal::rsample(const Tensor& noise) const { return normal_sample(mean_, log_std_, noise); }

Tensor DiagonalNormal::log_prob(const Tensor& z) const {
  const Tensor standardized = (z - mean_) * (-log_std_).exp();
  return (-0.5 * standardized * standardized - log_std_ - kHalfLogTwoPi).sum(-1);
}

Tensor DiagonalNormal::entropy() const { return (log_std_ + (kHalfLogTwoPi + 0.5)).sum(-1); }

}  // namespace vem
