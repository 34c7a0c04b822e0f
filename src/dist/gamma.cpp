// Gamma and beta. Draws go through logarithms, where small concentrations do not underflow.
#include "vem/dist/gamma.h"

#include "check.h"
#include "draws.h"
#include "log_gamma.h"

namespace vem {
namespace {

Tensor log_normaliser(const Tensor& concentration, const Tensor& rate) {
  return at::lgamma(concentration) - concentration * rate.log();
}

}  // namespace

Gamma::Gamma(const Tensor& concentration, const Tensor& rate) {
  const auto p = broadcast(name(), {{"concentration", concentration}, {"rate", rate}});
  concentration_ = positive(p[0], name(), "concentration");
  rate_ = positive(p[1], name(), "rate");
  set_shapes(rate_, 0);
}

Tensor Gamma::mean() const { return concentration_ / rate_; }
Tensor Gamma::variance() const { return mean() / rate_; }
Tensor Gamma::entropy() const { return standard_gamma_entropy(concentration_) - rate_.log(); }
Tensor Gamma::log_prob(const Tensor& x) const {
  checked(x);
  return at::xlogy(concentration_ - 1, x) - rate_ * x - log_normaliser(concentration_, rate_);
}
Tensor Gamma::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor x = (log_gamma_draw(concentration_, sample_shape, rng) - rate_.log()).exp();
  return x.clamp_min(smallest_positive(x));
}

Tensor Gamma::natural() const { return at::stack({concentration_ - 1, -rate_}, -1); }
Tensor Gamma::statistics(const Tensor& x) const { return at::stack({x.log(), x}, -1); }
Tensor Gamma::expected_statistics() const { return at::stack({at::digamma(concentration_) - rate_.log(), mean()}, -1); }
Tensor Gamma::log_partition(const Tensor& eta) const {
  return log_normaliser(eta.select(-1, 0) + 1, -eta.select(-1, 1));
}
std::shared_ptr<const Distribution> Gamma::from_natural(const Tensor& eta) const {
  return std::make_shared<Gamma>(eta.select(-1, 0) + 1, -eta.select(-1, 1));
}

Beta::Beta(const Tensor& a, const Tensor& b) {
  const auto p = broadcast(name(), {{"a", a}, {"b", b}});
  a_ = positive(p[0], name(), "a");
  b_ = positive(p[1], name(), "b");
  set_shapes(a_, 0);
}

Tensor Beta::mean() const { return a_ / (a_ + b_); }
Tensor Beta::variance() const {
  const Tensor total = a_ + b_;
  return (a_ / total) * (b_ / total) / (total + 1);
}
Tensor Beta::entropy() const { return log_beta(a_, b_) - (natural() * expected_statistics()).sum(-1); }
Tensor Beta::log_prob(const Tensor& x) const {
  checked(x);
  return at::xlogy(a_ - 1, x) + at::special_xlog1py(b_ - 1, -x) - log_beta(a_, b_);
}
Tensor Beta::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor log_ratio = log_gamma_draw(a_, sample_shape, rng, "a") - log_gamma_draw(b_, sample_shape, rng, "b");
  return at::sigmoid(log_ratio).clamp(smallest_positive(log_ratio), 1 - epsilon(log_ratio));
}

Tensor Beta::natural() const { return at::stack({a_ - 1, b_ - 1}, -1); }
Tensor Beta::statistics(const Tensor& x) const { return at::stack({x.log(), at::log1p(-x)}, -1); }
Tensor Beta::expected_statistics() const { return -at::stack({digamma_ratio(a_, b_), digamma_ratio(b_, a_)}, -1); }
Tensor Beta::log_partition(const Tensor& eta) const { return log_beta(eta.select(-1, 0) + 1, eta.select(-1, 1) + 1); }
std::shared_ptr<const Distribution> Beta::from_natural(const Tensor& eta) const {
  return std::make_shared<Beta>(eta.select(-1, 0) + 1, eta.select(-1, 1) + 1);
}

}  // namespace vem
