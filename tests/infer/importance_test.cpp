// Importance weights: log-likelihood and effective samples against definitions, k-hat against tails of known shape.
#include "vem/infer/importance.h"

#include <gtest/gtest.h>

#include "vem/core/error.h"
#include "vem/core/rng.h"

namespace vem {
namespace importance_test {

std::vector<double> to_vector(const Tensor& t) {
  const Tensor flat = t.to(at::kDouble).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

Tensor uniforms(int64_t n, uint64_t seed) { return Rng(seed).uniform(at::arange(n, at::kLong), {1}, "test").flatten(); }

/// Quantiles of the generalised Pareto distribution of scale 1 at (i - 1/2) / n: a sample without noise.
std::vector<double> pareto_quantiles(int64_t n, double k) {
  const Tensor u = (at::arange(n, at::kDouble) + 0.5) / n;
  return to_vector(((1 - u).pow(-k) - 1) / k);
}

TEST(Importance, SummaryFollowsItsDefinitions) {
  const Tensor w = at::tensor({1.0, 2.0, 5.0, 4.0, 4.0, 4.0}, at::kDouble).reshape({2, 3}).t();  // [3 samples, 2 items]
  const ImportanceSummary s = summarize_importance(w.log() - 700);  // exp() of it alone would underflow in float32
  EXPECT_NEAR(s.log_likelihood[0].item<double>(), std::log(8.0 / 3) - 700, 1e-12);
  EXPECT_NEAR(s.log_likelihood[1].item<double>(), std::log(4.0) - 700, 1e-12);
  EXPECT_NEAR(s.effective_samples[0].item<double>(), 64.0 / 30, 1e-12);
  EXPECT_NEAR(s.effective_samples[1].item<double>(), 3, 1e-12);
  EXPECT_TRUE(std::isnan(s.pareto_k[0].item<double>()));  // three weights have no tail
}

TEST(Importance, BoundsAreMeansOverGroups) {
  const Tensor w = at::tensor({1.0, 2.0, 5.0, 4.0, 9.0}, at::kDouble).view({5, 1});
  EXPECT_NEAR(importance_bound(w.log(), 1).item<double>(), std::log(360.) / 5, 1e-12);  // the ELBO
  EXPECT_NEAR(importance_bound(w.log(), 2).item<double>(), (std::log(1.5) + std::log(4.5)) / 2, 1e-12);
  EXPECT_NEAR(importance_bound(w.log(), 5).item<double>(), summarize_importance(w.log()).log_likelihood.item<double>(),
              1e-12);
  EXPECT_THROW(importance_bound(w.log(), 6), Error);
}

TEST(Importance, ShapeOfExactQuantilesIsFound) {
  // A sample at exact quantiles has the shape up to the error of the estimator's prior, O(1 / n).
  for (const double k : {-0.4, -0.1, 0.2, 0.5, 0.7, 1.0, 1.5})
    EXPECT_NEAR(generalized_pareto_shape(pareto_quantiles(4000, k), false), k, 0.02) << k;
}

TEST(Importance, PriorCountsAsTenObservations) {
  const std::vector<double> x = pareto_quantiles(90, 0.9);
  const double k = generalized_pareto_shape(x, false);
  EXPECT_NEAR(generalized_pareto_shape(x, true), (90 * k + 10 * 0.5) / 100, 1e-12);
}

TEST(Importance, ShapeDoesNotDependOnTheUnit) {
  std::vector<double> x = pareto_quantiles(200, 0.6), y = x;
  for (double& value : y) value *= 1e-8;
  EXPECT_NEAR(generalized_pareto_shape(x), generalized_pareto_shape(y), 1e-9);
}

TEST(Importance, KHatOfParetoWeights) {
  // Weights u^-k have a Pareto tail of shape k; the estimate's standard deviation is (1 + k) / sqrt(424 in the tail).
  // Over 100 seeds none was farther off than three of them.
  for (const double k : {0.3, 0.7, 1.2})
    EXPECT_NEAR(pareto_k(to_vector(-k * uniforms(20000, 11).log())), k, 3 * (1 + k) / std::sqrt(424.0)) << k;
}

TEST(Importance, KHatOfGaussianWeights) {
  // q = N(0, s^2) for p = N(0, 1): weights are bounded for s > 1, and the k of their tail is 1 - s^2 for s < 1.
  const Tensor z = Rng(3).normal(at::arange(100000, at::kLong), {1}, "test").flatten();
  const auto k_hat = [&](double s) { return pareto_k(to_vector(-0.5 * (s * z).square() + 0.5 * z.square())); };
  EXPECT_LT(k_hat(1.5), 0.1);
  EXPECT_NEAR(k_hat(0.7), 1 - 0.49, 0.15);
  EXPECT_GT(k_hat(0.4), 0.7);
}

TEST(Importance, EqualWeightsHaveNoTail) {
  EXPECT_EQ(pareto_k(std::vector<double>(1000, -3.0)), -std::numeric_limits<double>::infinity());
  const ImportanceSummary s = summarize_importance(at::full({1000, 1}, -3.0, at::kDouble));
  EXPECT_NEAR(s.effective_samples.item<double>(), 1000, 1e-6);
  EXPECT_NEAR(s.log_likelihood.item<double>(), -3, 1e-12);
}

TEST(Importance, TheTailNeedsFiveWeights) {
  EXPECT_TRUE(std::isnan(pareto_k(to_vector(uniforms(20, 4).log()))));
  EXPECT_FALSE(std::isnan(pareto_k(to_vector(uniforms(21, 4).log()))));
}

TEST(Importance, OrderAndOffsetOfWeightsDoNotMatter) {
  std::vector<double> w = to_vector(uniforms(500, 2).log() * -0.8), shifted = w;
  for (double& value : shifted) value -= 900;
  std::reverse(shifted.begin(), shifted.end());
  EXPECT_NEAR(pareto_k(w), pareto_k(shifted), 1e-9);
}

TEST(Importance, ErrorsSayWhatIsWanted) {
  try {
    summarize_importance(at::zeros({4}, at::kDouble));
    FAIL();
  } catch (const DataError& e) {
    EXPECT_STREQ(e.what(), "summarize_importance: log_weights has shape [4] but [samples, items] is expected");
  }
  try {
    generalized_pareto_shape({1, 2});
    FAIL();
  } catch (const DataError& e) {
    EXPECT_STREQ(e.what(), "generalized_pareto_shape: at least 5 excesses above 0 are expected, got 2");
  }
}

}  // namespace importance_test
}  // namespace vem
