// Discrete latents: densities and draws against enumeration, gradients of every estimator against the exact one, and a
// model whose evidence is a sum over states.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gradcheck.h"
#include "support/models.h"
#include "vem/infer/objective.h"

namespace vem {
namespace discrete_test {

constexpr int64_t kItems = 3, kLatent = 6, kStates = 9;  // two categories of three classes

std::shared_ptr<Posterior> make(const std::string& options) {
  return plugins().create<Posterior>(chosen("posterior", "kind = \"categorical\"\nnum_classes = 3\n" + options),
                                     {kLatent, at::kDouble, nullptr, &plugins()});
}

Tensor parameters() { return 0.8 * random({kItems, kLatent}, "parameters"); }

/// [9, 1, 6].
Tensor all_states() { return make("gradient = \"enumerate\"\n")->states(at::zeros({1, kLatent}), {}, Step()); }

/// A function of z [S, items, L] that is far from linear in it.
Tensor f(const Tensor& z) {
  const Tensor w = random({kLatent, 4}, "w") * 1.5;
  return at::tanh(at::matmul(z, w)).sum(-1) + at::matmul(z, w).pow(2).sum(-1) * at::arange(1., 4., at::kDouble);
}

TEST(Categorical, ItsStatesSumToOne) {
  const auto q = make("")->at(parameters());
  const Tensor z = all_states().expand({-1, kItems, -1}), p = q->log_prob(z).exp();
  EXPECT_EQ(z.sizes(), at::IntArrayRef({kStates, kItems, kLatent}));
  EXPECT_LT((p.sum(0) - 1).abs().max().item<double>(), 1e-12);
  EXPECT_LT(((p.unsqueeze(-1) * z).sum(0) - q->mean()).abs().max().item<double>(), 1e-12);
  EXPECT_LT(((p * q->log_prob(z)).sum(0) + q->entropy()).abs().max().item<double>(), 1e-12);
}

TEST(Categorical, DrawsHaveTheirProbabilities) {
  const auto q = make("")->at(parameters());
  const int64_t n = 20000;
  for (const Tensor& z : {q->rsample(random({n, kItems, kLatent}, "noise")), q->sample({n}, Rng(1))}) {
    EXPECT_TRUE(at::equal(z.unflatten(-1, {2, 3}).sum(-1), at::ones({n, kItems, 2}, at::kDouble)));
    const Tensor error = (q->variance() / static_cast<double>(n)).sqrt();
    EXPECT_LT(((z.mean(0) - q->mean()).abs() / error).max().item<double>(), 4.5);  // of 18, in standard errors
  }
}

TEST(CategoricalPrior, ItsKlIsTheSumOverStates) {
  const std::shared_ptr<const Posterior> posterior = make("");
  for (const std::string learned : {"false", "true"}) {
    const auto block = parameter_block();
    const auto prior = plugins().create<Prior>(chosen("prior", "kind = \"categorical\"\nlearned = " + learned + "\n"),
                                               {kLatent, at::kDouble, block, plugins(), nullptr, posterior});
    for (const Parameter& p : block->parameters()) p.value.detach().copy_(random(p.value.sizes().vec(), p.name));
    const auto q = posterior->at(parameters());
    const Tensor z = all_states().expand({-1, kItems, -1}), log_q = q->log_prob(z),
                 log_p = prior->log_prob(z, blank_batch(kItems), {});
    EXPECT_LT((log_p.exp().sum(0) - 1).abs().max().item<double>(), 1e-12);
    const Tensor kl = prior->kl(*q, blank_batch(kItems), {});
    EXPECT_EQ(kl.sizes(), at::IntArrayRef({kItems, 2}));
    EXPECT_LT((kl.sum(-1) - (log_q.exp() * (log_q - log_p)).sum(0)).abs().max().item<double>(), 1e-12);
    const auto value = [&](const std::vector<Tensor>& in) {
      return prior->kl(*posterior->at(in[0]), blank_batch(kItems), {}).sum();
    };
    EXPECT_LT(gradient_error(value, {parameters()}), 1e-6);
    const Tensor drawn = prior->sample(at::arange(20000, at::kLong), Rng(2)).mean(0), p = log_p.select(1, 0).exp();
    const Tensor mean = (p.unsqueeze(-1) * all_states().squeeze(1)).sum(0);
    EXPECT_LT(((drawn - mean).abs() / (mean * (1 - mean) / 20000).sqrt()).max().item<double>(), 4.5);
  }
}

/// d E_q[f] / d parameters as a training step forms it: what comes by way of z, and what E_q[.] itself adds.
std::pair<Tensor, Tensor> value_and_gradient(const Posterior& posterior, const Tensor& noise, double temperature) {
  const Tensor leaf = parameters().requires_grad_();
  Step step;
  step.weights["temperature"] = temperature;
  const Tensor z = posterior.states(leaf, noise, step), cut = z.detach().requires_grad_();
  const Tensor mean = posterior.expected(f(cut), *posterior.at(leaf), cut).mean(0);
  const auto g = torch::autograd::grad({mean.sum()}, {leaf, cut}, {}, true, false, true);
  Tensor gradient = g[0].defined() ? g[0] : at::zeros_like(leaf);
  if (z.requires_grad()) gradient = gradient + torch::autograd::grad({z}, {leaf}, {g[1]})[0];
  return {mean.detach(), gradient};
}

Tensor draws(int64_t samples, int64_t round) {
  return Rng(8).fold(static_cast<uint64_t>(round)).normal(items(kItems), {samples, kLatent}, "n").transpose(0, 1);
}

TEST(Categorical, EnumerationIsExact) {
  const auto posterior = make("gradient = \"enumerate\"\n");
  const auto value = [&](const std::vector<Tensor>& in) {
    const Tensor z = all_states().expand({-1, kItems, -1});
    return (posterior->at(in[0])->log_prob(z).exp() * f(z)).sum();
  };
  const auto [mean, gradient] = value_and_gradient(*posterior, draws(1, 0), 1);
  EXPECT_NEAR(mean.sum().item<double>(), value({parameters()}).item<double>(), 1e-11);
  const Tensor leaf = parameters().requires_grad_();
  EXPECT_LT((gradient - torch::autograd::grad({value({leaf})}, {leaf})[0]).abs().max().item<double>(), 1e-11);
  EXPECT_LT(gradient_error(value, {parameters()}), 1e-6);
}

/// The mean gradient over rounds and its standard error.
std::pair<Tensor, Tensor> mean_gradient(const Posterior& posterior, int64_t samples, double temperature,
                                        int64_t rounds) {
  Tensor sum = at::zeros({kItems, kLatent}, at::kDouble), square = sum;
  for (int64_t i = 0; i < rounds; ++i) {
    const Tensor g = value_and_gradient(posterior, draws(samples, i), temperature).second;
    sum = sum + g;
    square = square + g.square();
  }
  const auto n = static_cast<double>(rounds);
  return {sum / n, ((square / n - (sum / n).square()) / n).sqrt()};
}

TEST(Categorical, TheScoreFunctionIsUnbiasedAndItsBaselineLowersTheNoise) {
  const Tensor exact = value_and_gradient(*make("gradient = \"enumerate\"\n"), draws(1, 0), 1).second;
  const auto score = make("gradient = \"score-function\"\n");
  double noise = 0;
  for (const int64_t samples : {2, 6}) {
    const auto [mean, error] = mean_gradient(*score, samples, 1, 4000);
    EXPECT_LT(((mean - exact).abs() / error).max().item<double>(), 4.5) << samples;  // of 18, in standard errors
    // Without the baseline: the mean over draws of f grad log q, by the same formula with f's mean left in.
    Tensor square = at::zeros({kItems, kLatent}, at::kDouble);
    for (int64_t i = 0; i < 500; ++i) {
      const Tensor leaf = parameters().requires_grad_();
      const auto q = score->at(leaf);
      const Tensor z = q->rsample(draws(samples, i)).detach();
      square = square + torch::autograd::grad({(f(z) * q->log_prob(z)).mean(0).sum()}, {leaf})[0].square() / 500;
    }
    noise = (square - exact.square()).mean().item<double>();
    EXPECT_LT(error.square().mean().item<double>() * 4000, noise) << samples;
  }
}

// The bias of relaxed slopes goes with the temperature; what it is at a temperature of one half, the tests only bound.
TEST(Categorical, RelaxedSlopesTendToTheExactOnes) {
  const Tensor exact = value_and_gradient(*make("gradient = \"enumerate\"\n"), draws(1, 0), 1).second;
  const auto relaxed = make("gradient = \"relaxed\"\n");
  const auto off = [&](double temperature) {
    const Tensor mean = mean_gradient(*relaxed, 64, temperature, 300).first;
    return ((mean - exact).norm() / exact.norm()).item<double>();
  };
  const double warm = off(1.0), cold = off(0.1);
  EXPECT_LT(cold, 0.5 * warm);
  EXPECT_LT(cold, 0.15);
}

TEST(Categorical, StraightThroughLooksAtDrawsAndTakesRelaxedSlopes) {
  const auto straight = make(""), relaxed = make("gradient = \"relaxed\"\n");
  Step step;
  step.weights["temperature"] = 0.7;
  const Tensor leaf = parameters().requires_grad_(), noise = draws(5, 0), w = random({5, kItems, kLatent}, "w");
  const Tensor z = straight->states(leaf, noise, step), soft = relaxed->states(leaf, noise, step);
  EXPECT_TRUE(at::equal(z.detach(), straight->at(leaf)->rsample(noise)));
  const Tensor a = torch::autograd::grad({(z * w).sum()}, {leaf})[0],
               b = torch::autograd::grad({(soft * w).sum()}, {leaf})[0];
  EXPECT_LT((a - b).abs().max().item<double>(), 1e-14);
  step.training = false;
  EXPECT_TRUE(at::equal(relaxed->states(leaf, noise, step).detach(), z.detach()));
}

// ---- bounds from weighted draws ----

struct Weighted {
  std::string toml;
  double alpha, share;
};

/// The mean over pairs of draws of the bound from both, exactly, at the parameters of q; log p(x | z) is f(z).
Tensor bound_of_pairs(const Tensor& logits, const Prior& prior, const Weighted& w) {
  const Tensor z = all_states().expand({-1, kItems, -1}), log_q = make("")->at(logits)->log_prob(z),
               log_w = 0.3 * f(z) + prior.log_prob(z, blank_batch(kItems), {}) - log_q;
  const Tensor a = log_w.unsqueeze(0).expand({kStates, -1, -1}), b = log_w.unsqueeze(1).expand_as(a);
  const Tensor bound = (at::logsumexp((1 - w.alpha) * at::stack({a, b}), {0}) - std::log(2.0)) / (1 - w.alpha);
  return ((log_q.unsqueeze(0) + log_q.unsqueeze(1)).exp() * ((1 - w.share) * bound + w.share * (a + b) / 2))
      .flatten(0, 1)
      .sum(0);
}

// Importance-weighted bounds, powers of weights, groups and mixes with the ELBO: all by the score function.
TEST(Categorical, TheScoreFunctionOfWeightedBoundsIsUnbiased) {
  const std::shared_ptr<const Posterior> posterior = make("gradient = \"score-function\"\n");
  const auto prior = plugins().create<Prior>(chosen("prior", "kind = \"categorical\"\n"),
                                             {kLatent, at::kDouble, nullptr, plugins(), nullptr, posterior});
  for (const Weighted& w : {Weighted{"", 0, 0}, Weighted{"alpha = 0.5\n", 0.5, 0}, Weighted{"groups = 2\n", 0, 0},
                            Weighted{"groups = 2\nelbo_share = 0.4\n", 0, 0.4}}) {
    const auto objective =
        plugins().create<Objective>(chosen("objective", "kind = \"iwae\"\nnum_samples = 2\n" + w.toml), {plugins()});
    const Tensor exact_leaf = parameters().requires_grad_(), exact = bound_of_pairs(exact_leaf, *prior, w);
    const Tensor wanted = torch::autograd::grad({exact.sum()}, {exact_leaf})[0];
    const Batch batch = blank_batch(kItems);
    const int64_t rounds = 2000;
    Tensor sum = at::zeros_like(wanted), square = sum, bound = at::zeros({kItems}, at::kDouble), bound_square = bound;
    for (int64_t i = 0; i < rounds; ++i) {
      const Tensor leaf = parameters().requires_grad_();
      const Tensor z = posterior->states(leaf, draws(objective->num_samples(), i), Step()).detach();
      const Trace trace{{Latent(*posterior, leaf, z, *prior, batch, {})}, 0.3 * f(z)};
      const ObjectiveValue value = (*objective)(trace, Step());
      const Tensor g = torch::autograd::grad({value.surrogate.sum()}, {leaf})[0];
      sum = sum + g / rounds;
      square = square + g.square() / rounds;
      bound = bound + value.bound.detach() / rounds;
      bound_square = bound_square + value.bound.detach().square() / rounds;
    }
    const auto in_errors = [&](const Tensor& mean, const Tensor& of_squares, const Tensor& truth) {
      return ((mean - truth).abs() / ((of_squares - mean.square()) / rounds).sqrt()).max().item<double>();
    };
    EXPECT_LT(in_errors(sum, square, wanted), 4.5) << w.toml;  // of 18, in standard errors
    EXPECT_LT(in_errors(bound, bound_square, exact.detach()), 4.5) << w.toml;
  }
}

// ---- a whole model ----

std::string model_toml(const std::string& posterior, const std::string& more = "") {
  return "[model]\nkind = \"vae\"\nlatent_dim = 6\nprecision = \"float64\"\nprior = {kind = \"categorical\", learned = "
         "true}\nposterior = {kind = \"categorical\", num_classes = 3, " +
         posterior + "}\n" + more + "encoder = {widths = [8]}\ndecoder = {widths = [8]}\n";
}

// log p(x) is a sum over nine states: importance weights find it, and every bound lies below.
TEST(DiscreteVae, ImportanceWeightsFindTheSumOverStates) {
  const Dataset data = sample_data(Sample::images);
  const auto model = make_model(model_toml("gradient = \"enumerate\""), data);
  model->initialize(data, Rng(3));
  const auto methods = model->methods();
  const Tensor x = data.columns.at("x"), states = all_states().squeeze(1);
  const Tensor p = Model::find(methods, "decode")->call({states}, Rng(1))[0],
               log_px = at::mm(p.log(), x.t()) + at::mm((1 - p).log(), 1 - x.t());  // [states, items]
  const Tensor exact = at::logsumexp(log_px, {0}) - std::log(9.0);  // the prior starts with all classes alike
  const Tensor weights = Model::find(methods, "importance")->call({x, at::scalar_tensor(4000, at::kLong)}, Rng(1))[0];
  // an untrained encoder is close to the prior: weights vary by less than their mean
  EXPECT_LT((at::logsumexp(weights, {0}) - std::log(4000.0) - exact).abs().max().item<double>(), 0.1);
  Step step;
  step.training = false;
  const double bound = model->e_step(data.batch(items(60), 0, at::kDouble), step, Rng(1)).bound.item<double>();
  EXPECT_LT(bound, exact.sum().item<double>());
  EXPECT_EQ(Model::find(methods, "annealed"), nullptr);
}

// All estimators begin at the same model; the bound is judged by enumeration.
TEST(DiscreteVae, EveryEstimatorRaisesTheExactBound) {
  const Dataset data = sample_data(Sample::images);
  Step step;
  step.training = false;
  const auto judge = make_model(model_toml("gradient = \"enumerate\""), data);
  FitOptions o;
  o.epochs = 60;
  o.batch_size = 20;
  o.seed = 2;
  for (const std::string gradient : {"enumerate", "score-function", "straight-through", "relaxed"}) {
    const std::string samples = gradient == "enumerate" ? "" : "objective = {kind = \"elbo\", num_samples = 4}\n";
    const auto model = make_model(
        model_toml("gradient = \"" + gradient + "\"", samples + "optimizer = {learning_rate = 0.01}\n"), data);
    model->initialize(data, Rng(3));
    const auto bound = [&] {
      judge->load(model->state());
      return judge->e_step(data.batch(items(60), 0, at::kDouble), step, Rng(1)).bound.item<double>() / 60;
    };
    const double before = bound();
    fit(*model, data, o, {plugins()});
    EXPECT_GT(bound(), before + 0.1) << gradient;  // nats an item, far from the end of training
  }
}

}  // namespace discrete_test
}  // namespace vem
