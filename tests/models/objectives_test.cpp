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

/// The mean gradient of the parameters over many draws, as the model forms it: by way of the samples, scaled there, and
/// directly; and its standard error.
std::pair<Tensor, Tensor> mean_gradient(const Objective& objective, int64_t rounds) {
  const Scene scene;
  const Tensor p = parameters();
  Tensor sum = at::zeros_like(p), square = at::zeros_like(p);
  for (int64_t i = 0; i < rounds; ++i) {
    const Tensor eps = Rng(7)
                           .fold(static_cast<uint64_t>(i))
                           .normal(items(kItems), {objective.num_samples(), kLatent}, "noise")
                           .transpose(0, 1);
    const Tensor leaf = p.detach().requires_grad_();
    const Tensor z = scene.posterior->at(leaf)->rsample(eps), cut = z.detach().requires_grad_();
    const Trace trace{{Latent(*scene.posterior, leaf, cut, *scene.prior, scene.batch, scene.globals)},
                      -(cut - 1).pow(2).sum(-1) + at::sin(cut).sum(-1)};
    const ObjectiveValue value = objective(trace, with_kl_weight(1));
    auto g = torch::autograd::grad({value.surrogate.sum()}, {cut, leaf}, {}, true, false, true);
    if (value.path_scale.defined()) g[0] = g[0] * value.path_scale.unsqueeze(-1);
    Tensor whole = torch::autograd::grad({z}, {leaf}, {g[0]})[0];
    if (g[1].defined()) whole = whole + g[1];
    sum = sum + whole;
    square = square + whole.square();
  }
  const auto n = static_cast<double>(rounds);
  const Tensor mean = sum / n;
  return {mean, ((square / n - mean.square()) / n).sqrt()};
}

// Roeder et al. 2017 and Tucker et al. 2019: the same gradient on average, with less noise.
TEST(Objectives, GradientsByWayOfTheSamplesAreUnbiasedAndLessNoisy) {
  for (const auto& [plain, better] :
       {std::pair<std::string, std::string>{"kind = \"elbo\"\nkl = \"monte-carlo\"\n",
                                            "kind = \"elbo\"\nkl = \"sticking\"\n"},
        {"kind = \"iwae\"\nnum_samples = 3\n", "kind = \"iwae\"\nnum_samples = 3\ngradient = \"dreg\"\n"},
        {"kind = \"iwae\"\nnum_samples = 2\ngroups = 2\n",
         "kind = \"iwae\"\nnum_samples = 2\ngroups = 2\ngradient = \"dreg\"\n"}}) {
    const auto [mean, error] = mean_gradient(*make(plain), 8000);
    const auto [other, other_error] = mean_gradient(*make(better), 8000);
    const Tensor deviation = (mean - other).abs() / (error.square() + other_error.square()).sqrt();
    EXPECT_LT(deviation.max().item<double>(), 4.5) << better;  // of 20 numbers, in standard errors
    EXPECT_LT(other_error.sum().item<double>(), error.sum().item<double>()) << better;
  }
}

// alpha = 0 and one group: the importance-weighted bound; alpha to 1, one sample, or the whole share: the ELBO.
TEST(Objectives, RelativesOfTheWeightedBoundMeetAtTheirEnds) {
  const Scene scene;
  const Trace trace = scene.trace(parameters(), noise(6));
  const auto bound = [&](const std::string& toml) { return (*make("kind = \"iwae\"\n" + toml))(trace, Step()).bound; };
  const Tensor elbo = (*make("kind = \"elbo\"\nkl = \"monte-carlo\"\nnum_samples = 6\n"))(trace, Step()).bound,
               iwae = bound("num_samples = 6\n");
  const auto expect_equal = [](const Tensor& a, const Tensor& b, double tolerance) {
    EXPECT_LT((a - b).abs().max().item<double>(), tolerance);
  };
  expect_equal(bound("num_samples = 1\ngroups = 6\n"), elbo, 1e-12);
  expect_equal(bound("num_samples = 6\nelbo_share = 1.0\n"), elbo, 1e-12);
  expect_equal(bound("num_samples = 6\nelbo_share = 0.25\n"), 0.75 * iwae + 0.25 * elbo, 1e-12);
  expect_equal(bound("num_samples = 6\nalpha = 0.999\n"), elbo, 1e-2 * (iwae - elbo).max().item<double>());
  EXPECT_TRUE((bound("num_samples = 6\nalpha = 0.5\n") < iwae).all().item<bool>());
  EXPECT_TRUE((bound("num_samples = 6\nalpha = 0.5\n") > elbo).all().item<bool>());
  EXPECT_TRUE((bound("num_samples = 3\ngroups = 2\n") <= iwae).all().item<bool>());
}

TEST(Elbo, FreeBitsAndCapacityBendTheSurrogateOnly) {
  const Scene scene;
  const Trace trace = scene.trace(parameters(), noise(1));
  const Tensor kl = trace.latents[0].kl(), log_px = trace.log_px.mean(0), plain = log_px - kl.sum(-1);
  const double most = kl.max().item<double>(), middle = kl.median().item<double>();
  const auto free_bits = (*make(fmt::format("kind = \"elbo\"\nfree_bits = {}\n", middle)))(trace, Step());
  EXPECT_TRUE(at::allclose(free_bits.bound, plain));
  EXPECT_TRUE(at::allclose(free_bits.surrogate, log_px - kl.clamp_min(middle).sum(-1)));
  const auto all_free = (*make(fmt::format("kind = \"elbo\"\nfree_bits = {}\n", 2 * most)))(trace, Step());
  EXPECT_TRUE(at::allclose(all_free.surrogate, log_px - 2 * kLatent * most));
  Step step = with_kl_weight(3);
  step.weights["capacity"] = 0.7;
  const auto pulled = (*make("kind = \"elbo\"\npull_to_capacity = true\ncapacity = 0.7\n"))(trace, step);
  EXPECT_TRUE(at::allclose(pulled.bound, plain));
  EXPECT_TRUE(at::allclose(pulled.surrogate, log_px - 3 * (kl.sum(-1) - 0.7).abs()));
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
