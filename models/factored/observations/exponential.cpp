// Rows of durations, each cell exponential with a rate of its own a component: log p(x | k) = log lambda - lambda x.
// The predictive density is that of Lomax: a b^a / (b + x)^(a + 1).
#include "gamma_rows.h"
#include "vem/core/infinity.h"

namespace vem {
namespace {

struct ExponentialObservationOptions final : GammaRowsOptions {
  double mean_floor = 1e-9;
  void visit(OptionVisitor& v) override {
    GammaRowsOptions::visit(v);
    v.when(has_mode(), "estimate is ml or map", [&] {
      v("mean_floor", mean_floor, positive(),
        "smallest mean of a component: zeros alone would have an infinite density");
    });
  }
};

class ExponentialRows final : public GammaRows {
 public:
  ExponentialRows(const ExponentialObservationOptions& options, const Context& context)
      : GammaRows("exponential", options, context, std::numeric_limits<double>::min(), 1 / options.mean_floor) {
    if (context.estimate == Estimate::posterior || context.estimate == Estimate::gibbs)
      refuse_without_effect(options.mean_floor != ExponentialObservationOptions().mean_floor, "exponential: mean_floor",
                            "estimate is ml or map");
  }

  void set_priors(const Moments& moments) override {
    set_prior_mean(1 / at::where(moments.mean > 0, moments.mean, at::ones_like(moments.mean)));
  }
  Tensor supported(const Tensor& x) const override {
    return x.isnan().logical_or((x >= 0).logical_and(x.isinf().logical_not()));
  }
  std::string support(int64_t) const override { return "a finite number >= 0, or NaN where it is missing,"; }

  Tensor statistics(const Tensor& x) const override {
    const Tensor there = x.isnan().logical_not();
    return at::cat({there.to(x.scalar_type()), at::where(there, x, at::zeros_like(x))}, 1).to(at::kDouble);
  }
  Tensor log_base(const Tensor& s) const override { return at::zeros({}, s.options()); }

  Tensor log_predictive(const Tensor& x) const override {
    const Tensor a = shape(), b = rate(), rows = x.to(at::kDouble).unsqueeze(1);  // [N, 1, D]
    const Tensor cells = (a / b).log() - (a + 1) * at::log1p(rows / b);
    return at::where(cells.isnan(), at::zeros_like(cells), cells).sum(2);
  }
  Tensor sample(const Tensor& index, const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return draw(index, rates_at(component, t), rng);
  }
  Tensor sample_predictive(const Tensor& index, const Tensor& component, const Rng& rng) const override {
    return draw(index, drawn_rates(component, rng), rng);
  }
  /// Exponential, or that of Lomax for a posterior, whose mean diverges at a <= 1 and whose variance at a <= 2.
  Marginals marginals() const override {
    const bool predictive = context_.estimate == Estimate::posterior;
    const Tensor a = shape(), b = rate(), rates = predictive ? a / b : -point().slice(1, D()).contiguous();
    const Tensor scale = 1 / rates, infinite = at::full({}, kInfinity, at::kDouble);
    Marginals all{scale, scale.square(), scale, scale, at::zeros({D()}, at::kBool), {}, {}};
    all.symbols.resize(static_cast<size_t>(D()));
    if (predictive) {
      all.mean = at::where(a > 1, b / (a - 1), infinite);
      all.variance = at::where(a > 2, all.mean.square() * a / (a - 2), infinite);
    }
    all.cdf = [predictive, a, b, rates](int64_t k, int64_t d, double x) {
      const auto at = [&](const Tensor& values) { return values.accessor<double, 2>()[k][d]; };
      if (x < 0) return 0.;
      return -std::expm1(predictive ? -at(a) * std::log1p(x / at(b)) : -at(rates) * x);
    };
    return all;
  }

 private:
  static Tensor draw(const Tensor& index, const Tensor& rates, const Rng& rng) {
    return -rng.uniform(index, {rates.size(1)}, "row").log() / rates;
  }
};

}  // namespace

void register_exponential_observation(Registry& registry) {
  registry.add<Observation, ExponentialObservationOptions>(
      "exponential", "rows of durations, exact gamma prior",
      [](const ExponentialObservationOptions& options, const Observation::Context& context) {
        return std::make_shared<ExponentialRows>(options, context);
      });
}

}  // namespace vem
