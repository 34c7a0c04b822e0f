// Normal densities by the standardised value.
#include "vem/dist/normal.h"

#include "check.h"
#include "draws.h"
#include "log_gamma.h"
#include "vem/dist/normal_function.h"

namespace vem {
namespace {

Tensor entropy_of(const Tensor& log_std) { return log_std + (kHalfLogTwoPi + 0.5); }

/// The linear and the quadratic part of eta.
std::vector<Tensor> natural_of(const Tensor& mean, const Tensor& variance) {
  const Tensor precision = 1 / variance;
  return {mean * precision, -0.5 * precision};
}

Tensor log_partition_of(const std::vector<Tensor>& eta) {
  const Tensor precision = -2 * eta[1];
  return 0.5 * (eta[0] * eta[0] / precision - precision.log()) + kHalfLogTwoPi;
}

/// Mean and variance.
std::pair<Tensor, Tensor> moments_of(const std::vector<Tensor>& eta) {
  const Tensor variance = -0.5 / eta[1];
  return {eta[0] * variance, variance};
}

}  // namespace

Normal::Normal(const Tensor& mean, const Tensor& std) {
  const auto p = broadcast(name(), {{"mean", mean}, {"std", std}});
  mean_ = p[0];
  std_ = positive(p[1], name(), "std");
  set_shapes(mean_, 0);
}

Tensor Normal::variance() const { return std_ * std_; }
Tensor Normal::entropy() const { return entropy_of(std_.log()); }
Tensor Normal::log_prob(const Tensor& x) const {
  return normal_log_density(((checked(x) - mean_) / std_).square(), std_.log());
}
Tensor Normal::rsample(const Tensor& noise) const { return mean_ + std_ * noise; }
Tensor Normal::draw(const Shape& sample_shape, const Rng& rng) const {
  return rsample(normal_noise(sample_shape, mean_, rng));
}

Tensor Normal::natural() const { return at::stack(natural_of(mean_, variance()), -1); }
Tensor Normal::statistics(const Tensor& x) const { return at::stack({x, x * x}, -1); }
Tensor Normal::expected_statistics() const { return at::stack({mean_, variance() + mean_ * mean_}, -1); }
Tensor Normal::log_partition(const Tensor& eta) const { return log_partition_of(eta.unbind(-1)); }
std::shared_ptr<const Distribution> Normal::from_natural(const Tensor& eta) const {
  const auto [mean, variance] = moments_of(eta.unbind(-1));
  return std::make_shared<Normal>(mean, variance.sqrt());
}

DiagonalNormal::DiagonalNormal(const Tensor& mean, const Tensor& log_std) {
  const auto p = broadcast(name(), {{"mean", mean, 1}, {"log_std", log_std, 1}});
  require_shape(p[0].size(-1) == p[1].size(-1), p[1], name(), "log_std", "[..., L] as the mean's");
  mean_ = p[0];
  log_std_ = p[1];
  set_shapes(mean_, 1);
}

Tensor DiagonalNormal::variance() const { return (2 * log_std_).exp(); }
Tensor DiagonalNormal::entropy() const { return entropy_of(log_std_).sum(-1); }
Tensor DiagonalNormal::log_prob(const Tensor& x) const {
  const Tensor standardized = (checked(x) - mean_) * (-log_std_).exp();
  return normal_log_density(standardized.square().sum(-1), log_std_.sum(-1), mean_.size(-1));
}
Tensor DiagonalNormal::rsample(const Tensor& noise) const { return normal_sample(mean_, log_std_, noise); }
Tensor DiagonalNormal::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor noise = normal_noise(sample_shape, mean_, rng);
  return rng.is_recorded() ? mean_ + log_std_.exp() * noise : rsample(noise);  // a trace would not see its loop
}

Tensor DiagonalNormal::natural() const { return at::cat(natural_of(mean_, variance()), -1); }
Tensor DiagonalNormal::statistics(const Tensor& x) const { return at::cat({x, x * x}, -1); }
Tensor DiagonalNormal::expected_statistics() const { return at::cat({mean_, variance() + mean_ * mean_}, -1); }
Tensor DiagonalNormal::log_partition(const Tensor& eta) const { return log_partition_of(eta.chunk(2, -1)).sum(-1); }
std::shared_ptr<const Distribution> DiagonalNormal::from_natural(const Tensor& eta) const {
  const auto [mean, variance] = moments_of(eta.chunk(2, -1));
  return std::make_shared<DiagonalNormal>(mean, 0.5 * variance.log());
}

}  // namespace vem
