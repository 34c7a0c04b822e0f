// The amortised model: exact evidence of a linear one, one backward pass against a plain graph, the three E-steps, the
// user's units, its methods and what it refuses. What every model promises is in table_test.cpp.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/linear_vae.h"
#include "vem/core/error.h"
#include "vem/core/warning.h"
#include "vem/infer/network.h"

namespace vem {
namespace vae_test {

const std::string kNetworks =
    "[model.encoder]\nkind = \"mlp\"\nwidths = [12]\nactivation = \"tanh\"\n"
    "[model.decoder]\nkind = \"mlp\"\nwidths = [12]\nactivation = \"tanh\"\n";

std::string vae(const std::string& top, const std::string& networks = kNetworks) {
  return "[model]\nkind = \"vae\"\nlatent_dim = 2\nprecision = \"float64\"\n" + top + networks;
}

Batch all_of(const Dataset& data, at::ScalarType dtype = at::kDouble) { return data.batch(items(data.size), 0, dtype); }

Step judging() {
  Step step;
  step.training = false;
  return step;
}

double bound_of(const Model& model, const Dataset& data, uint64_t seed = 1) {
  return model.e_step(all_of(data), judging(), Rng(seed)).bound.item<double>();
}

Tensor call(const Model& model, const std::string& name, const std::vector<Tensor>& inputs, size_t output = 0) {
  return Model::find(model.methods(), name)->call(inputs, Rng(1)).at(output);
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

// ---- a linear VAE is probabilistic PCA ----

TEST(LinearVae, TheBoundIsTheExactEvidenceAtTheBestEncoder) {
  for (const std::string objective :
       {"objective = {kind = \"elbo\", kl = \"monte-carlo\"}\n", "objective = {kind = \"iwae\", num_samples = 3}\n"}) {
    const LinearVae v = linear_vae(objective);
    // every importance weight is p(x) itself, so there is no noise either
    EXPECT_NEAR(bound_of(*v.model, v.data), v.log_evidence().sum().item<double>(), 1e-9) << objective;
  }
  const LinearVae v = linear_vae("objective = {kind = \"elbo\", num_samples = 20000}\n");
  // the analytic KL leaves the noise of E_q log p(x | z): about 1 nat an item, 40 items, 20000 draws
  EXPECT_NEAR(bound_of(*v.model, v.data), v.log_evidence().sum().item<double>(), 0.2);
}

// From a random start, decoder and all: to the exact evidence at the best W, U (Lambda - sigma^2 I)^(1/2) of the sample
// covariance (Tipping and Bishop 1999, equation 7; 8 is its evidence).
TEST(LinearVae, TrainingReachesTheEvidenceOfProbabilisticPca) {
  const LinearVae v =
      linear_vae("objective = {kind = \"elbo\", kl = \"sticking\"}\noptimizer = {learning_rate = 0.02}\n");
  FitOptions options;
  options.epochs = 1500;
  options.batch_size = 0;
  fit(*v.model, v.data, options, {plugins()});
  const Tensor x = v.data.columns.at("x"), centered = x - x.mean(0);
  const Tensor spectrum = std::get<0>(at::linalg_eigh(at::mm(centered.t(), centered) / x.size(0))).flip(0);
  const double d = static_cast<double>(x.size(1)), noise = v.sigma * v.sigma;
  const Tensor kept = spectrum.slice(0, 0, 2), left = spectrum.slice(0, 2);
  const double evidence = -.5 * (d * std::log(2 * M_PI) + kept.log().sum().item<double>() + (d - 2) * std::log(noise) +
                                 2 + left.sum().item<double>() / noise);
  const double bound = bound_of(*v.model, v.data) / static_cast<double>(x.size(0));
  EXPECT_LT(bound, evidence + 1e-9);
  EXPECT_NEAR(bound, evidence, .05);
}

TEST(LinearVae, BoundsAreOrderedBelowTheEvidence) {
  const auto bound = [](const std::string& objective) {
    const LinearVae v = linear_vae(objective);
    v.set_encoder(0.4);
    double sum = 0;
    for (uint64_t seed = 0; seed < 50; ++seed) sum += bound_of(*v.model, v.data, seed) / 50;
    return sum;
  };
  const double elbo = bound("objective = {kind = \"elbo\", num_samples = 10}\n"),
               few = bound("objective = {kind = \"iwae\", num_samples = 5}\n"),
               many = bound("objective = {kind = \"iwae\", num_samples = 100}\n"),
               evidence = linear_vae().log_evidence().sum().item<double>();
  EXPECT_LT(elbo + 1, few);  // gaps of several nats; the averages err by about 0.3
  EXPECT_LT(few + 1, many);
  EXPECT_LT(many, evidence);
}

TEST(LinearVae, ImportanceWeightsEstimateTheEvidence) {
  const LinearVae v = linear_vae();
  const Tensor x = v.data.columns.at("x"), samples = at::scalar_tensor(7, at::kLong);
  const Tensor exact = call(*v.model, "importance", {x, samples});
  EXPECT_EQ(exact.sizes(), at::IntArrayRef({7, 40}));
  EXPECT_EQ(exact.scalar_type(), at::kDouble);
  EXPECT_LT((exact - v.log_evidence()).abs().max().item<double>(), 1e-9);
  v.set_encoder(0.3);
  const Tensor rough = call(*v.model, "importance", {x, at::scalar_tensor(20000, at::kLong)});
  const Tensor estimate = rough.logsumexp(0) - std::log(20000.0);
  EXPECT_LT((estimate - v.log_evidence()).abs().max().item<double>(), 0.1);  // weights vary by about 2 in ratio
}

// One cell of each row is missing: the evidence is that of the other four, and the cell's mean that of the conditional
// normal, both in closed form.
TEST(LinearVae, MissingCellsAreIntegratedOut) {
  const LinearVae v = linear_vae();
  v.set_encoder(0.3);
  const Tensor x = v.data.columns.at("x"), gap = items(5).eq(items(40).remainder(5).unsqueeze(1));
  const Tensor S = at::mm(v.W, v.W.t()) + v.sigma * v.sigma * at::eye(5, at::kDouble);
  Tensor evidence = at::zeros({40}, at::kDouble), mean = x.clone();
  for (int64_t n = 0; n < 40; ++n) {
    const Tensor seen = gap[n].logical_not().nonzero().squeeze(1), lost = gap[n].nonzero().squeeze(1);
    const Tensor own = S.index_select(0, seen).index_select(1, seen), rest = (x[n] - v.b).index_select(0, seen);
    const Tensor white = at::linalg_solve(own, rest.unsqueeze(1)).squeeze(1);
    evidence[n] = -0.5 * at::dot(rest, white) - 0.5 * at::logdet(own) - 2 * std::log(2 * M_PI);
    mean[n].index_copy_(0, lost,
                        v.b.index_select(0, lost) + at::mv(S.index_select(0, lost).index_select(1, seen), white));
  }
  const Tensor gaps = x.masked_fill(gap, std::nan(""));
  const Tensor weights = call(*v.model, "importance", {gaps, at::scalar_tensor(20000, at::kLong)});
  const Tensor estimate = weights.logsumexp(0) - std::log(20000.0);
  EXPECT_LT((estimate - evidence).abs().max().item<double>(), 0.2);  // an encoder that sees zeros is some way off
  const Tensor filled = call(*v.model, "impute", {gaps});
  EXPECT_TRUE(at::equal(filled.masked_select(gap.logical_not()), x.masked_select(gap.logical_not())));
  EXPECT_LT((filled - mean).abs().mean().item<double>() * 5, 0.1);  // 500 weighted draws, of a spread below one
  Dataset data = v.data;
  data.columns["x"] = gaps;
  EXPECT_LT(bound_of(*v.model, data), evidence.sum().item<double>());
}

/// KL(q || p(z | x)) of each item [N], exactly: what the bound at q misses.
Tensor gap(const LinearVae& v, const Tensor& q) {
  const Tensor mean = q.narrow(1, 0, 2), log_std = q.narrow(1, 2, 2), variance = v.posterior_variance();
  return (0.5 * (((mean - v.posterior_mean()).pow(2) + (2 * log_std).exp()) / variance - 1 + variance.log()) - log_std)
      .sum(-1);
}

TEST(LinearVae, LocalParametersFindTheExactPosterior) {
  const LinearVae v = linear_vae("e_step = \"local\"\ninner_steps = 60\n");
  const Tensor q = v.model->e_step(all_of(v.data), judging(), Rng(1)).local.at("q");
  EXPECT_GT(gap(v, at::zeros_like(q)).mean().item<double>(), 1);  // where it starts
  EXPECT_LT(gap(v, q).mean().item<double>(), 0.08);               // nats; the noise of the last, short steps remains
  EXPECT_LT(gap(v, q).max().item<double>(), 0.8);
}

// Annealing knows nothing of the encoder: both sides meet at the exact evidence, within their own errors.
TEST(LinearVae, AnnealingFindsTheEvidence) {
  const LinearVae v = linear_vae();
  v.set_encoder(5);
  const auto methods = v.model->methods();
  const auto anneal = [&](const char* name, const Tensor& x, const Tensor& second) {
    return Model::find(methods, name)->call({x, second, at::scalar_tensor(150, at::kLong)}, Rng(3));
  };
  const auto up = anneal("annealed", v.data.columns.at("x"), at::scalar_tensor(30, at::kLong));
  const Tensor estimate = up[0].logsumexp(0) - std::log(30.0),
               error = (up[0] - estimate).exp().std(0) / std::sqrt(30.0);
  // the mean over 40 rows, in standard errors of that mean
  const double off = (estimate - v.log_evidence()).mean().item<double>(),
               bias = 0.5 * error.square().mean().item<double>();
  EXPECT_LT(std::abs(off), 4.5 * std::sqrt(error.square().sum().item<double>()) / 40 + bias);
  EXPECT_GT(up[1].min().item<double>(), 0.3);
  const auto made = Model::find(methods, "simulate")->call({at::scalar_tensor(40, at::kLong)}, Rng(4));
  const Tensor lower = anneal("annealed", made[0], at::scalar_tensor(30, at::kLong))[0].logsumexp(0) - std::log(30.0),
               upper = -anneal("annealed_from", made[0], made[1])[0].squeeze(0);
  const double gap = (upper - lower).mean().item<double>();
  EXPECT_GT(gap, -0.1);
  EXPECT_LT(gap, 0.5);
}

// The encoder is off by a known divergence; the family of q holds the exact posterior, so inner steps close the gap.
TEST(LinearVae, InnerStepsCloseTheGapOfTheEncoder) {
  const LinearVae v = linear_vae();
  v.set_encoder(0.5);
  const auto methods = v.model->methods();
  const auto bounds =
      Model::find(methods, "bounds")
          ->call({v.data.columns.at("x"), at::scalar_tensor(300, at::kLong), at::scalar_tensor(500, at::kLong)},
                 Rng(1));
  const Tensor evidence = v.log_evidence(), amortised = evidence - bounds[0], local = evidence - bounds[1];
  const Tensor q = at::cat(
      {call(*v.model, "encode", {v.data.columns.at("x")}, 0), call(*v.model, "encode", {v.data.columns.at("x")}, 1)},
      1);
  // 20 judgements of E_q log p(x | z), of a spread of about two nats, for each of 40 items
  EXPECT_NEAR(amortised.mean().item<double>(), gap(v, q).mean().item<double>(), 0.25);
  EXPECT_LT(local.mean().item<double>(), 0.1);  // 20 judgements of about a nat each, 40 items, and short last steps
  EXPECT_LT((evidence - bounds[2]).abs().max().item<double>(),
            0.05);  // weights that hardly differ: q is nearly p(z | x)
}

TEST(LinearVae, LocalStateIsCarriedFromPassToPass) {
  const LinearVae v = linear_vae("e_step = \"local\"\ninner_steps = 3\n");
  Batch batch = all_of(v.data);
  const Expectation first = v.model->e_step(batch, Step(), Rng(1));
  ASSERT_EQ(first.local.at("q").sizes(), at::IntArrayRef({40, 4}));
  batch.local["q"] = at::full({40, 4}, std::nan(""), at::kDouble);  // never seen: the same as no state at all
  EXPECT_EQ(difference(v.model->e_step(batch, Step(), Rng(1)).local, first.local), 0);
  batch.local = first.local;
  for (int64_t epoch = 1; epoch < 40; ++epoch) batch.local = v.model->e_step(batch, Step(), Rng(1).at(epoch)).local;
  EXPECT_GT(gap(v, first.local.at("q")).mean().item<double>(), 0.8);
  EXPECT_LT(gap(v, batch.local.at("q")).mean().item<double>(), 0.4);  // 120 steps of 0.05 in all, which stay noisy
}

TEST(LinearVae, RefiningAnEncoderClosesItsGap) {
  const LinearVae v =
      linear_vae("e_step = \"semi-amortized\"\ninner_steps = 60\nobjective = {kind = \"elbo\", num_samples = 4}\n");
  v.set_encoder(0.5);
  const double evidence = v.log_evidence().mean().item<double>(), refined = bound_of(*v.model, v.data) / 40;
  const LinearVae amortised = linear_vae("objective = {kind = \"elbo\", num_samples = 4}\n");
  amortised.set_encoder(0.5);
  EXPECT_LT(bound_of(*amortised.model, v.data) / 40, evidence - 0.5);
  EXPECT_NEAR(refined, evidence, 0.15);  // 160 draws of log p(x | z), which vary by about 1 nat
}

// ---- gradients ----

/// Analytic and numeric slope of `value` along a random direction of one global.
std::pair<double, double> slopes(const std::string& key, const Tensor& leaf, const Tensor& sums,
                                 const std::function<double()>& value) {
  const Tensor direction = Rng(9).normal(items(leaf.numel()), {}, key).view(leaf.sizes()),
               start = leaf.detach().clone();
  const double h = 1e-5;
  const auto value_at = [&](double by) {
    leaf.detach().copy_(start + by * direction);
    const double result = value();
    leaf.detach().copy_(start);
    return result;
  };
  return {(sums * direction).sum().item<double>(), (value_at(h) - value_at(-h)) / (2 * h)};
}

TEST(Vae, TheSumsOfAWeightedBoundAreTheGradientOfItsSurrogate) {
  const Dataset data = sample_data(Sample::images);
  const auto model = make_model(vae("objective = {kind = \"elbo\", kl_weight = 4.0}\n"), data);
  model->initialize(data, Rng(3));
  Step step;
  step.weights["kl_weight"] = 4;
  const Expectation e = model->e_step(all_of(data), step, Rng(1));
  EXPECT_EQ(e.bound.item<double>(), bound_of(*model, data));  // the bound itself is never weighted
  const auto surrogate = [&] {
    const Expectation now = model->e_step(all_of(data), judging(), Rng(1));
    return (now.metrics.at("log_px") - 4 * now.metrics.at("kl")).item<double>();
  };
  for (const auto& [key, leaf] : model->globals()) {
    const auto [analytic, numeric] = slopes(key, leaf, e.sums.at(key), surrogate);
    EXPECT_NEAR(analytic, numeric, 1e-6 * std::max(1.0, std::abs(numeric))) << key;
  }
}

// A KL weight of a hundredth must not let the prior's statistics shrink: components would fall back on their prior.
// PIWAE: with the same draws the decoder learns as from all of them in one group, the encoder as from the groups.
TEST(Vae, PooledGroupsTeachTheEncoderAlone) {
  const Dataset data = sample_data(Sample::images);
  for (const std::string gradient : {"standard", "dreg"}) {
    const auto sums = [&](const std::string& objective) {
      const auto model = make_model(
          "[model]\nkind = \"vae\"\nlatent_dim = 2\nprecision = \"float64\"\nobjective = {kind = "
          "\"iwae\", gradient = \"" +
              gradient + "\", " + objective + "}\nencoder = {widths = [8]}\ndecoder = {widths = [8]}\n",
          data);
      model->initialize(data, Rng(3));
      return model->e_step(data.batch(items(60), 0, at::kDouble), Step(), Rng(1));
    };
    const Expectation pooled = sums("num_samples = 3, groups = 2, pooled = true"), one = sums("num_samples = 6"),
                      groups = sums("num_samples = 3, groups = 2");
    EXPECT_NEAR(pooled.bound.item<double>(), one.bound.item<double>(), 1e-9);
    for (const auto& [key, sum] : pooled.sums) {
      const Expectation &same = key.rfind("decoder", 0) == 0 ? one : groups, &other = &same == &one ? groups : one;
      EXPECT_LT(difference(sum, same.sums.at(key)), 1e-9 * sum.abs().max().item<double>()) << key << gradient;
      EXPECT_GT(difference(sum, other.sums.at(key)), 1e-4 * sum.abs().max().item<double>()) << key << gradient;
    }
  }
}

TEST(Vae, AKlWeightLeavesTheSumsOfConjugateBlocksAlone) {
  const Dataset data = sample_data(Sample::images);
  const auto model = make_model(vae("prior = {kind = \"mixture\", num_components = 3}\n"), data);
  model->initialize(data, Rng(3));
  Step light;
  light.weights["kl_weight"] = 0.01;
  const Expectation full = model->e_step(all_of(data), Step(), Rng(1)),
                    weighted = model->e_step(all_of(data), light, Rng(1));
  EXPECT_EQ(full.bound.item<double>(), weighted.bound.item<double>());
  ASSERT_EQ(full.sums.size(), weighted.sums.size());
  for (const auto& [key, value] : full.sums)  // the encoder alone feels the weight
    EXPECT_EQ(difference(value, weighted.sums.at(key)) > 0, key.rfind("encoder.", 0) == 0) << key;
}

// With inner steps that do not move q the sums are the gradient at q, for the decoder and for the encoder alike.
TEST(Vae, TheSumsOfRefinedStepsAreGradientsAtTheirOwnQ) {
  const Dataset data = sample_data(Sample::images);
  const std::string still = "inner_steps = 2\ninner_learning_rate = 1e-12\ninner_tolerance = 0.0\n";
  const auto plain = make_model(vae(""), data), semi = make_model(vae("e_step = \"semi-amortized\"\n" + still), data);
  plain->initialize(data, Rng(3));
  semi->load(plain->state());
  const Expectation a = plain->e_step(all_of(data), Step(), Rng(1)), b = semi->e_step(all_of(data), Step(), Rng(1));
  for (const auto& [key, value] : a.sums) EXPECT_LT(difference(value, b.sums.at(key)), 1e-8) << key;

  const auto moved = make_model(vae("e_step = \"semi-amortized\"\ninner_steps = 10\n"), data);
  moved->load(plain->state());
  const Expectation c = moved->e_step(all_of(data), Step(), Rng(1));
  for (const auto& [key, value] : a.sums)  // the encoder's at its own output, the decoder's at the refined q
    EXPECT_EQ(difference(value, c.sums.at(key)) < 1e-8, key.rfind("encoder.", 0) == 0) << key;
}

TEST(Vae, TheDecoderOfALocalModelFollowsItsBound) {
  const Dataset data = sample_data(Sample::images);
  const auto model = make_model(vae("e_step = \"local\"\ninner_steps = 1\ninner_learning_rate = 1e-12\n",
                                    "decoder = {widths = [12], activation = \"tanh\"}\n"),
                                data);
  model->initialize(data, Rng(3));
  Batch batch = all_of(data);
  batch.local["q"] = 0.3 * random({data.size, 4}, "q");
  const Expectation e = model->e_step(batch, Step(), Rng(1));
  const auto bound = [&] { return model->e_step(batch, Step(), Rng(1)).bound.item<double>(); };
  for (const auto& [key, leaf] : model->globals()) {
    const auto [analytic, numeric] = slopes(key, leaf, e.sums.at(key), bound);
    EXPECT_NEAR(analytic, numeric, 1e-6 * std::max(1.0, std::abs(numeric))) << key;
  }
}

// ---- the E-steps ----

TEST(Vae, RefiningRaisesTheBoundOfTheSameDecoder) {
  const Dataset data = sample_data(Sample::images);
  const std::string samples = "objective = {kind = \"elbo\", num_samples = 16}\n",
                    fast = "optimizer = {learning_rate = 0.02}\n";
  const auto amortised = make_model(vae(samples + fast), data);
  FitOptions o;
  o.epochs = 60;
  o.batch_size = 20;
  o.seed = 2;
  fit(*amortised, data, o, {plugins()});
  const auto refined =
      make_model(vae("e_step = \"semi-amortized\"\ninner_steps = 100\ninner_learning_rate = 0.02\n" + samples), data);
  refined->load(amortised->state());
  const auto local = make_model(
      vae("e_step = \"local\"\ninner_steps = 40\n" + samples, "decoder = {widths = [12], activation = \"tanh\"}\n"),
      data);
  local->load(amortised->state());  // the encoder's entries are not asked for
  const double a = bound_of(*amortised, data) / 60, s = bound_of(*refined, data) / 60, l = bound_of(*local, data) / 60;
  EXPECT_GT(s, a);  // the amortisation gap, in nats an item
  EXPECT_GT(l, a);
}

TEST(Vae, AnItemIsRefinedWhateverElseIsInTheBatch) {
  const Dataset data = sample_data(Sample::images);
  const auto model = make_model(
      vae("e_step = \"local\"\ninner_steps = 40\ninner_tolerance = 0.05\n", "decoder = {widths = [12]}\n"), data);
  model->initialize(data, Rng(3));
  const Tensor together = model->e_step(all_of(data), Step(), Rng(1)).local.at("q");
  const Tensor alone =
      model->e_step(data.batch(at::tensor({17}, at::kLong), 0, at::kDouble), Step(), Rng(1)).local.at("q");
  EXPECT_LT(difference(alone[0], together[17]), 1e-9);
}

TEST(Vae, AnEmptyBatchGivesEveryKeyWithZeros) {
  for (const std::string e_step : {"amortized", "local", "semi-amortized"})
    for (const std::string network : {"mlp", "conv"}) {
      const Dataset data = sample_data(Sample::images);
      const std::string networks = std::string(e_step == "local" ? "" : "encoder = {kind = \"" + network + "\"}\n") +
                                   "decoder = {kind = \"" + network + "\"}\n";
      const auto model = make_model(
          vae("e_step = \"" + e_step + "\"\nprior = {kind = \"mixture\", num_components = 2}\n", networks), data);
      model->initialize(data, Rng(3));
      const Expectation e = model->e_step(data.batch(items(0), 0, at::kDouble), Step(), Rng(1));
      EXPECT_EQ(e.count.item<double>(), 0);
      EXPECT_EQ(e.bound.item<double>(), 0);
      for (const auto& [key, leaf] : model->globals())
        EXPECT_EQ(difference(e.sums.at(key), at::zeros_like(leaf.detach())), 0) << key;
      EXPECT_EQ(e.metrics.at("log_px").item<double>(), 0);
    }
}

TEST(Vae, AnEvaluationHasNoSums) {
  const Dataset data = sample_data(Sample::images);
  const auto model = make_model(vae(""), data);
  model->initialize(data, Rng(3));
  const Expectation e = model->e_step(all_of(data), judging(), Rng(1));
  EXPECT_TRUE(e.sums.empty());
  EXPECT_FALSE(e.bound.requires_grad());
  EXPECT_NEAR(e.bound.item<double>(), (e.metrics.at("log_px") - e.metrics.at("kl")).item<double>(), 1e-9);
  EXPECT_NEAR(e.metrics.at("kl_dim").sum().item<double>(), e.metrics.at("kl").item<double>(), 1e-9);
}

// ---- units, starts, reports ----

// x -> 10 x + 1000 changes nothing but the density's unit: D log 10 nats an item, for a model of standardised data.
TEST(Vae, DensitiesAreInTheUsersUnits) {
  const std::string toml = vae("standardize = true\nlikelihood = {kind = \"normal\", scale = \"shared\"}\n");
  Dataset data = sample_data(Sample::blobs), moved = data;
  moved.columns["x"] = 10 * data.columns.at("x") + 1000;
  const auto a = make_model(toml, data), b = make_model(toml, moved);
  a->initialize(data, Rng(3));
  b->initialize(moved, Rng(3));
  const Expectation of_a = a->e_step(all_of(data), Step(), Rng(1)), of_b = b->e_step(all_of(moved), Step(), Rng(1));
  const double shift = 60 * 3 * std::log(10.0);
  EXPECT_NEAR(of_a.bound.item<double>() - of_b.bound.item<double>(), shift, 1e-6);
  EXPECT_NEAR((of_b.metrics.at("log_px") - of_b.metrics.at("kl")).item<double>(), of_b.bound.item<double>(), 1e-8);
  for (const auto& [key, value] : of_a.sums) EXPECT_LT(difference(value, of_b.sums.at(key)), 1e-7) << key;
  const Tensor z = random({4, 2}, "z"), samples = at::scalar_tensor(3, at::kLong);
  EXPECT_LT(difference(call(*b, "decode", {z}), 10 * call(*a, "decode", {z}) + 1000), 1e-8);
  const Tensor w_a = call(*a, "importance", {data.columns.at("x"), samples}),
               w_b = call(*b, "importance", {moved.columns.at("x"), samples});
  EXPECT_LT(difference(w_a, w_b + 3 * std::log(10.0)), 1e-7);
}

TEST(Vae, AConstantColumnIsNotStretched) {
  Dataset data = sample_data(Sample::blobs);
  data.columns["x"].select(1, 1).fill_(0.1);
  const auto model = make_model(vae("standardize = true\nlikelihood = {kind = \"normal\", scale = \"fixed\"}\n"), data);
  model->initialize(data, Rng(3));
  EXPECT_EQ(model->state().at("model/scaling.scale")[1].item<double>(), 1);
  EXPECT_EQ(model->state().at("model/scaling.center")[1].item<double>(), 0.1);
}

TEST(Vae, MomentsOfDataFarFromZeroAreExact) {
  Dataset data = sample_data(Sample::blobs);
  const Tensor x = data.columns.at("x");
  data.columns["x"] = (x + 1e5).to(at::kFloat);
  data.weight = items(60).remainder(3).to(at::kDouble);
  const Tensor stored = data.columns.at("x").to(at::kDouble), share = (data.weight / data.weight.sum()).unsqueeze(-1);
  const Tensor mean = (stored * share).sum(0), std = ((stored - mean).pow(2) * share).sum(0).sqrt();
  const auto model = make_model(
      "[model]\nkind = \"vae\"\nstandardize = true\nlikelihood = {kind = \"normal\", scale = \"fixed\"}\n", data);
  model->initialize(data, Rng(3));
  EXPECT_LT(((model->state().at("model/scaling.scale").to(at::kDouble) - std) / std).abs().max().item<double>(), 1e-5);
  EXPECT_LT(difference(model->state().at("model/scaling.center"), mean), 0.01);  // one unit of float32 at 1e5
}

// Of a column that begins with a gap as of any other.
TEST(Vae, MomentsDoNotDependOnAGapInTheFirstRow) {
  Dataset data = sample_data(Sample::blobs);
  data.columns["x"] = data.columns.at("x") + 1e9;
  data.columns["x"][0][1] = std::nan("");
  const Tensor there = data.columns.at("x").select(1, 1).slice(0, 1);
  const auto model =
      make_model(vae("standardize = true\nlikelihood = {kind = \"normal\", scale = \"shared\"}\n"), data);
  model->initialize(data, Rng(3));
  EXPECT_NEAR(model->state().at("model/scaling.scale")[1].item<double>(), there.std(0, false).item<double>(), 1e-6);
}

// A column around 1.7e9 is centred before it becomes float32, whose neighbours are 128 apart there: nothing is lost but
// what float64 itself rounds (2e-7).
TEST(Vae, OffsetsThatFloat32CanNotHoldChangeNothing) {
  const std::string toml =
      "[model]\nkind = \"vae\"\nlatent_dim = 2\nstandardize = true\n"
      "likelihood = {kind = \"normal\", scale = \"shared\"}\n";
  const Tensor offset = at::tensor({1.7e9, 0., -3e8}, at::kDouble);
  Dataset data = sample_data(Sample::gaps), moved = data;
  moved.columns["x"] = data.columns.at("x") + offset;
  const auto a = make_model(toml, data), b = make_model(toml, moved);
  a->initialize(data, Rng(3));
  b->initialize(moved, Rng(3));
  const auto batch_of = [](const Model& model, const Dataset& from) {
    return from.batch(items(from.size), 0, model.dtype());
  };
  const Expectation of_a = a->e_step(batch_of(*a, data), Step(), Rng(1)),
                    of_b = b->e_step(batch_of(*b, moved), Step(), Rng(1));
  EXPECT_NEAR(of_a.bound.item<double>(), of_b.bound.item<double>(), 1e-4);
  for (const auto& [key, value] : of_a.sums) EXPECT_LT(difference(value, of_b.sums.at(key)), 1e-4) << key;
  for (const char* method : {"reconstruct", "impute"}) {
    const Tensor plain = call(*a, method, {batch_of(*a, data).at("x")}),
                 shifted = call(*b, method, {batch_of(*b, moved).at("x")});
    EXPECT_LT(difference(shifted - offset, plain), 5e-6) << method;
  }
}

TEST(Vae, AColumnThatFloat32WouldRoundToOneNumberIsNamed) {
  Dataset data = sample_data(Sample::blobs);
  data.schema.feature_names = {"a", "time", "b"};
  data.columns["x"] = data.columns.at("x") + at::tensor({0., 1.7e9, 0.}, at::kDouble);
  const std::string likelihood = "likelihood = {kind = \"normal\", scale = \"shared\"}\nstandardize = false\n";
  const auto narrow = make_model("[model]\nkind = \"vae\"\n" + likelihood, data),
             wide = make_model(vae(likelihood), data);
  const std::string message = message_of([&] { narrow->initialize(data, Rng(3)); });
  const double deviation = data.columns.at("x").select(1, 1).std(0, false).item<double>();
  EXPECT_EQ(message.rfind(fmt::format("vae: time has standard deviation {:.3g} about ", deviation), 0), 0u) << message;
  EXPECT_NE(message.find(", where neighbouring float32 numbers are 128 apart; standardize = true"), std::string::npos)
      << message;
  EXPECT_NO_THROW(wide->initialize(data, Rng(3)));
}

// Numbers that were rounded before they were read are not blown up to a standard deviation of 1.
TEST(Vae, RoundingIsNoSpread) {
  Dataset data = sample_data(Sample::blobs);
  const Tensor x = data.columns.at("x").clone();
  x.select(1, 1).copy_(at::where(x.select(1, 1) > 4, 1.7e9 + 128., at::full({}, 1.7e9, at::kDouble)));
  data.columns["x"] = x.to(at::kFloat);
  const std::string model = "standardize = true\nlikelihood = {kind = \"normal\", scale = \"fixed\"}\n";
  for (const std::string& toml : {vae(model), std::string("[model]\nkind = \"gmm\"\nnum_components = 1\n")}) {
    std::vector<std::string> warnings;
    const WarningScope scope([&](const std::string& text) { warnings.push_back(text); });
    const auto made = make_model(toml, data);
    made->initialize(data, Rng(3));
    EXPECT_EQ(made->state().at("model/scaling.scale")[1].item<double>(), 1);
    ASSERT_EQ(warnings.size(), 1u);
    EXPECT_NE(warnings[0].find("neighbouring float32 numbers are 128 apart: what was read is rounding"),
              std::string::npos)
        << warnings[0];
  }
}

TEST(Vae, StartsAtTheMeanOfItsData) {
  const Dataset data = sample_data(Sample::images);
  const auto model = make_model(vae("", "encoder = {widths = [12]}\ndecoder = {widths = []}\n"), data);
  model->initialize(data, Rng(3));
  const Tensor decoded = call(*model, "decode", {at::zeros({1, 2}, at::kDouble)})[0];
  EXPECT_LT(difference(decoded, data.columns.at("x").mean(0).clamp(1e-3, 1 - 1e-3)), 1e-9);
}

TEST(Vae, ReportsActiveUnits) {
  const LinearVae v = linear_vae();
  const auto report = v.model->report(v.model->e_step(all_of(v.data), judging(), Rng(1)));
  EXPECT_EQ(report.at("active_units"), (std::vector<double>{2}));
  EXPECT_EQ(report.at("kl_dim").size(), 2u);
  EXPECT_EQ(report.count("mean"), 0u);
  v.model->globals().at("encoder.output.weight").detach()[1].zero_();  // the second mean no longer depends on x
  EXPECT_EQ(v.model->report(v.model->e_step(all_of(v.data), judging(), Rng(1))).at("active_units"),
            (std::vector<double>{1}));
}

// ---- methods ----

TEST(Vae, MethodsAgreeWithEachOther) {
  const LinearVae v = linear_vae();
  const Tensor x = v.data.columns.at("x");
  const Tensor mean = call(*v.model, "encode", {x}), log_std = call(*v.model, "encode", {x}, 1);
  EXPECT_LT(difference(mean, v.posterior_mean()), 1e-12);
  EXPECT_LT(difference(log_std[7], 0.5 * v.posterior_variance().log()), 1e-12);
  EXPECT_LT(difference(call(*v.model, "reconstruct", {x}), at::mm(mean, v.W.t()) + v.b), 1e-12);
  const Tensor drawn = call(*v.model, "sample", {at::scalar_tensor(20000, at::kLong)});
  EXPECT_LT((drawn.mean(0) - v.b).abs().max().item<double>(),
            4 * 1.5 / std::sqrt(20000.0));  // standard deviations below 1.5
  EXPECT_FALSE(drawn.requires_grad());
  EXPECT_FALSE(mean.requires_grad());
  for (const Method& method : v.model->methods())
    EXPECT_TRUE(method.example.size() == method.inputs.size() || method.example.empty()) << method.name;
}

TEST(Vae, AMixturePriorBringsClusters) {
  const Dataset data = sample_data(Sample::images);
  const auto model = make_model(vae("prior = {kind = \"mixture\", num_components = 3}\n"), data);
  FitOptions o;
  o.epochs = 30;
  o.batch_size = 20;
  o.seed = 4;
  const FitResult result = fit(*model, data, o, {plugins()});
  EXPECT_GT(result.bounds.back(), result.bounds.front());
  const Tensor r = call(*model, "responsibilities", {data.columns.at("x")}),
               k = call(*model, "predict", {data.columns.at("x")});
  EXPECT_LT((r.sum(-1) - 1).abs().max().item<double>(), 1e-12);
  EXPECT_TRUE(at::equal(r.argmax(-1), k));
  EXPECT_EQ(Model::find(make_model(vae(""), data)->methods(), "responsibilities"), nullptr);
}

// A full pass leaves eta = eta_prior + sums, so the Dirichlet's counts have grown by the number of items exactly.
TEST(Vae, AMixturePriorCountsEveryItem) {
  const Dataset data = sample_data(Sample::images);
  const auto model = make_model(vae("prior = {kind = \"mixture\", num_components = 3}\n"), data);
  FitOptions o;
  o.epochs = 4;
  o.seed = 4;
  fit(*model, data, o, {plugins()});
  const TensorMap state = model->state();
  const Tensor added = state.at("model/prior.weights.eta") - state.at("model/prior.weights.eta_prior");
  EXPECT_NEAR(added.sum().item<double>(), 60, 1e-9);
}

// ---- what it refuses ----

TEST(Vae, NamesTheCellThatItCannotModel) {
  Dataset data = sample_data(Sample::blobs);
  data.schema.feature_names = {"width", "height", "depth"};
  const auto initialize = [&](const std::string& likelihood) {
    make_model(vae("likelihood = \"" + likelihood + "\"\n"), data)->initialize(data, Rng(1));
  };
  data.columns["x"][3][0] = std::nan("");  // missing
  data.columns["x"][16][1] = INFINITY;
  EXPECT_EQ(message_of([&] { initialize("normal"); }),
            "vae: height is inf in row 17, but likelihood normal needs finite numbers");
  data.columns["x"].fill_(0.5);
  data.columns["x"][3][0] = 2;
  EXPECT_EQ(message_of([&] { initialize("poisson"); }),
            "vae: width is 0.5 in row 1, but likelihood poisson needs whole numbers >= 0");
  data.columns["x"].fill_(std::nan(""));
  EXPECT_EQ(message_of([&] { initialize("normal"); }), "vae: width has no value in any row");
  data.columns["x"].fill_(0.5);
  data.columns["x"][3][0] = 2;
  data.index = items(60) + 100;  // rows keep the place that they had in the file
  EXPECT_EQ(message_of([&] { initialize("bernoulli"); }),
            "vae: width is 2 in row 104, but likelihood bernoulli needs numbers in [0, 1]");
  data.columns["x"][3][0] = -std::numeric_limits<double>::infinity();
  EXPECT_EQ(message_of([&] { initialize("normal"); }),
            "vae: width is -inf in row 104, but likelihood normal needs finite numbers");
  data.schema.feature_names.clear();
  EXPECT_EQ(message_of([&] { initialize("normal"); }),
            "vae: feature 0 is -inf in row 104, but likelihood normal needs finite numbers");
}

TEST(Vae, RefusesFactorsThatDoNotGoTogether) {
  const Dataset data = sample_data(Sample::images);
  const auto words = [&](const std::string& top) { return message_of([&] { make_model(vae(top), data); }); };
  const std::string flow = "posterior = {kind = \"flow\", num_flows = 1}\n";
  EXPECT_EQ(message_of([&] { make_model("[model]\nkind = \"vae\"\ne_step = \"local\"\nprior = \"vamp\"\n", data); }),
            "vae: prior vamp needs an encoder, and e_step = \"local\" has none");
  EXPECT_EQ(
      words(flow + "prior = \"vamp\"\n"),
      "vae: prior vamp takes posteriors whose density is known everywhere, posterior flow has it along draws only");
  for (const std::string objective : {"{kind = \"iwae\", gradient = \"dreg\"}", "{kind = \"elbo\", kl = \"sticking\"}"})
    EXPECT_NE(words(flow + "objective = " + objective + "\n").find("needs the density of any z, posterior flow has"),
              std::string::npos)
        << objective;
}

TEST(Vae, RefusesOptionsWithoutEffect) {
  const Dataset data = sample_data(Sample::images);
  EXPECT_THROW(make_model(vae("inner_steps = 3\n"), data), ConfigError);
  EXPECT_THROW(make_model(vae("standardize = true\n"), data), ConfigError);
  EXPECT_THROW(make_model(vae("e_step = \"local\"\n"), data), ConfigError);  // kNetworks has an encoder
}

// ---- what is logged as the KL ----

/// Whatever the prior, with every parameter of it at zero: N(0, I), for a mixture of one, for flows that do nothing.
std::shared_ptr<Model> with_prior(const std::string& prior, const Dataset& data) {
  const auto model =
      make_model(vae("objective = {kind = \"iwae\", num_samples = 300}\nprior = {" + prior + "}\n"), data);
  model->initialize(data, Rng(3));
  for (const auto& [name, value] : model->globals()) {
    if (name.rfind("prior.", 0) == 0) value.detach().zero_();
    if (name == "encoder.output.bias") value.detach().fill_(0.8);
  }
  return model;
}

// The importance-weighted bound is above the ELBO, so log p(x | z) less it is below the KL, here by more than a nat.
TEST(Vae, TheKlOfAnImportanceWeightedObjectiveIsThatOfQToThePrior) {
  const Dataset data = sample_data(Sample::images);
  const auto metrics = [&](const std::string& prior) {
    return with_prior(prior, data)->e_step(all_of(data), judging(), Rng(1)).metrics;
  };
  const double exact = metrics("kind = \"standard\"").at("kl").item<double>() / 60;
  EXPECT_GT(exact, 2);
  for (const char* prior : {"kind = \"normal-mixture\", num_components = 1", "kind = \"maf\", num_flows = 2",
                            "kind = \"real-nvp\", num_flows = 2"})
    EXPECT_NEAR(metrics(prior).at("kl").item<double>() / 60, exact, .1) << prior;  // 18,000 draws of about 3 nats
  // Every pseudo-input has the same q as every item where the encoder says nothing.
  const auto silent = with_prior("kind = \"vamp\", num_components = 4", data);
  silent->globals().at("encoder.output.weight").detach().zero_();
  const Expectation e = silent->e_step(all_of(data), judging(), Rng(1));
  EXPECT_NEAR(e.metrics.at("kl").item<double>(), 0, 1e-9);
  EXPECT_GT((e.bound - e.metrics.at("log_px")).item<double>(), 1);
}

// ---- imputation ----

// The encoder's q is off by one in every number, and so too narrow as well. Conditional means of the cells that are
// hidden are known.
TEST(LinearVae, ImputationIsExactWhereTheEncoderIsNot) {
  const LinearVae v = linear_vae();
  v.set_encoder(-1);
  const Tensor x = v.data.columns.at("x"), S = at::mm(v.W, v.W.t()) + v.sigma * v.sigma * at::eye(5, at::kDouble);
  Tensor gaps = x.clone();
  gaps.slice(1, 0, 3).fill_(std::nan(""));
  const Tensor slope = at::linalg_solve(S.slice(0, 3).slice(1, 3), S.slice(0, 3).slice(1, 0, 3)),
               mean = v.b.slice(0, 0, 3) + at::mm((x - v.b).slice(1, 3), slope);
  const Tensor filled = call(*v.model, "impute", {gaps}).slice(1, 0, 3);
  EXPECT_LT((filled - mean).abs().mean().item<double>(), 0.1);  // 500 draws of means that vary by about one
}

struct NoOptions final : Options {
  void visit(OptionVisitor&) override {}
};

/// A bias, whatever it reads; counts how often it does.
class CountingNetwork final : public Network {
 public:
  explicit CountingNetwork(const Context& c) : bias_(c.block.add(c.prefix + ".bias", {4}, c.dtype)) {}
  Tensor forward(const Tensor& x, const Noise&) const override {
    ++calls;
    return bias_.expand({x.size(0), 4});
  }
  void initialize(const Rng&) override {}
  Tensor output_bias() const override { return bias_; }
  static inline int64_t calls = 0;

 private:
  Tensor bias_;
};

TEST(Vae, ImputingEncodesRowsOnce) {
  Registry registry = builtin_registry();
  registry.add<Network, NoOptions>("counting", "counts", [](const NoOptions&, const Network::Context& context) {
    return std::make_shared<CountingNetwork>(context);
  });
  const Dataset data = sample_data(Sample::gaps);
  ChoiceOptions options("model", "vae");
  Config::parse("[model]\nlatent_dim = 2\nlikelihood = \"normal\"\nencoder = \"counting\"\n", "test")
      .read(options, registry);
  const auto model = registry.create<Model>(options.choice, {data.schema, registry});
  model->initialize(data, Rng(1));
  CountingNetwork::calls = 0;
  const Tensor filled = call(*model, "impute", {data.columns.at("x")});
  EXPECT_FALSE(filled.isnan().any().item<bool>());
  EXPECT_EQ(CountingNetwork::calls, 1);
}

}  // namespace vae_test
}  // namespace vem
