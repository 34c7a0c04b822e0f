// Rows of counts, each cell Poisson with a rate of its own a component: log p(x | k) = x log lambda - lambda - log x!.
// The predictive density is negative binomial (Gelman et al., Bayesian Data Analysis, section 2.6).
#include "gamma_rows.h"
#include "vem/core/infinity.h"
#include "vem/dist/counts.h"
#include "vem/dist/incomplete.h"

namespace vem {
namespace {

using PoissonOptions = GammaRowsOptions;

/// Draws by inversion: the number of steps of the cumulative sum that lie below u. Rates above 500, whose e^-rate runs
/// out of exponents, are drawn as sums of equal shares.
Tensor poisson(const Tensor& index, const Tensor& rates, const Rng& rng) {
  if (rng.is_recorded()) return at::poisson(rates);
  const auto shares = static_cast<int64_t>(std::max(1., std::ceil(rates.max().item<double>() / 500)));
  Tensor sum = at::zeros_like(rates);
  for (int64_t i = 0; i < shares; ++i) {
    const Tensor rate = rates / static_cast<double>(shares);
    const Tensor u = rng.fold(static_cast<uint64_t>(i)).uniform(index, {rates.size(1)}, "count");
    Tensor mass = (-rate).exp(), below = mass.clone(), count = at::zeros_like(rates);
    for (int64_t n = 1; n < 2000 && (below < u).any().item<bool>(); ++n) {
      count = count + (below < u);
      mass = mass * rate / static_cast<double>(n);
      below = below + mass;
    }
    sum = sum + count;
  }
  return sum;
}

class PoissonRows final : public GammaRows {
 public:
  PoissonRows(const PoissonOptions& options, const Context& context)
      : GammaRows("poisson", options, context, 0, kInfinity) {}

  void set_priors(const Moments& moments) override {
    set_prior_mean(at::where(moments.mean > 0, moments.mean, at::ones_like(moments.mean)));
  }
  Tensor supported(const Tensor& x) const override {
    return x.isnan().logical_or((x >= 0).logical_and(x <= kMostCounts).logical_and(x.eq(x.floor())));
  }
  std::string support(int64_t) const override {
    return "a whole number in 0 .. 2^46 (log-probabilities of larger counts keep no digits), or NaN where it is "
           "missing,";
  }

  Tensor statistics(const Tensor& x) const override {
    const Tensor there = x.isnan().logical_not();
    return at::cat({at::where(there, x, at::zeros_like(x)), there.to(x.scalar_type())}, 1).to(at::kDouble);
  }
  Tensor log_base(const Tensor& s) const override { return -at::lgamma(s.slice(1, 0, D()) + 1).sum(1, true); }

  Tensor log_predictive(const Tensor& x) const override {
    const Tensor a = shape(), b = rate(), rows = x.to(at::kDouble).unsqueeze(1);  // [N, 1, D]
    const Tensor cells =
        at::lgamma(rows + a) - at::lgamma(a) - at::lgamma(rows + 1) + a * (b / (b + 1)).log() - rows * at::log1p(b);
    return at::where(cells.isnan(), at::zeros_like(cells), cells).sum(2);
  }
  Tensor sample(const Tensor& index, const Tensor& component, const Tensor& t, const Rng& rng) const override {
    return poisson(index, rates_at(component, t), rng);
  }
  Tensor sample_predictive(const Tensor& index, const Tensor& component, const Rng& rng) const override {
    return poisson(index, drawn_rates(component, rng), rng);
  }
  /// Poisson, or negative binomial for a posterior.
  Marginals marginals() const override {
    const bool predictive = context_.estimate == Estimate::posterior;
    const Tensor a = shape(), b = rate(), mean = predictive ? a / b : -point().slice(1, D()).contiguous();
    const Tensor variance = predictive ? mean * (1 + 1 / b) : mean, share = b / (b + 1);
    Marginals all{mean, variance, mean, variance.sqrt(), at::ones({D()}, at::kBool), {}, {}};
    all.symbols.resize(static_cast<size_t>(D()));
    all.cdf = [predictive, a, share, mean](int64_t k, int64_t d, double x) {
      const auto at = [&](const Tensor& values) { return values.accessor<double, 2>()[k][d]; };
      if (x < 0) return 0.;
      return predictive ? special::incomplete_beta(at(a), x + 1, at(share))
                        : special::incomplete_gamma_above(x + 1, at(mean));
    };
    return all;
  }
};

}  // namespace

void register_poisson_observation(Registry& registry) {
  registry.add<Observation, PoissonOptions>("poisson", "rows of counts, exact gamma prior",
                                            [](const PoissonOptions& options, const Observation::Context& context) {
                                              return std::make_shared<PoissonRows>(options, context);
                                            });
}

}  // namespace vem
