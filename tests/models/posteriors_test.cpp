// q(z | x): every listed family in every promise that does not need a model around it: densities against draws,
// gradients by central differences, KLs to both normal priors against Monte Carlo, bounds in their order. Discrete ones
// have a file of their own.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gradcheck.h"
#include "vem/core/error.h"
#include "vem/dist/multivariate_normal.h"
#include "vem/infer/objective.h"

namespace vem {
namespace posteriors_test {

constexpr int64_t kItems = 5, kLatent = 4;

/// Options that make small numbers of parameters; families that are not named have none.
std::string toml_of(const std::string& name) {
  const std::map<std::string, std::string> options{
      {"low-rank", "rank = 2\n"}, {"flow", "num_flows = 2\n"}, {"categorical", "num_classes = 2\n"}};
  const auto found = options.find(name);
  return fmt::format("kind = \"{}\"\n{}", name, found == options.end() ? "" : found->second);
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const Plugin* plugin : plugins().list("posterior")) all.push_back(plugin->name);
  return all;
}

class EveryPosterior : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    posterior_ = plugins().create<Posterior>(chosen("posterior", toml_of(GetParam())),
                                             {kLatent, at::kDouble, parameter_block(), &plugins()});
    if (posterior_->discrete()) GTEST_SKIP() << "discrete_test.cpp";
    posterior_->initialize(Rng(1));
    parameters_ = 0.6 * random({kItems, posterior_->num_parameters()}, "parameters");
  }
  Tensor noise(int64_t samples) const { return random({samples, kItems, posterior_->num_noise()}, "noise"); }
  std::shared_ptr<Prior> prior(const std::string& name) const {
    const auto block = parameter_block();
    const auto prior =
        plugins().create<Prior>(chosen("prior", "kind = \"" + name + "\"\n"), {kLatent, at::kDouble, block, plugins()});
    for (const Parameter& p : block->parameters()) p.value.detach().copy_(0.5 * random(p.value.sizes().vec(), p.name));
    return prior;
  }
  /// A likelihood that is a function of z alone.
  Trace trace(const Prior& prior, const Tensor& parameters, const Tensor& noise) const {
    const Latent latent(*posterior_, parameters, posterior_->at(parameters)->rsample(noise), prior, batch_, none_);
    return {{latent}, -(latent.z() - 1).pow(2).sum(-1) + at::sin(latent.z()).sum(-1)};
  }
  static Tensor bound(const std::string& toml, const Trace& trace) {
    return (*plugins().create<Objective>(chosen("objective", toml), {plugins()}))(trace, Step()).bound;
  }

  std::shared_ptr<Posterior> posterior_;
  Tensor parameters_;
  Batch batch_ = blank_batch(kItems);
  TensorMap none_;
};

TEST_P(EveryPosterior, DrawsAndDensityHaveTheRightGradient) {
  const Tensor held = posterior_->at(parameters_)->rsample(noise(3));
  const auto value = [&](const std::vector<Tensor>& in) {
    const auto q = posterior_->at(in[0]);
    return (q->rsample(noise(3)) * random({3, kItems, kLatent}, "weight")).sum() + q->log_prob(held).sum() +
           q->entropy().sum();
  };
  EXPECT_LT(gradient_error(value, {parameters_}), 1e-6);
}

// The first two moments of draws are those that the density says, and E[-log q] its entropy.
TEST_P(EveryPosterior, DrawsFollowTheDensity) {
  const at::NoGradGuard no_grad;
  const int64_t n = 20000;
  const auto q = posterior_->at(parameters_);
  const Tensor z = q->rsample(noise(n)), log_q = q->log_prob(z);
  const Tensor spread = z.std(0) / std::sqrt(static_cast<double>(n));
  EXPECT_LT(((z.mean(0) - q->mean()).abs() / spread).max().item<double>(), 4.5);  // of 20, in standard errors
  EXPECT_LT((z.var(0) / q->variance() - 1).abs().max().item<double>(), 4.5 * std::sqrt(2.0 / n));
  const Tensor error = log_q.std(0) / std::sqrt(static_cast<double>(n));
  EXPECT_LT(((log_q.mean(0) + q->entropy()).abs() / error).max().item<double>(), 4.5);
}

TEST_P(EveryPosterior, ItsKlToNormalPriorsIsThatOfMonteCarlo) {
  if (posterior_->flows()) GTEST_SKIP() << "known along draws only";
  const at::NoGradGuard no_grad;
  const int64_t n = 20000;
  for (const std::string name : {"standard", "normal"}) {
    const auto p = prior(name);
    const Trace draws = trace(*p, parameters_, noise(n));
    const Tensor difference = draws.latents[0].log_q() - draws.latents[0].log_p(),
                 error = difference.std(0) / std::sqrt(static_cast<double>(n));
    const Tensor kl = draws.latents[0].kl().sum(-1);
    EXPECT_LT(((kl - difference.mean(0)).abs() / error).max().item<double>(), 4) << name;  // of 5, in standard errors
  }
}

TEST_P(EveryPosterior, KlGradientsAreThoseOfCentralDifferences) {
  if (posterior_->flows()) GTEST_SKIP() << "known along draws only";
  for (const std::string name : {"standard", "normal"}) {
    const auto p = prior(name);
    const auto value = [&](const std::vector<Tensor>& in) { return p->kl(*posterior_->at(in[0]), batch_, {}).sum(); };
    EXPECT_LT(gradient_error(value, {parameters_}), 1e-6) << name;
  }
}

TEST_P(EveryPosterior, AnImportanceWeightedBoundWithOneSampleIsTheMonteCarloElbo) {
  const auto p = prior("normal");
  const Tensor leaf = parameters_.clone().requires_grad_();
  const Trace one = trace(*p, leaf, noise(1));
  const Tensor elbo = bound("kind = \"elbo\"\nkl = \"monte-carlo\"\n", one),
               iwae = bound("kind = \"iwae\"\nnum_samples = 1\n", one);
  EXPECT_LT((elbo - iwae).abs().max().item<double>(), 1e-12);
  const Tensor a = torch::autograd::grad({elbo.sum()}, {leaf}, {}, true)[0],
               b = torch::autograd::grad({iwae.sum()}, {leaf})[0];
  EXPECT_LT((a - b).abs().max().item<double>(), 1e-10);
}

// Jensen, on the same draws in groups: exact, not on average.
TEST_P(EveryPosterior, MoreSamplesNeverLowerTheBound) {
  const at::NoGradGuard no_grad;
  const auto p = prior("standard");
  double last = -std::numeric_limits<double>::infinity();
  for (const int64_t samples : {1, 4, 16, 64}) {
    const Tensor b = bound(fmt::format("kind = \"iwae\"\nnum_samples = {}\ngroups = {}\n", samples, 256 / samples),
                           trace(*p, parameters_, noise(256)));
    EXPECT_GE(b.sum().item<double>(), last);
    last = b.sum().item<double>();
  }
}

INSTANTIATE_TEST_SUITE_P(Table, EveryPosterior, testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// W W' + diag(std^2), written out.
TEST(LowRankPosterior, IsTheNormalOfItsCovariance) {
  const auto posterior = plugins().create<Posterior>(chosen("posterior", toml_of("low-rank")), {kLatent});
  const Tensor p = random({kItems, posterior->num_parameters()}, "parameters");
  const auto part = posterior->named(p);
  EXPECT_EQ(part[2].second.sizes(), at::IntArrayRef({kItems, kLatent, 2}));
  const Tensor W = part[2].second, S = at::matmul(W, W.mT()) + at::diag_embed((2 * part[1].second).exp());
  const FullNormal full = FullNormal::from_covariance(part[0].second, S);
  const Tensor z = random({3, kItems, kLatent}, "z");
  EXPECT_LT((posterior->at(p)->log_prob(z) - full.log_prob(z)).abs().max().item<double>(), 1e-9);
  EXPECT_LT((posterior->at(p)->entropy() - full.entropy()).abs().max().item<double>(), 1e-10);
}

TEST(LowRankPosterior, RefusesAsManyDirectionsAsDimensions) {
  try {
    plugins().create<Posterior>(chosen("posterior", "kind = \"low-rank\"\nrank = 4\n"), {kLatent});
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_STREQ(e.what(), "posterior low-rank: rank must be below latent_dim = 4, got 4");
  }
}

}  // namespace posteriors_test
}  // namespace vem
