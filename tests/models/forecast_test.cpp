// Predictive variances of normal families and forecasts of every family, by direct formulas and by draws.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gaussian_reference.h"
#include "support/models.h"
#include "vem/core/infinity.h"
#include "vem/dist/normal_gamma.h"

namespace vem {
namespace forecast_test {

/// One component of two columns that has seen rows of this weight.
std::shared_ptr<Observation> seen(const std::string& toml, double weight, int64_t rows = 12) {
  const auto observation = make_observation(toml, {2, at::kDouble, Estimate::posterior, 1});
  const Tensor x = Rng(3).normal(at::arange(rows, at::kLong), {2}, "x") * at::tensor({1., 3.}, at::kDouble) + 2;
  observation->set_priors(moments(x, at::ones({rows}, at::kDouble)));
  Expectation total;
  total.sums =
      observation->spread(observation->sums(observation->statistics(x), at::full({rows, 1}, weight, at::kDouble)));
  observation->blocks()[0]->m_step(total, Step(), Rng(0));
  return observation;
}

// Full: St(m, V (beta + 1) / (beta (nu - 1)), nu - 1) in two dimensions (PRML 10.81), whose variance is the scale times
// degrees / (degrees - 2).
TEST(PredictiveVariance, OfANormalWishartIsThatOfItsStudent) {
  const double weight = 0.75, n = 12 * weight;
  const auto observation = seen("covariance = \"full\"\n", weight);
  const Tensor eta = observation->blocks()[0]->eta()[0];  // beta, beta m, packed V + beta m m', nu - D
  const double beta = 1 + n, nu = 2 + n, degrees = nu - 1;
  EXPECT_NEAR(eta[0].item<double>(), beta, 1e-12);
  const Marginals m = observation->marginals();
  for (int64_t d = 0; d < 2; ++d) {
    const double mean = eta[1 + d].item<double>() / beta;
    const double V = eta[d == 0 ? 3 : 5].item<double>() - beta * mean * mean;
    const double variance = V * (beta + 1) / (beta * degrees) * degrees / (degrees - 2);
    EXPECT_NEAR(m.mean[0][d].item<double>(), mean, 1e-12);
    EXPECT_NEAR(m.variance[0][d].item<double>(), variance, 1e-10 * variance);
    EXPECT_GT(variance, 1.2 * V / nu);  // E[Lambda]^-1 is far less
  }
}

TEST(PredictiveVariance, IsInfiniteAtTwoDegreesOfFreedom) {
  for (const std::string covariance : {"full", "diagonal"}) {
    const std::string toml = "covariance = \"" + covariance + "\"\n";
    // nu0 - D + 1 and 2 a0 are 1: twelve rows that weigh 1 / 12 make it 2
    EXPECT_TRUE(seen(toml, 0.99 / 12)->marginals().variance.eq(kInfinity).all().item<bool>()) << covariance;
    EXPECT_TRUE(seen(toml, 1.01 / 12)->marginals().variance.isfinite().all().item<bool>()) << covariance;
  }
}

// 200,000 draws: the variance of a sample variance goes with the kurtosis, finite above four degrees of freedom.
TEST(PredictiveVariance, IsThatOfDraws) {
  for (const std::string covariance : {"full", "diagonal", "tied", "spherical"}) {
    const auto observation = seen("covariance = \"" + covariance + "\"\n", 1);
    const Marginals m = observation->marginals();
    const Tensor x =
        observation->sample_predictive(at::arange(200000, at::kLong), at::zeros({200000}, at::kLong), Rng(5));
    EXPECT_TRUE(at::allclose(x.var(0), m.variance[0], 0.03)) << covariance;
    EXPECT_TRUE(at::allclose(x.mean(0), m.mean[0], 0.02, 0.02)) << covariance;
    const ColumnForecast f = mixture_forecast(m, at::ones({1, 1}, at::kDouble), 0.8);
    const Tensor inside = (x > f.lower).logical_and(x < f.upper).to(at::kDouble).mean(0);
    EXPECT_TRUE(at::allclose(inside, at::full({2}, 0.8, at::kDouble), 0, 5 * std::sqrt(.16 / 2e5))) << covariance;
  }
}

// A posterior chain of regressions: moments and intervals of two steps by simulation of the densities that
// log_predictive() gives, one row after the other.
TEST(Autoregressive, PosteriorForecastsAreThoseOfItsPredictiveDensity) {
  const auto observation = make_observation("order = 1\n", {1, at::kDouble, Estimate::posterior, 1}, "autoregressive");
  const Tensor x = Rng(1).normal(at::arange(14, at::kLong), {1}, "x").cumsum(0);
  observation->set_priors(moments(x, at::ones({14}, at::kDouble)));
  Expectation total;
  total.sums = observation->spread(observation->sums(
      observation->statistics(at::cat({x.slice(0, 1), x.slice(0, 0, -1)}, 1)), at::ones({13, 1}, at::kDouble)));
  observation->blocks()[0]->m_step(total, Step(), Rng(0));
  const Tensor one = at::ones({1, 1}, at::kDouble), past = at::full({1, 1}, 2., at::kDouble);
  const ColumnForecast f = observation->forecast(one, one, past, 2, 0.8);
  // the density of the next row on a grid, then of the one after: midpoints of 0.02
  const Tensor grid = (at::arange(-2000, 2000, at::kDouble) + 0.5) * 0.02;
  const auto density = [&](double before) {
    return observation->log_predictive(at::stack({grid, at::full_like(grid, before)}, 1)).exp().view({-1}) * 0.02;
  };
  const Tensor first = density(2), some = at::arange(0, 4000, 8, at::kLong);
  const auto expect = [&](const Tensor& p, int64_t step) {
    const double mean = (p * grid).sum().item<double>(), variance = (p * (grid - mean).square()).sum().item<double>();
    EXPECT_NEAR(f.mean[0][step][0].item<double>(), mean, 2e-3) << step;
    EXPECT_NEAR(f.variance[0][step][0].item<double>(), variance, 2e-2 * variance) << step;
    const auto below = [&](const Tensor& end) { return p.masked_select(grid < end).sum().item<double>(); };
    // of 4,000 draws: five standard errors of the share below an end
    EXPECT_NEAR(below(f.lower[0][step][0]), 0.1, 5 * std::sqrt(.09 / 4000)) << step;
    EXPECT_NEAR(below(f.upper[0][step][0]), 0.9, 5 * std::sqrt(.09 / 4000)) << step;
  };
  expect(first, 0);
  Tensor second = at::zeros_like(grid);
  for (int64_t i = 0; i < 4000; i += 8)
    second = second + first.slice(0, i, i + 8).sum() * density((grid[i] + 0.07).item<double>());
  expect(second, 1);
}

// ---- the method ----

std::vector<Tensor> forecast(const Model& model, const Dataset& data, double level) {
  const Batch batch = data.batch(at::arange(data.size, at::kLong), 0, model.dtype());
  const auto methods = model.methods();
  return Model::find(methods, "forecast")
      ->call({batch.at("x"), batch.offsets, at::scalar_tensor(3, at::kLong), at::scalar_tensor(level, at::kDouble)},
             Rng(0));
}

// Numbers of every family have moments and an interval, symbols have probabilities; all in the units of the data.
TEST(Forecast, SaysSomethingOfEveryFamily) {
  struct Case {
    Sample sample;
    std::string observation;
    int64_t numbers, symbols;
  };
  for (const Case& c :
       {Case{Sample::sequences, "\"normal\"", 3, 0}, Case{Sample::bit_sequences, "\"bernoulli\"", 4, 0},
        Case{Sample::count_sequences, "\"poisson\"", 4, 0}, Case{Sample::count_sequences, "\"multinomial\"", 4, 0},
        Case{Sample::count_sequences, "\"exponential\"", 4, 0},
        Case{Sample::symbol_sequences, "{kind = \"categorical\", num_symbols = 5}", 0, 4}})
    for (const std::string estimate : {"ml", "posterior"}) {
      Dataset data = sample_data(c.sample);
      const auto model = make_model("[model]\nkind = \"hmm\"\nnum_components = 2\nestimate = \"" + estimate +
                                        "\"\nobservation = " + c.observation + "\n",
                                    data);
      FitOptions options;
      options.epochs = 5;
      fit(*model, data, options, {plugins()});
      const std::vector<Tensor> out = forecast(*model, data, 0.9);
      ASSERT_EQ(static_cast<int64_t>(out.size()), 1 + (c.numbers > 0 ? 4 : 0) + c.symbols) << c.observation;
      for (size_t i = 1; i < out.size() && c.symbols > 0; ++i)
        EXPECT_TRUE(at::allclose(out[i].sum(-1), at::ones({data.size, 3}, at::kDouble))) << c.observation;
      if (c.numbers == 0) continue;
      EXPECT_EQ(out[1].sizes(), at::IntArrayRef({data.size, 3, c.numbers}));
      for (size_t i = 1; i < 5; ++i) EXPECT_FALSE(out[i].isnan().any().item<bool>()) << c.observation << i;
      EXPECT_TRUE((out[3] <= out[4]).all().item<bool>()) << c.observation;
      EXPECT_TRUE((out[2] >= 0).all().item<bool>()) << c.observation;
    }
}

}  // namespace forecast_test
}  // namespace vem
