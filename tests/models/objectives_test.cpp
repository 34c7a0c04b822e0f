// Objectives on a trace without networks: log p(x | z) is a function of z, so everything can be differentiated by hand.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gradcheck.h"
#include "vem/infer/objective.h"

namespace vem {
namespace {

constexpr int64_t kItems = 5, kLatent = 2;

std::shared_ptr<Objective> make(const std::string& toml) {
  return plugins().create<Objective>(chosen("objective", toml), {plugins()});
}

/// A trace at q with parameters [B, 2 L] and noise [S, B, L]; z is drawn inside, so gradients are the whole ones.
struct Scene {
  std::shared_ptr<Prior> prior =
      plugins().create<Prior>(chosen("prior", "kind = \"standard\"\n"), {kLatent, at::kDouble, nullptr, plugins()});
  std::shared_ptr<Posterior> posterior =
      plugins().create<Posterior>(chosen("posterior", "kind = \"diagonal\"\n"), {kLatent});
  Batch batch = blank_batch(kItems);
  TensorMap globals;

  Trace trace(const Tensor& parameters, const Tensor& noise) const {
    const Tensor z = posterior->at(parameters)->rsample(noise);
    const Tensor log_px = -(z - 1).pow(2).sum(-1) + at::sin(z).sum(-1);
    return {{Latent(*posterior, parameters, z, *prior, batch, globals)}, log_px};
  }
};

Tensor parameters() { return 0.5 * random({kItems, 2 * kLatent}, "parameters"); }
Tensor noise(int64_t samples) { return random({samples, kItems, kLatent}, "noise"); }

Step with_kl_weight(double weight, bool training = true) {
  Step step;
  step.training = training;
  step.weights["kl_weight"] = weight;
  return step;
}

TEST(Posterior, ReparameterisedDrawsHaveTheRightGradient) {
  const Scene scene;
  const Tensor p = parameters();
  const Tensor held = scene.posterior->at(p)->rsample(noise(3));
  const auto value = [&](const std::vector<Tensor>& in) {
    const auto q = scene.posterior->at(in[0]);
    return (q->rsample(noise(3)) * random({3, kItems, kLatent}, "weight")).sum() + q->log_prob(held).sum() +
           q->entropy().sum();
  };
  EXPECT_LT(gradient_error(value, {p}), 1e-6);
}

TEST(Objectives, SurrogatesHaveTheRightGradient) {
  const Scene scene;
  for (const std::string toml :
       {"kind = \"elbo\"\nnum_samples = 2\n", "kind = \"elbo\"\nkl = \"monte-carlo\"\nnum_samples = 2\n",
        "kind = \"iwae\"\nnum_samples = 4\n"}) {
    const auto objective = make(toml);
    const Tensor eps = noise(objective->num_samples());
    const auto value = [&](const std::vector<Tensor>& in) {
      return (*objective)(scene.trace(in[0], eps), with_kl_weight(0.3)).surrogate.sum();
    };
    EXPECT_LT(gradient_error(value, {parameters()}), 1e-6) << toml;
  }
}

TEST(Objectives, AnImportanceWeightedBoundWithOneSampleIsTheMonteCarloElbo) {
  const Scene scene;
  const Tensor p = parameters().requires_grad_();
  const auto elbo = (*make("kind = \"elbo\"\nkl = \"monte-carlo\"\n"))(scene.trace(p, noise(1)), Step());
  const auto iwae = (*make("kind = \"iwae\"\nnum_samples = 1\n"))(scene.trace(p, noise(1)), Step());
  EXPECT_LT((elbo.bound - iwae.bound).abs().max().item<double>(), 1e-12);
  const Tensor a = torch::autograd::grad({elbo.surrogate.sum()}, {p})[0],
               b = torch::autograd::grad({iwae.surrogate.sum()}, {p})[0];
  EXPECT_LT((a - b).abs().max().item<double>(), 1e-12);
}

TEST(Objectives, AnalyticAndMonteCarloKlAgreeOnAverage) {
  const Scene scene;
  const int64_t samples = 20000;
  const Trace trace = scene.trace(parameters(), noise(samples));
  const Tensor difference = trace.latents[0].log_q() - trace.latents[0].log_p();
  const Tensor error = difference.std(0) / std::sqrt(static_cast<double>(samples));
  const Tensor analytic = (*make("kind = \"elbo\"\n"))(trace, Step()).bound,
               sampled = (*make("kind = \"elbo\"\nkl = \"monte-carlo\"\n"))(trace, Step()).bound;
  EXPECT_LT(((analytic - sampled).abs() / error).max().item<double>(), 4);  // five items, in standard errors
}

// Jensen: on any set of weights the bound lies between the mean and the largest log weight.
TEST(Objectives, MoreSamplesNeverLowerTheBoundOnAverage) {
  const Scene scene;
  const Tensor draws = noise(6400), p = parameters();
  double last = -std::numeric_limits<double>::infinity();
  for (const int64_t samples : {1, 4, 16, 64}) {
    const auto iwae = make(fmt::format("kind = \"iwae\"\nnum_samples = {}\n", samples));
    double total = 0;
    for (int64_t i = 0; i < 6400 / samples; ++i)  // the same draws in groups: exact, not on average
      total +=
          (*iwae)(scene.trace(p, draws.slice(0, i * samples, (i + 1) * samples)), Step()).bound.sum().item<double>();
    const double mean = total / (6400.0 / static_cast<double>(samples));
    EXPECT_GE(mean, last);
    last = mean;
  }
}

TEST(Elbo, TheKlWeightActsOnTheSurrogateOfTrainingOnly) {
  const Scene scene;
  const auto elbo = make("kind = \"elbo\"\n");
  const Trace trace = scene.trace(parameters(), noise(1));
  const Tensor kl = trace.latents[0].kl().sum(-1), log_px = trace.log_px.mean(0);
  const auto plain = (*elbo)(trace, with_kl_weight(1)), weighted = (*elbo)(trace, with_kl_weight(4)),
             judged = (*elbo)(trace, with_kl_weight(4, false));
  EXPECT_TRUE(at::equal(plain.bound, weighted.bound));
  EXPECT_TRUE(at::allclose(weighted.surrogate, log_px - 4 * kl, 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(judged.surrogate, log_px - kl, 1e-12, 1e-12));
  EXPECT_FALSE(weighted.path_scale.defined());
}

TEST(Elbo, TheWarmUpIsASchedule) {
  const auto elbo = make("kind = \"elbo\"\nkl_weight = {kind = \"linear\", from = 0.0, to = 1.0, epochs = 4.0}\n");
  Step step;
  step.progress = 1;
  EXPECT_NEAR(elbo->schedules().at("kl_weight")->at(step), 0.25, 1e-12);
}

}  // namespace
}  // namespace vem
