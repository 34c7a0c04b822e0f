#include "vem/dist/poisson.h"

#include "check.h"
#include "draws.h"
#include "log_gamma.h"

namespace vem {
namespace {

/// The log-probability of a large count near the rate r, where x log r and log x! would cancel (Loader 2000, "Fast and
/// accurate computation of binomial probabilities"): -(x log(x / r) - (x - r)) - log(2 pi x) / 2 - s(x).
Tensor saddle_point(const Tensor& x, const Tensor& rate) {
  const Tensor excess = x - rate;
  return excess - x * at::log1p(excess / rate) - 0.5 * x.log() - kHalfLogTwoPi - stirling(x);
}

}  // namespace

Poisson::Poisson(const Tensor& rate) : rate_(positive(broadcast(name(), {{"rate", rate}})[0], name(), "rate")) {
  set_shapes(rate_, 0);
}
Poisson::Poisson(const Tensor& rate, const Tensor& log_rate) : rate_(rate), log_rate_(log_rate) {
  set_shapes(rate_, 0);
}
Poisson Poisson::of_log_rate(const Tensor& log_rate) { return {log_rate.exp(), log_rate}; }

Tensor Poisson::log_prob(const Tensor& x) const {
  const Tensor count = checked(x).to(rate_.scalar_type());
  const Tensor close = at::logical_and(count >= kLarge, (count - rate_).abs() < 0.5 * rate_);
  const Tensor ones = at::ones_like(rate_), n = at::where(close, count, kLarge * ones);
  const Tensor near_mode = saddle_point(n, at::where(close, rate_, kLarge * ones));
  const Tensor powers = log_rate_.defined() ? count * log_rate_ : at::xlogy(count, rate_);
  return at::where(close, near_mode, powers - rate_ + log_base(count));
}
Tensor Poisson::log_base(const Tensor& x) const { return -at::lgamma(x.to(rate_.scalar_type()) + 1); }
Tensor Poisson::draw(const Shape& sample_shape, const Rng& rng) const {
  return poisson_draw(rate_.expand(concatenated(sample_shape, batch_shape())), rng).to(rate_.scalar_type());
}
std::shared_ptr<const Distribution> Poisson::from_natural(const Tensor& eta) const {
  return std::make_shared<Poisson>(of_log_rate(eta.squeeze(-1)));
}

NegativeBinomial::NegativeBinomial(const Tensor& count, const Tensor& logits) {
  const auto p = broadcast(name(), {{"count", count}, {"logits", logits}});
  count_ = positive(p[0], name(), "count");
  logits_ = p[1];
  set_shapes(logits_, 0);
}

Tensor NegativeBinomial::mean() const { return count_ * logits_.exp(); }
Tensor NegativeBinomial::variance() const { return mean() * (1 + logits_.exp()); }
Tensor NegativeBinomial::log_prob(const Tensor& x) const {
  checked(x);
  return x * at::log_sigmoid(logits_) + count_ * at::log_sigmoid(-logits_) + log_base(x);
}
Tensor NegativeBinomial::log_base(const Tensor& x) const {
  return lgamma_ratio(count_, x) - at::lgamma(x.to(count_.scalar_type()) + 1);
}

// A Poisson whose rate is a gamma draw.
Tensor NegativeBinomial::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor rate = (log_gamma_draw(count_, sample_shape, rng) + logits_).exp();
  return poisson_draw(rate, rng).to(logits_.scalar_type());
}

Tensor NegativeBinomial::natural() const { return at::log_sigmoid(logits_).unsqueeze(-1); }
Tensor NegativeBinomial::log_partition(const Tensor& eta) const {
  return -count_ * at::log(-at::expm1(eta.squeeze(-1)));
}
std::shared_ptr<const Distribution> NegativeBinomial::from_natural(const Tensor& eta) const {
  const Tensor log_p = eta.squeeze(-1);
  return std::make_shared<NegativeBinomial>(count_, log_p - at::log(-at::expm1(log_p)));
}

}  // namespace vem
