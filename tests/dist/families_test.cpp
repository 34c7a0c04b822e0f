// Every exponential family: the mean is the gradient of the log-partition, the mode is a stationary point, draws have
// the mean's moments, KL >= 0, and the usual parameters go to natural ones and back.
#include <gtest/gtest.h>

#include "vem/core/error.h"
#include "vem/dist/dirichlet.h"
#include "vem/dist/normal_gamma.h"
#include "vem/dist/normal_wishart.h"

namespace vem {
namespace families_test {

constexpr int64_t kRows = 4;

Tensor noise(uint64_t seed, const Shape& shape) {
  return Rng(seed).normal(at::arange(kRows, at::kLong), shape, "test");
}

/// [R, D, D] symmetric and well away from singular.
Tensor scale_matrices(uint64_t seed, int64_t D) {
  const Tensor a = noise(seed, {D, D});
  return at::matmul(a, a.transpose(-2, -1)) + 0.5 * at::eye(D, at::kDouble);
}

struct Case {
  std::string name;
  std::shared_ptr<ExponentialFamily> family;
  std::function<Tensor(uint64_t seed)> eta;
};

Tensor dirichlet_eta(uint64_t seed) { return noise(seed, {5}).exp() * 3; }
Tensor normal_gamma_eta(uint64_t seed) {
  const Tensor n = noise(seed, {4, 3});
  return NormalGammaFamily::natural(
      {n.select(1, 0).exp() + 0.1, n.select(1, 1), n.select(1, 2).exp() + 2, n.select(1, 3).exp() + 0.1});
}
Tensor normal_wishart_eta(uint64_t seed) {
  const NormalWishartFamily family(3, 0);
  const Tensor n = noise(seed + 100, {5});
  return family.natural(
      {n.select(1, 0).exp() + 0.1, n.slice(1, 1, 4), scale_matrices(seed, 3), n.select(1, 4).exp() + 6});
}

std::vector<Case> cases() {
  return {{"dirichlet", std::make_shared<DirichletFamily>(5), dirichlet_eta},
          {"normal_gamma", std::make_shared<NormalGammaFamily>(3, 0.), normal_gamma_eta},
          {"normal_wishart", std::make_shared<NormalWishartFamily>(3, 0.), normal_wishart_eta}};
}

class Family : public testing::TestWithParam<Case> {};

TEST_P(Family, MeanIsTheGradientOfTheLogPartition) {
  const auto& family = *GetParam().family;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Tensor eta = GetParam().eta(seed).requires_grad_();
    ASSERT_EQ(eta.size(1), family.size());
    const Tensor gradient = torch::autograd::grad({family.log_partition(eta).sum()}, {eta})[0];
    // the same formulas in another order: rounding, times the condition of the scale matrix
    EXPECT_TRUE(at::allclose(gradient, family.mean(eta.detach()), 1e-9, 1e-11)) << seed;
  }
}

TEST_P(Family, LogPartitionHasTheRightSlope) {
  const auto& family = *GetParam().family;
  const Tensor eta = GetParam().eta(3), direction = GetParam().eta(4);
  const double h = 1e-5;
  const Tensor numeric =
      (family.log_partition(eta + h * direction) - family.log_partition(eta - h * direction)) / (2 * h);
  EXPECT_TRUE(at::allclose(numeric, (family.mean(eta) * direction).sum(-1), 1e-6, 1e-6));  // h^2 and 1e-16 / h
}

TEST_P(Family, KlIsNotNegativeAndZeroAtEquality) {
  const auto& family = *GetParam().family;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Tensor q = GetParam().eta(seed), p = GetParam().eta(seed + 50);
    const auto kl = [&](const Tensor& a, const Tensor& b) {
      return ((a - b) * family.mean(a)).sum(-1) - family.log_partition(a) + family.log_partition(b);
    };
    EXPECT_GT(kl(q, p).min().item<double>(), 0);
    EXPECT_EQ(kl(q, q).abs().max().item<double>(), 0);
  }
}

// No draw, nor any convex mixture of them, beats the mode: <eta, t> is largest there.
TEST_P(Family, ModeBeatsEveryDraw) {
  const auto& family = *GetParam().family;
  const Tensor eta = GetParam().eta(7), at_mode = (eta * family.mode(eta)).sum(-1);
  for (uint64_t seed = 0; seed < 200; ++seed)
    EXPECT_TRUE((eta * family.sample(eta, Rng(seed))).sum(-1).lt(at_mode).all().item<bool>());
}

TEST_P(Family, DrawsHaveTheMeanOfTheFamily) {
  const auto& family = *GetParam().family;
  const Tensor eta = GetParam().eta(11).slice(0, 0, 1).expand({20000, -1}).contiguous();
  const Tensor t = family.sample(eta, Rng(5)), error = (t.mean(0) - family.mean(eta)[0]).abs();
  const Tensor standard_error = t.std(0) / std::sqrt(20000.);
  EXPECT_LT((error / standard_error).max().item<double>(), 5);  // the largest of some ten normal deviates
}

// exp(<eta, t> - A) integrates to one: the ratio of two members has mean one under the second.
TEST_P(Family, DensityRatiosHaveMeanOne) {
  const auto& family = *GetParam().family;
  const Tensor q = GetParam().eta(2).slice(0, 0, 1), p = q * 1.02;
  const Tensor t = family.sample(p.expand({40000, -1}).contiguous(), Rng(6));
  const Tensor ratio = ((t * (q - p)).sum(-1) - family.log_partition(q) + family.log_partition(p)).exp();
  EXPECT_NEAR(ratio.mean().item<double>(), 1, 5 * ratio.std().item<double>() / 200);
}

INSTANTIATE_TEST_SUITE_P(Families, Family, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

// ---- the mode as a stationary point, by gradients in free coordinates ----

TEST(Dirichlet, ModeIsAlphaMinusOneNormalised) {
  const Tensor mode = DirichletFamily(3).mode(at::tensor({1., 2., 5.}, at::kDouble).view({1, 3})).exp();
  EXPECT_TRUE(at::allclose(mode, at::tensor({.125, .25, .625}, at::kDouble).view({1, 3}), 1e-14));
}

TEST(Dirichlet, AnEmptyCategoryHasProbabilityZero) {
  const Tensor mode = DirichletFamily(3).mode(at::tensor({0., 4., -.5, 0., 0., 0.}, at::kDouble).view({2, 3}));
  const double inf = std::numeric_limits<double>::infinity(), third = -std::log(3.);
  EXPECT_TRUE(at::equal(mode[0], at::tensor({-inf, 0., -inf}, at::kDouble)));
  EXPECT_TRUE(at::equal(mode[1], at::tensor({third, third, third}, at::kDouble)));  // nothing was seen
}

TEST(NormalWishart, ModeIsStationaryInMeanAndCholeskyFactor) {
  const NormalWishartFamily family(3, 0);
  const Tensor eta = normal_wishart_eta(8), t = family.mode(eta);
  const auto [mean, covariance] = family.moments(t);
  const Tensor mu = mean.detach().clone().requires_grad_();
  const Tensor factor = at::linalg_cholesky(at::linalg_inv(covariance)).detach().requires_grad_();
  const Tensor L = factor.tril(), precision = at::matmul(L, L.transpose(-2, -1));
  const NormalWishartFamily::Parameters p = family.parameters(eta);
  const Tensor residual = at::matmul(L.transpose(-2, -1), (mu - p.m).unsqueeze(-1)).square().sum({-2, -1});
  const Tensor density = -0.5 * p.beta * residual - 0.5 * (precision * p.V).sum({-2, -1}) +
                         (p.nu - 3) * L.diagonal(0, -2, -1).log().sum(-1);
  for (const Tensor& g : torch::autograd::grad({density.sum()}, {mu, factor}))
    EXPECT_LT(g.abs().max().item<double>(), 1e-9);
  EXPECT_TRUE(at::allclose(density.detach(), (eta * t).sum(-1), 1e-10));
}

TEST(NormalGamma, IsTheNormalWishartOfOneFeature) {
  const NormalGammaFamily gamma(1, 0);
  const NormalWishartFamily wishart(1, 0);
  const Tensor eta = normal_gamma_eta(3).view({kRows, 4, 3}).select(2, 0).contiguous();
  EXPECT_TRUE(at::allclose(gamma.log_partition(eta), wishart.log_partition(eta), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(gamma.mean(eta), wishart.mean(eta), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(gamma.mode(eta), wishart.mode(eta), 1e-12, 1e-12));
}

// ---- parameters, floors and components without data ----

TEST(NormalWishart, ParametersComeBack) {
  const NormalWishartFamily family(3, 0);
  const Tensor eta = normal_wishart_eta(1);
  EXPECT_TRUE(at::allclose(family.natural(family.parameters(eta)), eta, 1e-13, 1e-13));
  const Tensor m = scale_matrices(2, 3);
  EXPECT_TRUE(at::equal(NormalWishartFamily::unpacked(NormalWishartFamily::packed(m), 3),
                        m.triu() + m.triu(1).transpose(-2, -1)));
}

TEST(NormalWishart, AFloorClipsEigenvaluesAndIsTheConstrainedOptimum) {
  const Tensor axes = std::get<0>(at::linalg_qr(noise(1, {3, 3})[0])), values = at::tensor({1e-8, .5, 3.}, at::kDouble);
  const Tensor V = 20 * at::mm(axes * values, axes.t()).unsqueeze(0);
  const NormalWishartFamily family(3, 1e-2);
  const Tensor eta = family.natural(
      {at::full({1}, 20., at::kDouble), at::zeros({1, 3}, at::kDouble), V, at::full({1}, 23., at::kDouble)});
  const Tensor covariance = family.moments(family.mode(eta)).second[0];
  EXPECT_TRUE(at::allclose(std::get<0>(at::linalg_eigh(covariance)), values.clamp_min(1e-2), 1e-8));
  EXPECT_EQ(family.num_floored(eta), 1);
  EXPECT_EQ(NormalWishartFamily(3, 0).num_floored(eta), 0);
  const double best = (eta * family.mode(eta)).sum().item<double>();
  for (uint64_t seed = 0; seed < 50; ++seed) {  // feasible neighbours are worse
    const Tensor a = 0.1 * noise(seed, {3, 3})[0], other = covariance + at::mm(a, a.t());
    const Tensor t = at::cat(
        {at::zeros({4}, at::kDouble),
         NormalWishartFamily::packed(at::linalg_inv(other)) * at::tensor({-.5, -1., -1., -.5, -1., -.5}, at::kDouble),
         -.5 * at::logdet(other).view({1})});
    EXPECT_LT((eta[0] * t).sum().item<double>(), best);
  }
}

TEST(NormalGamma, AFloorClipsVariances) {
  const NormalGammaFamily family(2, 1e-2);
  const Tensor n = at::full({1, 2}, 10., at::kDouble);
  const Tensor eta = NormalGammaFamily::natural(
      {n, at::zeros_like(n), 0.5 * (n + 1), 5 * at::tensor({1e-9, 2.}, at::kDouble).view({1, 2})});
  EXPECT_TRUE(at::allclose(NormalGammaFamily::moments(family.mode(eta)).second,
                           at::tensor({1e-2, 2.}, at::kDouble).view({1, 2}), 1e-12));
  EXPECT_EQ(family.num_floored(eta), 1);
}

TEST(NormalFamilies, AComponentWithoutDataIsAStandardNormal) {
  const NormalGammaFamily gamma(2, 1e-6);
  const NormalWishartFamily wishart(2, 1e-6);
  const Tensor one = NormalGammaFamily::moments(gamma.mode(at::zeros({1, 8}, at::kDouble))).second;
  EXPECT_TRUE(at::equal(one, at::ones({1, 2}, at::kDouble)));
  const auto [mean, covariance] = wishart.moments(wishart.mode(at::zeros({1, 7}, at::kDouble)));
  EXPECT_TRUE(at::equal(covariance[0], at::eye(2, at::kDouble)));
  EXPECT_TRUE(at::equal(mean, at::zeros({1, 2}, at::kDouble)));
  EXPECT_EQ(gamma.num_floored(at::zeros({1, 8}, at::kDouble)) + wishart.num_floored(at::zeros({1, 7}, at::kDouble)), 0);
}

TEST(NormalFamilies, APriorWithoutAModeGivesAVeryWideNormal) {
  const NormalWishartFamily wishart(2, 1e-6);
  const Tensor one = at::ones({1}, at::kDouble);
  const Tensor t = wishart.mode(
      wishart.natural({one, at::zeros({1, 2}, at::kDouble), at::eye(2, at::kDouble).unsqueeze(0), 2 * one}));
  EXPECT_TRUE(at::isfinite(t).all().item<bool>());
  EXPECT_GT(wishart.moments(t).second[0][0][0].item<double>(), 1e11);
}

TEST(NormalWishart, ASingularCovarianceNamesTheComponent) {
  const Tensor eta =
      at::stack({normal_wishart_eta(1)[0], at::tensor({5., 0., 0., 0., 1., 0., 0., 0., 0., 1., 5.}, at::kDouble)});
  try {
    NormalWishartFamily(3, 0).mode(eta);
    FAIL() << "no error";
  } catch (const NumericError& e) {
    EXPECT_STREQ(e.what(),
                 "normal-wishart: the covariance of component 1 is not positive definite; a larger "
                 "variance_floor or standardize = true helps");
  }
}

}  // namespace families_test
}  // namespace vem
