// p(z): closed-form KLs against Monte Carlo, zero at equality, draws that follow the density, and the mixture's
// clusters.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gradcheck.h"
#include "vem/dist/normal_gamma.h"
#include "vem/infer/posterior.h"
#include "vem/infer/prior.h"

namespace vem {
namespace priors_test {

constexpr int64_t kLatent = 2;

std::shared_ptr<Prior> make(const std::string& toml) {
  const auto prior =
      plugins().create<Prior>(chosen("prior", toml), {kLatent, at::kDouble, parameter_block(), plugins()});
  prior->initialize(at::zeros({1, 1}, at::kDouble), Rng(6));
  return prior;
}

TensorMap globals_of(const Prior& prior) {
  TensorMap globals;
  for (const auto& block : prior.blocks()) globals.merge(block->globals());
  return globals;
}

std::string mixture(int64_t num_components, const std::string& estimate) {
  return fmt::format(
      "kind = \"mixture\"\nnum_components = {}\nestimate = \"{}\"\n[prior.observation]\nkind = \"normal\"\ncovariance "
      "= "
      "\"diagonal\"\n",
      num_components, estimate);
}

DiagonalNormal some_q(int64_t rows) {
  return {random({rows, kLatent}, "mean"), 0.5 * random({rows, kLatent}, "log_std") - 0.5};
}

/// KL(q || p) [rows] from draws, and its standard error.
std::pair<Tensor, Tensor> monte_carlo(const Prior& prior, const DiagonalNormal& q, int64_t draws) {
  const at::NoGradGuard no_grad;
  const int64_t rows = q.mean().size(0);
  const Tensor z = q.rsample(random({draws, rows, kLatent}, "draws"));
  const Tensor difference = (q.log_prob(z) - prior.log_prob(z, blank_batch(rows), globals_of(prior)));
  return {difference.mean(0), difference.std(0) / std::sqrt(static_cast<double>(draws))};
}

TEST(StandardPrior, ItsKlIsThatOfMonteCarloAndZeroAtEquality) {
  const auto prior = make("kind = \"standard\"\n");
  const DiagonalNormal q = some_q(6);
  const Tensor kl = prior->kl(q, blank_batch(6), {});
  EXPECT_EQ(kl.sizes(), at::IntArrayRef({6, kLatent}));
  const auto [estimate, error] = monte_carlo(*prior, q, 10000);
  EXPECT_LT(((kl.sum(-1) - estimate).abs() / error).max().item<double>(), 4);  // six draws, in standard errors
  const DiagonalNormal same(at::zeros({3, kLatent}, at::kDouble), at::zeros({3, kLatent}, at::kDouble));
  EXPECT_EQ(prior->kl(same, blank_batch(3), {}).abs().max().item<double>(), 0);
}

TEST(StandardPrior, ItsKlFromDependentDimensionsIsThatOfMonteCarlo) {
  const auto posterior = plugins().create<Posterior>(chosen("posterior", "kind = \"full\"\n"), {kLatent});
  const auto q = posterior->at(0.7 * random({6, posterior->num_parameters()}, "parameters"));
  const Tensor z = q->rsample(random({20000, 6, kLatent}, "draws"));
  const auto prior = make("kind = \"standard\"\n");
  const Tensor kl = prior->kl(*q, blank_batch(6), {}),
               difference = q->log_prob(z) - prior->log_prob(z, blank_batch(6), {});
  EXPECT_EQ(kl.sizes(), at::IntArrayRef({6, 1}));
  const Tensor error = difference.std(0) / std::sqrt(20000.0);
  EXPECT_LT(((kl.squeeze(1) - difference.mean(0)).abs() / error).max().item<double>(), 4);  // in standard errors
}

TEST(StandardPrior, DrawsAndDensityBelongTogether) {
  const auto prior = make("kind = \"standard\"\n");
  const Tensor z = prior->sample(items(20000), Rng(2));
  EXPECT_LT(z.mean(0).abs().max().item<double>(), 4 / std::sqrt(20000.0));
  EXPECT_LT((z.var(0) - 1).abs().max().item<double>(), 4 * std::sqrt(2 / 20000.0));
  const double at_zero = prior->log_prob(at::zeros({1, 1, kLatent}, at::kDouble), blank_batch(1), {}).item<double>();
  EXPECT_NEAR(at_zero, -0.5 * kLatent * std::log(2 * M_PI), 1e-14);
}

// With one component at a point there is nothing to bound: the KL is exact, and zero where q is that component.
TEST(MixturePrior, OnePointComponentGivesTheExactKl) {
  const auto prior = make(mixture(1, "map"));
  const DiagonalNormal q = some_q(6);
  const auto [estimate, error] = monte_carlo(*prior, q, 10000);
  const Tensor kl = prior->kl(q, blank_batch(6), globals_of(*prior)).detach().squeeze(-1);
  EXPECT_LT(((kl - estimate).abs() / error).max().item<double>(), 4);
  const auto [mean, variance] = NormalGammaFamily::moments(globals_of(*prior).at("prior.components.t").detach());
  const DiagonalNormal same(mean, 0.5 * variance.log());
  EXPECT_NEAR(prior->kl(same, blank_batch(1), globals_of(*prior)).item<double>(), 0, 1e-12);
}

// With several it is the tight bound over the component: never below the truth.
TEST(MixturePrior, SeveralComponentsGiveAnUpperBound) {
  const auto prior = make(mixture(4, "map"));
  const DiagonalNormal q = some_q(12);
  const auto [estimate, error] = monte_carlo(*prior, q, 10000);
  const Tensor kl = prior->kl(q, blank_batch(12), globals_of(*prior)).detach().squeeze(-1);
  EXPECT_GT(((kl - estimate) / error).min().item<double>(), -4);
  EXPECT_GT((kl - estimate).max().item<double>(), 1e-3);
}

TEST(MixturePrior, ItsDensityIsTheSumOverComponents) {
  const auto prior = make(mixture(3, "map"));
  const TensorMap globals = globals_of(*prior);
  const auto [mean, variance] = NormalGammaFamily::moments(globals.at("prior.components.t").detach());
  const Tensor z = random({2, 5, kLatent}, "z"), difference = z.unsqueeze(2) - mean;
  const Tensor each = (difference * difference / variance * -0.5 - 0.5 * (2 * M_PI * variance).log()).sum(-1);
  const Tensor expected = at::logsumexp(each + globals.at("prior.weights.t").detach(), -1);
  EXPECT_TRUE(at::allclose(prior->log_prob(z, blank_batch(5), globals).detach(), expected, 1e-10, 1e-10));
}

TEST(MixturePrior, GradientsAreThoseOfCentralDifferences) {
  for (const char* estimate : {"map", "posterior"}) {
    const auto prior = make(mixture(3, estimate));
    const Batch batch = blank_batch(4);
    const auto value = [&](const std::vector<Tensor>& in) {
      const TensorMap globals{{"prior.components.t", in[0]}, {"prior.weights.t", in[1]}};
      const DiagonalNormal q(in[3], in[4]);
      return prior->log_prob(in[2], batch, globals).sum() + prior->kl(q, batch, globals).sum();
    };
    const TensorMap globals = globals_of(*prior);
    EXPECT_LT(gradient_error(
                  value, {globals.at("prior.components.t"), globals.at("prior.weights.t"), random({2, 4, kLatent}, "z"),
                          random({4, kLatent}, "mean"), 0.3 * random({4, kLatent}, "log_std")}),
              2e-6)
        << estimate;
  }
}

TEST(NormalMixturePrior, DensityDrawsAndResponsibilitiesAreThoseOfItsParameters) {
  const auto block = parameter_block();
  const auto prior = plugins().create<Prior>(chosen("prior", "kind = \"normal-mixture\"\nnum_components = 2\n"),
                                             {kLatent, at::kDouble, block, plugins()});
  const Tensor weight = at::tensor({.3, .7}, at::kDouble), means = 2 * random({2, kLatent}, "means"),
               log_stds = .4 * random({2, kLatent}, "log stds");
  block->globals().at("prior.logits").detach().copy_(weight.log() + 1);
  block->globals().at("prior.means").detach().copy_(means);
  block->globals().at("prior.log_stds").detach().copy_(log_stds);
  const at::NoGradGuard no_grad;

  const Tensor z = random({2, 5, kLatent}, "z"), distance = (z.unsqueeze(2) - means) * (-log_stds).exp();
  const Tensor each = (-.5 * distance.square() - log_stds - .5 * std::log(2 * M_PI)).sum(-1) + weight.log();
  EXPECT_LT((prior->log_prob(z, blank_batch(5), {}) - each.logsumexp(-1)).abs().max().item<double>(), 1e-10);

  const int64_t n = 40000;
  const Tensor draws = prior->sample(items(n), Rng(2)), mean = (weight.unsqueeze(1) * means).sum(0),
               square = (weight.unsqueeze(1) * (means.square() + (2 * log_stds).exp())).sum(0);
  const Tensor error = ((draws.mean(0) - mean).abs() / (square - mean.square()).sqrt()) * std::sqrt(double(n));
  EXPECT_LT(error.max().item<double>(), 4);  // in standard errors
  EXPECT_LT((draws.square().mean(0) / square - 1).abs().max().item<double>(), .05);

  // softmax of log w_k + E_q[log N(z; k)]: for q at a point, of the densities themselves.
  const Tensor point = z[0];
  const DiagonalNormal sharp(point, at::full_like(point, -20.));
  EXPECT_LT((prior->responsibilities(sharp, {}) - at::softmax(each[0], -1)).abs().max().item<double>(), 1e-10);
}

TEST(MixturePrior, StartsWithComponentsThatDifferAndCoverTheStandardNormal) {
  const auto prior = make(mixture(5, "posterior"));
  const Tensor t = globals_of(*prior).at("prior.components.t").detach();
  const Tensor means = NormalGammaFamily::moments(t).first;
  const Tensor distances = at::cdist(means, means) + 10 * at::eye(5, at::kDouble);
  EXPECT_GT(distances.min().item<double>(), 0.3);
  const Tensor z = prior->sample(items(20000), Rng(1));
  EXPECT_LT(z.mean(0).abs().max().item<double>(), 0.15);  // 512 pseudo items: 0.044 a standard error
  EXPECT_LT((z.var(0) - 1).abs().max().item<double>(), 0.4);
}

TEST(MixturePrior, ResponsibilitiesAreProbabilities) {
  const auto prior = make(mixture(3, "posterior"));
  const Tensor r = prior->responsibilities(some_q(7), globals_of(*prior)).detach();
  EXPECT_EQ(r.sizes(), at::IntArrayRef({7, 3}));
  EXPECT_LT((r.sum(-1) - 1).abs().max().item<double>(), 1e-12);
  EXPECT_GE(r.min().item<double>(), 0);
}

TEST(MixturePrior, RaggedItemsAddTheirRows) {
  const auto prior = make(mixture(3, "posterior"));
  const TensorMap globals = globals_of(*prior);
  const DiagonalNormal q = some_q(5);
  const Tensor z = random({2, 5, kLatent}, "z");
  Batch ragged = blank_batch(2);
  ragged.offsets = at::tensor({0, 2, 5}, at::kLong);
  const auto by_item = [](const Tensor& rows) {
    return at::stack({rows.narrow(-1, 0, 2).sum(-1), rows.narrow(-1, 2, 3).sum(-1)}, -1);
  };
  const Tensor log_prob = prior->log_prob(z, blank_batch(5), globals),
               kl = prior->kl(q, blank_batch(5), globals).squeeze(-1);
  EXPECT_TRUE(at::allclose(prior->log_prob(z, ragged, globals), by_item(log_prob), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(prior->kl(q, ragged, globals).squeeze(-1), by_item(kl), 1e-12, 1e-12));
}

}  // namespace priors_test
}  // namespace vem
