// Convergence diagnostics of chains whose autocorrelation is known.
#include "vem/infer/mcmc.h"

#include <gtest/gtest.h>

#include "vem/core/error.h"
#include "vem/core/rng.h"

namespace vem {
namespace mcmc_test {

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

/// Draws of two components ten deviations apart, whose other columns only make noise, as those of a sampler's two
/// chains: the second has the labels of the first the other way round. [2 n, 2, 1 + noise].
Tensor two_chains(int64_t n, int64_t noise) {
  Tensor draws = Rng(5).normal(at::arange(2 * n, at::kLong), {2, 1 + noise}, "draws");
  draws.select(2, 0).mul_(0.06).add_(at::tensor({0., 10.}, at::kDouble));
  draws.slice(0, n).copy_(draws.slice(0, n).flip(1).clone());
  return draws;
}

// What tells components apart is one column of many: in units of its spread over both components, which is 5, it would
// count for less than the noise does.
TEST(Mcmc, ComponentsArePairedByWhatTellsThemApart) {
  const int64_t n = 100;
  const Tensor draws = two_chains(n, 8), order = aligned(draws, 3);
  for (int64_t s = 0; s < 2 * n; ++s) EXPECT_EQ(order[s][0].item<int64_t>(), s < n ? 0 : 1) << s;
}

// Rows 0 .. 5 of a draw under any labels; one row of some draws lies elsewhere.
TEST(Mcmc, ComponentsArePairedByTheRowsThatTheyExplain) {
  const Tensor z =
      at::tensor({0, 0, 1, 1, 2, 2, /**/ 2, 2, 0, 0, 1, 1, /**/ 1, 1, 2, 0, 0, 0, /**/ 0, 0, 1, 1, 2, 1}, at::kLong)
          .view({4, 6});
  const Tensor order = aligned_by_assignments(z, 3, 0);
  EXPECT_TRUE(at::equal(order, at::tensor({0, 1, 2, 2, 0, 1, 1, 2, 0, 0, 1, 2}, at::kLong).view({4, 3}))) << order;
}

TEST(Mcmc, WhatDoesNotVaryHasNoDiagnostics) {
  const Tensor constant = at::ones({2, 10}, at::kDouble);
  EXPECT_TRUE(std::isnan(split_r_hat(constant)));
  EXPECT_TRUE(std::isnan(effective_sample_size(constant)));
}

TEST(Mcmc, ShortChainsAreErrors) { EXPECT_THROW(split_r_hat(at::zeros({2, 3}, at::kDouble)), Error); }

}  // namespace mcmc_test
}  // namespace vem
