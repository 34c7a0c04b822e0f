// Convergence diagnostics of chains whose autocorrelation is known.
#include "vem/infer/mcmc.h"

#include <gtest/gtest.h>

#include "vem/core/error.h"
#include "vem/core/rng.h"

namespace vem {
namespace {

/// Four stationary chains x_t = phi x_{t-1} + noise, [4, n].
Tensor autoregressive(double phi, int64_t n) {
  const Tensor noise = Rng(1).normal(at::arange(4, at::kLong), {n}, "noise");
  std::vector<Tensor> steps{noise.select(1, 0) / std::sqrt(1 - phi * phi)};
  for (int64_t t = 1; t < n; ++t) steps.push_back(phi * steps.back() + noise.select(1, t));
  return at::stack(steps, 1);
}

// n (1 - phi) / (1 + phi) independent draws; the estimate itself errs by a tenth or so at this length.
TEST(Mcmc, EffectiveSamplesOfAnAutoregression) {
  for (const double phi : {0., .5, .9}) {
    const double expected = 16000 * (1 - phi) / (1 + phi);
    EXPECT_NEAR(effective_sample_size(autoregressive(phi, 4000)), expected, 0.2 * expected) << phi;
  }
}

TEST(Mcmc, SplitRHatSeesChainsThatDiffer) {
  Tensor chains = autoregressive(.5, 2000);
  EXPECT_NEAR(split_r_hat(chains), 1, 0.01);
  chains[2] += 5;
  EXPECT_GT(split_r_hat(chains), 1.5);
  // and one chain that drifts
  EXPECT_GT(split_r_hat(at::linspace(0, 1, 100, at::kDouble).unsqueeze(0)), 1.5);
}

/// Draws [S, 3, 2] around three centres, the components of each in an order of its own.
TEST(Mcmc, ComponentsOfDrawsArePutIntoOneOrder) {
  const int64_t S = 50;
  const Tensor centers = at::tensor({0., 0., 5., 0., 0., 900.}, at::kDouble).view({3, 2});  // columns of other units
  const Tensor unit = at::tensor({1., 100.}, at::kDouble);
  const Tensor noise = Rng(3).normal(at::arange(S, at::kLong), {3, 2}, "draws") * unit;
  std::vector<Tensor> draws, shuffles;
  for (int64_t s = 0; s < S; ++s) {
    shuffles.push_back(Rng(4).fold(static_cast<uint64_t>(s)).permutation(3));
    draws.push_back((centers + noise[s]).index_select(0, shuffles.back()));
  }
  const Tensor order = aligned(at::stack(draws), 7);
  const Tensor first = shuffles[7];  // the pivot's own order is kept
  for (int64_t s = 0; s < S; ++s)
    EXPECT_TRUE(at::equal(shuffles[static_cast<size_t>(s)].index_select(0, order[s]), first)) << s;
}

TEST(Mcmc, ShortChainsAreErrors) { EXPECT_THROW(split_r_hat(at::zeros({2, 3}, at::kDouble)), Error); }

}  // namespace
}  // namespace vem
