// Numbers that no result can be made of: refused with their column and what may be done, or explained all the same.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gaussian_reference.h"
#include "support/models.h"
#include "vem/core/error.h"
#include "vem/dist/dirichlet.h"

namespace vem {
namespace unusual_numbers_test {

/// Forty rows of the columns "small" and "odd": normal numbers, those of the second from `odd`.
Dataset rows_with(const Tensor& odd) {
  const int64_t rows = odd.size(0);
  const Tensor small = Rng(1).normal(at::arange(rows, at::kLong), {}, "small");
  Dataset data;
  data.columns["x"] = at::stack({small, odd}, 1);
  data.schema.item_shape = {2};
  data.schema.feature_names = {"small", "odd"};
  data.size = rows;
  return data;
}
Tensor normal(int64_t rows = 40) { return Rng(2).normal(at::arange(rows, at::kLong), {}, "odd"); }

std::string message(const std::string& toml, const Dataset& data) {
  FitOptions options;
  options.epochs = 3;
  try {
    const auto model = make_model("[model]\n" + toml, data);
    fit(*model, data, options, {plugins()});
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

const std::string kMixture = "kind = \"mixture\"\nnum_components = 2\n";

TEST(UnusualNumbers, SquaresBeyondTheRangeOfNumbersAreRefused) {
  Tensor odd = normal();
  odd[7] = -1e200;
  const std::string words =
      "mixture: column \"odd\" holds -1e+200 in row 7: sums of such numbers or of their squares are beyond the range "
      "of "
      "numbers; divide the column by a power of ten, or mark the cell as missing (empty)";
  for (const std::string covariance : {"full", "diagonal"})
    for (const std::string standardize : {"true", "false"})
      EXPECT_EQ(message(kMixture + "standardize = " + standardize +
                            "\nobservation = {kind = \"normal\", covariance = \"" + covariance + "\"}\n",
                        rows_with(odd)),
                words);
}

TEST(UnusualNumbers, SquaresBelowTheRangeOfNumbersAreRefused) {
  const Tensor odd = normal() * 1e-200;
  const std::string words = message(kMixture, rows_with(odd));
  EXPECT_NE(words.find("mixture: column \"odd\" lies between "), std::string::npos) << words;
  EXPECT_NE(words.find("as if the column were constant; multiply it by a power of ten"), std::string::npos) << words;
  EXPECT_EQ(message(kMixture, rows_with(at::full({40}, 3e-200, at::kDouble))), "");  // constant indeed
}

// A column far from zero, or of another size: centred and standardised it is as good as any.
TEST(UnusualNumbers, FarAndTinyColumnsAreFitted) {
  for (const std::string covariance : {"full", "tied", "diagonal", "spherical"}) {
    const std::string toml = kMixture + "observation = {kind = \"normal\", covariance = \"" + covariance + "\"}\n";
    EXPECT_EQ(message(toml, rows_with(1e9 + 1e-3 * normal())), "") << covariance;
    EXPECT_EQ(message(toml, rows_with(1e100 * normal())), "") << covariance;
    EXPECT_EQ(message(toml, rows_with(1e-100 * normal())), "") << covariance;
  }
}

/// A model in closed form whose bound is NaN.
class WithoutBound final : public Model {
 public:
  WithoutBound() {
    blocks_ = {
        std::make_shared<ConjugateBlock>("weights", std::make_shared<DirichletFamily>(2), 1, Estimate::posterior)};
  }
  void initialize(const Dataset&, const Rng&) override {}
  Expectation e_step(const Batch& batch, const Step&, const Rng&) const override {
    return {batch.weight.sum(),
            at::full({}, std::nan(""), at::kDouble),
            {{"weights.t", at::ones({1, 2}, at::kDouble)}},
            {},
            {}};
  }
  std::vector<Method> methods() const override { return {}; }
  at::ScalarType dtype() const override { return at::kDouble; }
};

TEST(UnusualNumbers, RemediesOfAClosedFormFitAreItsOwn) {
  WithoutBound model;
  const Dataset data = rows_with(normal());
  try {
    fit(model, data, FitOptions(), {plugins()});
    FAIL() << "no error";
  } catch (const NumericError& e) {
    EXPECT_STREQ(e.what(),
                 "fit: the bound is nan at iteration 0; are there numbers in the data that are very large, or of very "
                 "different sizes? Columns in other units, or standardised, may help");
  }
}

TEST(UnusualNumbers, WeightsWithoutAFiniteSumAreRefused) {
  Dataset data = rows_with(normal());
  data.weight = at::full({40}, 1e307, at::kDouble);
  EXPECT_EQ(message(kMixture, data),
            "fit: the weights of the training items add up to inf; divide them all by one number");
}

// log x! of such counts has lost every digit that a probability is made of.
TEST(UnusualNumbers, CountsBeyondLogarithmsOfFactorialsAreRefused) {
  Dataset data = rows_with(at::arange(40, at::kDouble));
  data.columns["x"] = data.columns["x"].abs().round();
  data.columns["x"][3][1] = 1e17;
  EXPECT_EQ(message(kMixture + "observation = \"poisson\"\n", data),
            "mixture: x is 1e+17 in row 3, column \"odd\"; a whole number in 0 .. 2^46 (log-probabilities of larger "
            "counts keep no digits), or NaN where it is missing, is expected");
  EXPECT_EQ(message(kMixture + "observation = \"multinomial\"\n", data),
            "mixture: x is 1e+17 in row 3, column \"odd\"; a whole number >= 0 in a row of at most 2^46 counts "
            "(log-probabilities of more keep no digits), or NaN where it is missing, is expected");
}

// Up to there a probability is at most one, and within a nat of the exact one (of a Poisson count at its own rate).
TEST(UnusualNumbers, ProbabilitiesOfLargeCountsAreAtMostOne) {
  const auto observation = make_observation("", {1, at::kDouble, Estimate::ml, 1}, "poisson");
  for (double count = 1; count < 7e13; count *= 3.7) {
    const double n = std::floor(count);
    Expectation total;
    total.sums["components.t"] = at::tensor({n, 1.}, at::kDouble).view({1, 2});
    observation->blocks()[0]->m_step(total, Step(), Rng(0));
    const double log_p = observation->log_prob(at::full({1, 1}, n, at::kDouble), observation->point()).item<double>();
    EXPECT_LE(log_p, 0) << n;
    EXPECT_NEAR(log_p, -0.5 * std::log(2 * M_PI * n), n < 30 ? 0.1 : 1) << n;
  }
}

// ---- concentrations below the range of gamma variates ----

// Var p = (1 / C) (1 - 1 / C) / (C a + 1), which is that of one of C corners as a goes to 0.
TEST(UnusualNumbers, TinyConcentrationsDrawCorners) {
  constexpr int64_t kDraws = 4000, kCategories = 4;
  for (const double a : {1e-2, 1e-3, 1e-5, 1e-9}) {
    const auto observation =
        make_observation("num_trials = 50\n", {kCategories, at::kDouble, Estimate::posterior, 1}, "multinomial");
    Expectation total;
    total.sums["components.t"] = at::full({1, kCategories}, a - 1, at::kDouble);
    observation->blocks()[0]->m_step(total, Step(), Rng(0));
    const Tensor shares =
        observation->sample_predictive(at::arange(kDraws, at::kLong), at::zeros({kDraws}, at::kLong), Rng(3)) / 50;
    ASSERT_FALSE(shares.isnan().any().item<bool>());
    const double p = 1. / kCategories, of_p = p * (1 - p) / (kCategories * a + 1);
    const double variance = of_p + (p * (1 - p) - of_p) / 50;  // of the counts given p
    EXPECT_LT((shares.mean(0) - p).abs().max().item<double>(), 5 * std::sqrt(variance / kDraws)) << a;
    EXPECT_LT((shares.var(0) - variance).abs().max().item<double>(), 0.02 * variance + 0.01) << a;
  }
}

}  // namespace unusual_numbers_test
}  // namespace vem
