// Continuous Bernoulli likelihood on [0, 1] (Loaiza-Ganem and Cunningham 2019), by logits:
//   log p(x) = x l - log(1 + e^l) + log C(l),  C = (2 atanh(1 - 2 p)) / (1 - 2 p) = l / tanh(l / 2)  with p =
//   sigmoid(l).
// Together log p(x) = x l - log((e^l - 1) / l), and E[x] = 1 / (1 - e^-l) - 1 / l.
#include "vem/infer/likelihood.h"

namespace vem {
namespace {

// Below this |l| a Taylor series is exact to rounding; above it the closed form loses no digits that matter.
constexpr double kSmall = 0.3;

struct ContinuousBernoulliOptions final : Options {
  void visit(OptionVisitor&) override {}
};

/// Logits at which autograd never meets 0 / 0: what where() does not choose must be finite too.
Tensor away_from_zero(const Tensor& logits) {
  return at::where(logits.abs() < kSmall, at::full_like(logits, 1.0), logits);
}

/// log((e^l - 1) / l) = l / 2 + log(sinh(l / 2) / (l / 2)), even part by series near zero.
Tensor log_normaliser(const Tensor& logits) {
  const Tensor l = away_from_zero(logits), size = l.abs(), square = logits * logits;
  const Tensor far = 0.5 * size + at::log1p(-(-size).exp()) - size.log();
  const Tensor near = square * (1.0 / 24 + square * (-1.0 / 2880 + square * (1.0 / 181440 - square / 9676800)));
  return 0.5 * logits + at::where(logits.abs() < kSmall, near, far);
}

/// E[x], the derivative of log_normaliser.
Tensor expectation(const Tensor& logits) {
  const Tensor l = away_from_zero(logits), square = logits * logits;
  const Tensor far = -1 / at::expm1(-l) - 1 / l;
  const Tensor near = 0.5 + logits * (1.0 / 12 + square * (-1.0 / 720 + square * (1.0 / 30240 - square / 1209600)));
  return at::where(logits.abs() < kSmall, near, far);
}

class ContinuousBernoulli final : public Likelihood {
 public:
  int64_t parameters_per_feature() const override { return 1; }
  Tensor log_prob(const Tensor& outputs, const Tensor& x) const override {
    return (x * outputs).sum(-1) - log_normaliser(outputs).sum(-1);
  }
  Tensor mean(const Tensor& outputs) const override { return expectation(outputs); }
  /// By inversion of F(x) = (e^{l x} - 1) / (e^l - 1) at -|l|, where nothing overflows; 1 - x has the logit -l.
  Tensor sample(const Tensor& outputs, const Tensor& index, const Rng& rng) const override {
    const Tensor u = rng.uniform(index, {outputs.size(-1)}, "likelihood", outputs.scalar_type());
    const Tensor l = -outputs.abs().clamp_min(1e-3);  // nearer to zero the density is flat to rounding
    const Tensor x = (at::log1p(u * at::expm1(l)) / l).clamp(0, 1);
    return at::where(outputs > 0, 1 - x, x);
  }
  /// Bisection on E[x] = mean, which rises with l.
  Tensor output_bias(const Tensor& mean, const Tensor&) const override {
    const Tensor target = mean.to(at::kDouble).clamp(1e-3, 1 - 1e-3);
    Tensor low = at::full_like(target, -1100), high = at::full_like(target, 1100);
    for (int i = 0; i < 60; ++i) {
      const Tensor middle = 0.5 * (low + high), below = expectation(middle) < target;
      low = at::where(below, middle, low);
      high = at::where(below, high, middle);
    }
    return (0.5 * (low + high)).to(mean.scalar_type());
  }
  Range support() const override { return {0, 1, false}; }
};

}  // namespace

void register_continuous_bernoulli(Registry& registry) {
  registry.add<Likelihood, ContinuousBernoulliOptions>(
      "continuous-bernoulli", "intensities in [0, 1], properly normalised",
      [](const ContinuousBernoulliOptions&, const Likelihood::Context&) {
        return std::make_shared<ContinuousBernoulli>();
      });
}

}  // namespace vem
