#include "vem/dist/discretized_logistic.h"

#include "check.h"
#include "draws.h"

namespace vem {
namespace {

/// The sum over levels k = 1 ... of weight(k) P(x >= level k): moments of what has only non-negative levels.
template <class Weight>
Tensor sum_of_tails(const Tensor& mean, const Tensor& scale, int64_t num_levels, const Weight& weight) {
  const double step = 1 / static_cast<double>(num_levels - 1);
  Tensor sum = at::zeros_like(mean);
  for (int64_t k = 1; k < num_levels; ++k) {
    const auto level = static_cast<double>(k);
    sum = sum + at::sigmoid((mean - (level - 0.5) * step) / scale) * weight(level);
  }
  return sum;
}

}  // namespace

DiscretizedLogistic::DiscretizedLogistic(const Tensor& mean, const Tensor& scale, int64_t num_levels)
    : num_levels_(num_levels) {
  const auto p = broadcast(name(), {{"mean", mean}, {"scale", scale}});
  mean_ = p[0];
  scale_ = positive(p[1], name(), "scale");
  if (num_levels < 2) fail<Error>("{}: num_levels must be at least 2, got {}", name(), num_levels);
  set_shapes(mean_, 0);
}

Tensor DiscretizedLogistic::mean(const Tensor& mean, const Tensor& scale, int64_t num_levels) {
  const double step = 1 / static_cast<double>(num_levels - 1);
  return sum_of_tails(mean, scale, num_levels, [&](double) { return step; });
}

Tensor DiscretizedLogistic::variance() const {
  const double step = 1 / static_cast<double>(num_levels_ - 1);
  const Tensor square = sum_of_tails(mean_, scale_, num_levels_, [&](double k) { return (2 * k - 1) * step * step; });
  return square - mean().square();
}

// sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(b - a)): no digits are lost in either tail.
Tensor DiscretizedLogistic::log_prob(const Tensor& x) const {
  const auto intervals = static_cast<double>(num_levels_ - 1);
  const Tensor level = (checked(x).to(mean_.scalar_type()) * intervals).round(),
               low = level<0.5, high = level> intervals - 0.5;
  const Tensor upper = ((level + 0.5) / intervals - mean_) / scale_,
               lower = ((level - 0.5) / intervals - mean_) / scale_;
  const Tensor below = at::log_sigmoid(upper), above = at::log_sigmoid(-lower),
               between = at::log(-at::expm1(-1 / (intervals * scale_)));
  return at::where(low, below, at::where(high, above, below + above + between));
}

Tensor DiscretizedLogistic::draw(const Shape& sample_shape, const Rng& rng) const {
  const auto intervals = static_cast<double>(num_levels_ - 1);
  const Tensor noise = at::logit(uniform_noise(sample_shape, mean_, rng)).to(mean_.scalar_type());
  return ((mean_ + scale_ * noise) * intervals).round().clamp(0, intervals) / intervals;
}

}  // namespace vem
