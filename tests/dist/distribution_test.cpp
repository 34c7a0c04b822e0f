// The diagonal normal against its density by hand, quadrature, finite differences and draws.
#include "vem/dist/distribution.h"

#include <gtest/gtest.h>

#include "vem/core/rng.h"

namespace vem {
namespace {

Tensor values(uint64_t seed, int64_t rows) { return Rng(seed).normal(at::arange(rows, at::kLong), {3}, "test"); }

TEST(DiagonalNormal, LogProbByHand) {
  const DiagonalNormal q(at::tensor({1., -2.}, at::kDouble).view({1, 2}),
                         at::tensor({0., std::log(2.)}, at::kDouble).view({1, 2}));
  const Tensor z = at::tensor({2., 0.}, at::kDouble).view({1, 1, 2});
  // -log 2 pi - log 2 - (1 + 1) / 2
  EXPECT_NEAR(q.log_prob(z).item<double>(), -std::log(2 * M_PI) - std::log(2.) - 1, 1e-14);
  EXPECT_NEAR(q.entropy().item<double>(), std::log(2 * M_PI * M_E) + std::log(2.), 1e-14);
}

TEST(DiagonalNormal, DensityIntegratesToOne) {
  const DiagonalNormal q(at::full({1, 1}, 0.3, at::kDouble), at::full({1, 1}, -0.4, at::kDouble));
  const Tensor grid = at::linspace(-10, 10, 20001, at::kDouble).view({-1, 1, 1});
  EXPECT_NEAR((q.log_prob(grid).exp().sum() * 1e-3).item<double>(), 1, 1e-12);  // trapezoids of an analytic function
}

TEST(DiagonalNormal, EntropyIsMinusTheMeanLogDensity) {
  const DiagonalNormal q(values(1, 4), 0.3 * values(2, 4));
  const Tensor noise = Rng(3).normal(at::arange(20000, at::kLong), {4, 3}, "noise");
  const Tensor log_q = q.log_prob(q.rsample(noise));
  const Tensor error = (log_q.mean(0) + q.entropy()).abs(), standard_error = log_q.std(0) / std::sqrt(20000.);
  EXPECT_LT((error / standard_error).max().item<double>(), 5);
}

TEST(DiagonalNormal, DrawsFollowTheirParametersByCentralDifferences) {
  const Tensor mean = values(1, 4).requires_grad_(), log_std = (0.3 * values(2, 4)).requires_grad_();
  const Tensor noise = Rng(3).normal(at::arange(2, at::kLong), {4, 3}, "noise"), direction = values(5, 4);
  const auto value = [&](const Tensor& m, const Tensor& s) { return DiagonalNormal(m, s).rsample(noise).sin().sum(); };
  const auto gradients = torch::autograd::grad({value(mean, log_std)}, {mean, log_std});
  const double h = 1e-6;
  const Tensor m = mean.detach(), s = log_std.detach(), d = h * direction;
  const double by_mean = ((value(m + d, s) - value(m - d, s)) / (2 * h)).item<double>();
  const double by_log_std = ((value(m, s + d) - value(m, s - d)) / (2 * h)).item<double>();
  EXPECT_NEAR((gradients[0] * direction).sum().item<double>(), by_mean, 1e-8);  // h^2 and 1e-16 / h
  EXPECT_NEAR((gradients[1] * direction).sum().item<double>(), by_log_std, 1e-8);
}

TEST(DiagonalNormal, Float32StaysFloat32) {
  const DiagonalNormal q(at::zeros({2, 3}, at::kFloat), at::zeros({2, 3}, at::kFloat));
  EXPECT_EQ(q.entropy().scalar_type(), at::kFloat);
  EXPECT_EQ(q.log_prob(at::zeros({1, 2, 3}, at::kFloat)).scalar_type(), at::kFloat);
}

}  // namespace
}  // namespace vem
