// The continuous Bernoulli by its logit l: A(l) = log((e^l - 1) / l) = l / 2 + log(sinh(l / 2) / (l / 2)). The second
// term is even; near zero it and its derivatives are Taylor series, elsewhere they are written in m = |l|.
#include "check.h"
#include "draws.h"
#include "vem/dist/bernoulli.h"

namespace vem {
namespace {

// Below this |l| the series are exact to rounding; above it the closed forms lose no digits that matter.
constexpr double kSmall = 0.3;

/// `near` of l^2 where |l| is small, else `far` of |l|; each gets an argument at which it and its gradient are finite.
template <class Near, class Far>
Tensor by_logit(const Tensor& logits, const Near& near, const Far& far) {
  const Tensor small = logits.abs() < kSmall;
  const Tensor inside = at::where(small, logits, at::zeros_like(logits));
  return at::where(small, near(inside * inside), far(at::where(small, at::ones_like(logits), logits).abs()));
}

/// log(sinh(l / 2) / (l / 2)), of q = l^2.
Tensor even_series(const Tensor& q) {
  return q * (1. / 24 + q * (-1. / 2880 + q * (1. / 181440 + q * (-1. / 9676800 + q / 479001600))));
}

/// log((1 - e^-m) / m): A(-m).
Tensor log_normaliser_below(const Tensor& m) { return at::log1p(-(-m).exp()) - m.log(); }

/// E[x] at the logit -m.
Tensor mean_below(const Tensor& m) { return 1 / m + (-m).exp() / at::expm1(-m); }

}  // namespace

ContinuousBernoulli::ContinuousBernoulli(const Tensor& logits) : logits_(broadcast(name(), {{"logits", logits}})[0]) {
  set_shapes(logits_, 0);
}

// x l - A(l), as (x - 1) l - A(-l) where l is positive: x near one then keeps its digits.
Tensor ContinuousBernoulli::log_prob(const Tensor& logits, const Tensor& x) {
  const Tensor small = logits.abs() < kSmall, ones = at::ones_like(logits);
  const Tensor origin = at::where(small, 0.5 * ones, (logits > 0).to(logits.scalar_type()));
  return (x - origin) * logits - by_logit(logits, even_series, log_normaliser_below);
}

Tensor ContinuousBernoulli::mean(const Tensor& logits) {
  const Tensor far = by_logit(
      logits, [](const Tensor& q) { return at::zeros_like(q); }, mean_below);
  const auto odd = [](const Tensor& q) {
    return 1. / 12 + q * (-1. / 720 + q * (1. / 30240 + q * (-1. / 1209600 + q / 47900160)));
  };
  const Tensor small = logits.abs() < kSmall, inside = at::where(small, logits, at::zeros_like(logits));
  return at::where(small, 0.5 + inside * odd(inside * inside), at::where(logits > 0, 1 - far, far));
}

Tensor ContinuousBernoulli::variance() const {
  const auto series = [](const Tensor& q) {
    return 1. / 12 + q * (-1. / 240 + q * (1. / 6048 + q * (-1. / 172800 + q / 5322240)));
  };
  const auto far = [](const Tensor& m) {
    const Tensor above = at::expm1(-m);
    return 1 / (m * m) - (-m).exp() / (above * above);
  };
  return by_logit(logits_, series, far);
}

// A(-m) + m E[x] at -m, which is the entropy at m too.
Tensor ContinuousBernoulli::entropy() const {
  const Tensor small = logits_.abs() < kSmall, inside = at::where(small, logits_, at::zeros_like(logits_));
  const Tensor near = even_series(inside * inside) - inside * (mean(inside) - 0.5);
  const auto far = [](const Tensor& m) { return log_normaliser_below(m) + m * mean_below(m); };
  return at::where(small, near, by_logit(logits_, even_series, far));
}

Tensor ContinuousBernoulli::log_prob(const Tensor& x) const { return log_prob(logits_, checked(x)); }

// F^-1(u) = log(1 + u (e^l - 1)) / l at -|l|, where nothing overflows (1 - x has the logit -l, and 1 - u); near zero by
// its Taylor series, because the gradient of the closed form loses digits as 1 / l.
Tensor ContinuousBernoulli::quantile(const Tensor& logits, const Tensor& u) {
  const double near_zero = logits.scalar_type() == at::kFloat ? 5e-2 : 1e-3;
  const Tensor small = logits.abs() < near_zero;
  const Tensor inside = at::where(small, logits, at::zeros_like(logits));
  const Tensor l = -at::where(small, at::ones_like(logits), logits).abs();
  const Tensor above = logits > 0, below = at::log1p(at::where(above, 1 - u, u) * at::expm1(l)) / l, v = u * (1 - u);
  const Tensor series = u + v * inside * (0.5 + inside * ((1 - 2 * u) / 6 + inside * (1. / 24 - 0.25 * v)));
  return at::where(small, series, at::where(above, 1 - below, below)).clamp(0, 1);
}

Tensor ContinuousBernoulli::draw(const Shape& sample_shape, const Rng& rng) const {
  return quantile(logits_, uniform_noise(sample_shape, logits_, rng).to(logits_.scalar_type()));
}

Tensor ContinuousBernoulli::log_partition(const Tensor& eta) const {
  const Tensor logits = eta.squeeze(-1);
  const auto far = [](const Tensor& m) { return log_normaliser_below(m) + 0.5 * m; };
  return 0.5 * logits + by_logit(logits, even_series, far);
}

std::shared_ptr<const Distribution> ContinuousBernoulli::from_natural(const Tensor& eta) const {
  return std::make_shared<ContinuousBernoulli>(eta.squeeze(-1));
}

}  // namespace vem
