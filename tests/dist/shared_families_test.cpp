// Families whose parts share parameters or stand side by side: gradients of log-partitions, modes, draws, adjoints.
#include <gtest/gtest.h>

#include "support/gradcheck.h"
#include "vem/dist/independent_dirichlets.h"
#include "vem/dist/independent_gammas.h"
#include "vem/dist/spherical_normal_gamma.h"
#include "vem/dist/tied_normal_wishart.h"

namespace vem {
namespace shared_families_test {

struct Case {
  std::string name;
  std::shared_ptr<const ExponentialFamily> family;
  Tensor eta;  // [2, P], proper
};

Tensor numbers(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }

Tensor tied_eta() {
  const TiedNormalWishartFamily family(3, 2, 0);
  std::vector<Tensor> rows;
  for (const double scale : {1., 1.7}) {
    const Tensor V = scale * numbers({2, .4, .4, 1}).view({1, 2, 2});
    const auto prior = family.component().natural({numbers({.5}), numbers({.3, -.2}).view({1, 2}), V, numbers({4.5})});
    const Tensor x = Rng(3).normal(at::arange(5, at::kLong), {2}, "x") * scale;
    const Tensor s =
        at::cat({at::ones({5, 1}, at::kDouble), x, NormalWishartFamily::packed(x.unsqueeze(2) * x.unsqueeze(1)),
                 at::ones({5, 1}, at::kDouble)},
                1);
    const Tensor r =
        at::one_hot(at::tensor({int64_t{0}, int64_t{1}, int64_t{1}, int64_t{2}, int64_t{2}}), 3).to(at::kDouble);
    rows.push_back(family.tied(prior) + family.collapse(at::mm(r.t(), s)));
  }
  return at::cat(rows);
}

std::vector<Case> cases() {
  const SphericalNormalGammaFamily spherical(3, 0);
  const Tensor one = at::ones({2, 3}, at::kDouble);
  const Tensor diagonal = NormalGammaFamily::natural(
      {numbers({.5, 1, 2, 3, 2, 1}).view({2, 3}), numbers({.3, -.2, 1, 0, 2, -1}).view({2, 3}), 2.5 * one, 1.3 * one});
  return {{"tied", std::make_shared<TiedNormalWishartFamily>(3, 2, 0), tied_eta()},
          {"spherical", std::make_shared<SphericalNormalGammaFamily>(3, 0), spherical.shared(diagonal)},
          {"dirichlets", std::make_shared<DirichletsFamily>(2, 3),
           numbers({.5, 1, 2, 3, .2, 1, 4, 4, 1, .1, .1, .7}).view({2, 6})},
          {"gammas", std::make_shared<GammasFamily>(2, 1e9), numbers({1.5, 2, 3, .4, .7, 5, 1, 2}).view({2, 4})}};
}

TEST(SharedFamilies, TheMeanIsTheGradientOfTheLogPartition) {
  for (const Case& c : cases()) {
    const Tensor leaf = c.eta.clone().requires_grad_();
    const Tensor gradient = torch::autograd::grad({c.family->log_partition(leaf).sum()}, {leaf})[0];
    EXPECT_TRUE(at::allclose(c.family->mean(c.eta), gradient, 1e-9, 1e-9)) << c.name;
  }
}

TEST(SharedFamilies, DrawsHaveTheMean) {
  const int64_t n = 4000;
  for (const Case& c : cases()) {
    const Tensor draws = c.family->sample(c.eta.slice(0, 0, 1).expand({n, -1}).contiguous(), Rng(5));
    const Tensor error = (draws.mean(0) - c.family->mean(c.eta)[0]).abs(), spread = draws.std(0) / std::sqrt(n);
    EXPECT_TRUE((error < 5 * spread + 1e-12).all().item<bool>()) << c.name << error << spread;
  }
}

TEST(SharedFamilies, NoDrawBeatsTheMode) {
  for (const Case& c : cases()) {
    const Tensor row = c.eta.slice(0, 0, 1), best = (row * c.family->mode(row)).sum();
    const Tensor draws = c.family->sample(row.expand({500, -1}).contiguous(), Rng(6));
    EXPECT_LE((draws * row).sum(1).max().item<double>(), best.item<double>() + 1e-9) << c.name;
    // and draws that are close to it come close
    const Tensor sharp = 400 * row, near = c.family->sample(sharp.expand({500, -1}).contiguous(), Rng(7));
    EXPECT_GT((near * row).sum(1).max().item<double>(), (row * c.family->mode(sharp)).sum().item<double>() - 0.05)
        << c.name;
  }
}

TEST(SharedFamilies, MarginalsAndAdjointsBelongTogether) {
  const TiedNormalWishartFamily tied(3, 2, 0);
  const Tensor eta = tied_eta(), t = tied.mean(eta);
  EXPECT_TRUE(at::allclose(tied.expand(t), tied.component().mean(tied.marginals(eta)), 1e-10, 1e-10));
  const Tensor sums = Rng(1).normal(at::arange(6, at::kLong), {7}, "sums");
  EXPECT_NEAR((tied.expand(t) * sums).sum().item<double>(), (t * tied.collapse(sums)).sum().item<double>(), 1e-10);

  const SphericalNormalGammaFamily spherical(3, 0);
  const Case c = cases()[1];
  const Tensor mean = spherical.mean(c.eta), other = Rng(1).normal(at::arange(2, at::kLong), {12}, "sums");
  EXPECT_TRUE(
      at::allclose(spherical.expand(mean), NormalGammaFamily(3, 0).mean(spherical.marginals(c.eta)), 1e-10, 1e-10));
  EXPECT_NEAR((spherical.expand(mean) * other).sum().item<double>(),
              (mean * spherical.collapse(other)).sum().item<double>(), 1e-10);
}

TEST(SharedFamilies, OneComponentIsTheNormalWishart) {
  const TiedNormalWishartFamily tied(1, 2, 0);
  const NormalWishartFamily single(2, 0);
  const Tensor eta = single.natural(
      {numbers({1.5}), numbers({.3, -.2}).view({1, 2}), numbers({2, .4, .4, 1}).view({1, 2, 2}), numbers({4.5})});
  EXPECT_TRUE(at::allclose(tied.tied(eta), eta));
  EXPECT_TRUE(at::allclose(tied.log_partition(eta), single.log_partition(eta)));
  EXPECT_TRUE(at::allclose(tied.mode(eta), single.mode(eta)));
}

TEST(SharedFamilies, FloorsAndLimitsHold) {
  const TiedNormalWishartFamily tied(2, 2, 0.5);
  const Tensor eta = tied.tied(tied.component().natural(
      {numbers({1.}), at::zeros({1, 2}, at::kDouble), 1e-8 * at::eye(2, at::kDouble).unsqueeze(0), numbers({4.})}));
  EXPECT_EQ(tied.num_floored(eta), 1);
  EXPECT_TRUE(at::allclose(tied.component().moments(tied.expand(tied.mode(eta))).second,
                           0.5 * at::eye(2, at::kDouble).expand({2, 2, 2}), 1e-9, 1e-9));
  const GammasFamily gammas(2, 10);
  const Tensor sums = numbers({3, 0, 0, 0}).view({1, 4});  // three zeros seen, and nothing
  EXPECT_EQ(gammas.num_floored(sums), 1);
  EXPECT_TRUE(at::allclose(gammas.mode(sums).slice(1, 2), numbers({-10, -1}).view({1, 2})));
}

}  // namespace shared_families_test
}  // namespace vem
