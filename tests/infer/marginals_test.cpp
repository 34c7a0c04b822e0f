// Mixtures of columns: moments by their definition, quantiles against the distribution functions that they invert.
#include "vem/infer/marginals.h"

#include <gtest/gtest.h>

#include "support/gaussian_reference.h"
#include "vem/core/infinity.h"

namespace vem {
namespace marginals_test {

Tensor numbers(const std::vector<double>& values, const Shape& shape) {
  return at::tensor(values, at::kDouble).view(shape);
}

/// Two Student-t components of two columns, of which the second column of the second has two degrees of freedom.
Marginals two_students() {
  return normal_marginals(numbers({0, 1, 5, -2}, {2, 2}), numbers({1, 2, .5, 3}, {2, 2}),
                          numbers({3, 7, 4, 2}, {2, 2}));
}

double cdf(const Marginals& m, const Tensor& p, int64_t column, double x) {
  double sum = 0;
  for (int64_t k = 0; k < p.numel(); ++k)
    if (p[k].item<double>() > 0) sum += p[k].item<double>() * m.cdf(k, column, x);
  return sum;
}

TEST(Marginals, MomentsOfAMixtureOfStudents) {
  const Tensor p = numbers({.3, .7, 1, 0}, {2, 2});
  const ColumnForecast f = mixture_forecast(two_students(), p, 0.9);
  EXPECT_NEAR(f.mean[0][0].item<double>(), .7 * 5, 1e-14);
  EXPECT_NEAR(f.mean[1][1].item<double>(), 1, 1e-14);
  // variances nu / (nu - 2) scale^2: 3 and 2 / 4
  EXPECT_NEAR(f.variance[0][0].item<double>(), .3 * (3 + 3.5 * 3.5) + .7 * (.5 + 1.5 * 1.5), 1e-12);
  EXPECT_NEAR(f.variance[1][1].item<double>(), 4 * 7. / 5, 1e-12);  // the other has probability 0
  EXPECT_EQ(f.variance[0][1].item<double>(), kInfinity);
  for (const Tensor& own : f.symbols) EXPECT_FALSE(own.defined());
}

TEST(Marginals, QuantilesInvertTheDistribution) {
  const Marginals m = two_students();
  const Tensor p = numbers({.3, .7, .001, .999, 1, 0}, {3, 2});
  for (const double level : {0.2, 0.9, 0.999}) {
    const ColumnForecast f = mixture_forecast(m, p, level);
    for (int64_t n = 0; n < 3; ++n)
      for (int64_t d = 0; d < 2; ++d) {
        EXPECT_NEAR(cdf(m, p[n], d, f.lower[n][d].item<double>()), (1 - level) / 2, 1e-11);
        EXPECT_NEAR(cdf(m, p[n], d, f.upper[n][d].item<double>()), (1 + level) / 2, 1e-11);
      }
  }
  // A normal's 95 %, to all digits.
  const ColumnForecast f = mixture_forecast(normal_marginals(numbers({10}, {1, 1}), numbers({2}, {1, 1})),
                                            at::ones({1, 1}, at::kDouble), 0.95);
  EXPECT_NEAR(f.upper.item<double>(), 10 + 2 * 1.959963984540054, 1e-11);
  EXPECT_NEAR(f.lower.item<double>(), 10 - 2 * 1.959963984540054, 1e-11);
}

TEST(Marginals, UnknownComponentsGiveNaN) {
  const ColumnForecast f = mixture_forecast(two_students(), numbers({std::nan(""), std::nan("")}, {1, 2}), 0.9);
  for (const Tensor& values : {f.mean, f.variance, f.lower, f.upper}) EXPECT_TRUE(values.isnan().all().item<bool>());
}

// Of counts: the smallest number with at least that much at or below it, by running sums of probabilities.
TEST(Marginals, QuantilesOfCountsAreTheSmallestThatReach) {
  for (const auto& [name, toml] : std::vector<std::pair<std::string, std::string>>{
           {"poisson", "shape = 1.5\n"}, {"multinomial", "num_trials = 20\n"}, {"bernoulli", ""}})
    for (const Estimate estimate : {Estimate::ml, Estimate::posterior}) {
      const auto observation = make_observation(estimate == Estimate::ml && name == "poisson" ? "" : toml,
                                                {2, at::kDouble, estimate, 2}, name);
      const Tensor x = name == "bernoulli" ? numbers({0, 1, 1, 1, 1, 0}, {3, 2}) : numbers({3, 1, 0, 9, 12, 2}, {3, 2});
      observation->set_priors(moments(x, at::ones({3}, at::kDouble)));
      Expectation total;
      total.sums =
          observation->spread(observation->sums(observation->statistics(x), numbers({.2, .8, .7, .3, .5, .5}, {3, 2})));
      observation->blocks()[0]->m_step(total, Step(), Rng(0));
      const Marginals m = observation->marginals();
      const Tensor p = numbers({.4, .6}, {1, 2}), n = at::arange(0, 400, at::kDouble);
      const ColumnForecast f = mixture_forecast(m, p, 0.8);
      // probabilities of one column: the others summed out, as missing cells are (of a multinomial: given the total)
      for (int64_t d = 0; d < 2; ++d) {
        Tensor rows = at::full({400, 2}, std::nan(""), at::kDouble);
        const int64_t largest = name == "bernoulli" ? 2 : name == "multinomial" ? 21 : 400;
        rows.select(1, d).copy_(n);
        if (name == "multinomial") rows.select(1, 1 - d).copy_(20 - n);
        rows = rows.slice(0, 0, largest);
        const Tensor log_p = estimate == Estimate::ml ? observation->log_prob(rows, observation->point())
                                                      : observation->log_predictive(rows);
        const Tensor share = at::mv(log_p.exp(), p[0]), value = n.slice(0, 0, largest);
        const Tensor below = share.cumsum(0), mean = (share * value).sum();
        EXPECT_NEAR(f.mean[0][d].item<double>(), mean.item<double>(), 1e-6) << name;
        EXPECT_NEAR(f.variance[0][d].item<double>(), (share * (value - mean).square()).sum().item<double>(), 1e-5)
            << name;
        EXPECT_EQ(f.lower[0][d].item<double>(), below.ge(0.1).to(at::kLong).argmax().item<int64_t>()) << name;
        EXPECT_EQ(f.upper[0][d].item<double>(), below.ge(0.9).to(at::kLong).argmax().item<int64_t>()) << name;
      }
    }
}

// Lomax: mean b / (a - 1), and the closed quantile b ((1 - u)^(-1 / a) - 1).
TEST(Marginals, DurationsHaveLomaxQuantiles) {
  const auto observation = make_observation("shape = 1.5\n", {1, at::kDouble, Estimate::posterior, 1}, "exponential");
  const Tensor x = numbers({1, 2.5, .4}, {3, 1});
  observation->set_priors(moments(x, at::ones({3}, at::kDouble)));
  const ConjugateBlock& block = *observation->blocks()[0];
  ColumnForecast f = mixture_forecast(observation->marginals(), at::ones({1, 1}, at::kDouble), 0.9);
  EXPECT_EQ(f.variance.item<double>(), kInfinity);  // a = 1.5
  Expectation total;
  total.sums = observation->spread(observation->sums(observation->statistics(x), at::ones({3, 1}, at::kDouble)));
  observation->blocks()[0]->m_step(total, Step(), Rng(0));
  const double a = block.eta()[0][0].item<double>() + 1, b = block.eta()[0][1].item<double>();
  f = mixture_forecast(observation->marginals(), at::ones({1, 1}, at::kDouble), 0.9);
  EXPECT_NEAR(f.mean.item<double>(), b / (a - 1), 1e-12);
  EXPECT_NEAR(f.variance.item<double>(), a * b * b / ((a - 1) * (a - 1) * (a - 2)), 1e-12);
  EXPECT_NEAR(f.upper.item<double>(), b * (std::pow(.05, -1 / a) - 1), 1e-9);
  EXPECT_NEAR(f.lower.item<double>(), b * (std::pow(.95, -1 / a) - 1), 1e-9);
}

}  // namespace marginals_test
}  // namespace vem
