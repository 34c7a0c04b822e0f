// Hidden Markov models: the allocation against autograd and enumeration, known values, readouts.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "support/amortised.h"
#include "support/chain_reference.h"
#include "support/models.h"
#include "support/places.h"
#include "vem/core/error.h"
#include "vem/infer/allocation.h"
#include "vem/models/registry.h"

namespace vem {
namespace hmm_test {

std::shared_ptr<Allocation> make_chain(const std::string& options, int64_t K, Estimate estimate) {
  return plugins().create<Allocation>(chosen("allocation", "kind = \"markov-chain\"\n" + options), {"", K, estimate});
}

Batch ragged(const std::vector<int64_t>& lengths) {
  Batch batch;
  std::vector<int64_t> offsets{0};
  for (const int64_t length : lengths) offsets.push_back(offsets.back() + length);
  batch.offsets = at::tensor(offsets, at::kLong);
  batch.index = at::arange(static_cast<int64_t>(lengths.size()), at::kLong);
  batch.weight = Rng(5).uniform(batch.index, {}, "weight");
  return batch;
}

TensorMap globals_of(const Allocation& allocation) {
  TensorMap globals;
  for (const auto& block : allocation.blocks()) globals.merge(block->globals());
  return globals;
}

const std::vector<std::string> kTopologies{"", "topology = \"left-right\"\n",
                                           "topology = \"left-right\"\nmax_step = 1\nstart = \"first\"\n",
                                           "start = \"uniform\"\nstickiness = 3.0\n"};

TEST(MarkovChain, TheKernelIsTheGradientOfLogNorm) {
  for (const std::string& topology : kTopologies) {
    const auto chain = make_chain(topology, 4, Estimate::posterior);
    chain->set_priors();
    const Batch batch = ragged({3, 0, 1, 12, 7, 1});
    const Tensor log_lik = 2 * Rng(1).normal(at::arange(24, at::kLong), {4}, "log_lik");
    const TensorMap globals = globals_of(*chain);
    const Allocation::Counts fast = chain->expect(log_lik, batch, globals),
                             plain = chain->Allocation::expect(log_lik, batch, globals);
    EXPECT_NEAR(fast.bound.item<double>(), plain.bound.item<double>(), 1e-12);
    EXPECT_LT(difference(fast.marginals, plain.marginals), 1e-13);
    EXPECT_LT(difference(fast.sums, plain.sums), 1e-12) << topology;
  }
}

TEST(MarkovChain, LogNormIsTheSumOverPathsOfWhatItsGlobalsSay) {
  const auto chain = make_chain("topology = \"left-right\"\nstart = \"first\"\n", 3, Estimate::posterior);
  chain->set_priors();
  const Batch batch = ragged({5});
  const Tensor log_lik = Rng(1).normal(at::arange(5, at::kLong), {3}, "log_lik");
  const TensorMap globals = globals_of(*chain);
  const double inf = std::numeric_limits<double>::infinity();
  const Tensor forbidden = at::ones({3, 3}, at::kBool).tril(-1);
  const Chain reference{log_lik, at::tensor({0., -inf, -inf}, at::kDouble),
                        globals.at("transition.t").detach().masked_fill(forbidden, -inf), batch.offsets};
  EXPECT_NEAR(chain->log_norm(log_lik, batch, globals).item<double>(),
              enumerated_counts(reference).log_norm.item<double>(), 1e-13);
}

// KL of Dirichlet rows over the states that exist, against the textbook formula on the sub-vectors.
TEST(MarkovChain, ForbiddenTransitionsHaveNoPartInTheBound) {
  const auto chain =
      make_chain("topology = \"left-right\"\nconcentration = 0.7\nstickiness = 2.0\n", 3, Estimate::posterior);
  chain->set_priors();
  const auto block = chain->blocks()[1];
  Expectation total;
  total.sums["transition.t"] = at::tensor({3., 1., 2., 0., 4., 0., 0., 0., 5.}, at::kDouble).view({3, 3});
  block->m_step(total, Step(), Rng(0));
  double kl = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const Tensor prior = 0.7 + 2. * at::arange(i, 3, at::kLong).eq(i).to(at::kDouble);
    const Tensor alpha = prior + total.sums["transition.t"][i].slice(0, i);
    kl += (at::lgamma(alpha.sum()) - at::lgamma(alpha).sum() - at::lgamma(prior.sum()) + at::lgamma(prior).sum() +
           ((alpha - prior) * (at::digamma(alpha) - at::digamma(alpha.sum()))).sum())
              .item<double>();
  }
  EXPECT_NEAR(block->kl_global().item<double>(), kl, 1e-12);
  EXPECT_EQ(block->t().detach().tril(-1).abs().sum().item<double>(), 0);
  EXPECT_EQ(block->eta().tril(-1).abs().sum().item<double>(), 0);
}

// A chain of three states whose stationary distribution is known: detailed balance of a birth-death chain.
TEST(MarkovChain, WeightsAreTheLongRun) {
  const auto chain = make_chain("", 3, Estimate::map);
  chain->set_priors();
  Expectation total;
  total.sums["start.t"] = at::tensor({1., 0., 0.}, at::kDouble).view({1, 3});
  total.sums["transition.t"] = 1e6 * at::tensor({.5, .5, 0., .25, .5, .25, 0., .5, .5}, at::kDouble).view({3, 3});
  for (const auto& block : chain->blocks()) block->m_step(total, Step(), Rng(0));
  const Tensor expected = at::tensor({.25, .5, .25}, at::kDouble).view({1, 3});
  EXPECT_TRUE(at::allclose(chain->log_weights().exp(), expected, 1e-9, 1e-9));
}

TEST(MarkovChain, DrawsFollowTheTransitions) {
  const auto chain = make_chain("", 2, Estimate::map);
  chain->set_priors();
  Expectation total;
  total.sums["start.t"] = at::tensor({1., 3.}, at::kDouble).view({1, 2});
  total.sums["transition.t"] = at::tensor({9., 1., 3., 7.}, at::kDouble).view({2, 2});
  for (const auto& block : chain->blocks()) block->m_step(total, Step(), Rng(0));
  const Tensor z = chain->sample(at::arange(20000, at::kLong), Rng(3));
  const Tensor from = z.slice(0, 0, -1), to = z.slice(0, 1);
  const double n = from.eq(0).sum().item<double>(), m = from.eq(0).logical_and(to.eq(1)).sum().item<double>();
  EXPECT_NEAR(m / n, 0.1, 5 * std::sqrt(.1 * .9 / n));
  EXPECT_NEAR(n / 19999, 0.75, 0.03);  // stationary share; five errors of a chain with correlation .6
}

TEST(MarkovChain, ErrorsSayWhatIsWrong) {
  const auto message = [](const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message([] { make_chain("stickiness = 2.0\n", 3, Estimate::ml); }),
            "markov-chain: stickiness has no effect in this run; it takes effect when estimate is map or posterior");
  EXPECT_EQ(message([] { make_chain("concentration = 0.5\n", 3, Estimate::map); }),
            "markov-chain: concentration must be >= 1 when estimate is map, got 0.5: below 1 the density of the "
            "probabilities has no mode");
}

// ---- the model ----

/// The model fitted to the table's sequences.
std::shared_ptr<Model> fitted(const std::string& estimate, const Dataset& data) {
  const auto model = make_model("[model]\nkind = \"hmm\"\nnum_components = 3\nestimate = \"" + estimate + "\"\n", data);
  FitOptions options;
  options.epochs = 30;
  fit(*model, data, options, {plugins()});
  return model;
}

std::vector<Tensor> call(const Model& model, const std::string& name, const Batch& batch) {
  const auto methods = model.methods();
  return Model::find(methods, name)->call({batch.at("x"), batch.offsets}, Rng(0));
}

TEST(Hmm, ReadoutsAgreeWithTheEStep) {
  const Dataset data = sample_data(Sample::sequences);
  const auto model = fitted("ml", data);
  const Batch batch = data.batch(at::arange(data.size, at::kLong), 0, model->dtype());
  const Expectation e = model->e_step(batch, Step(), Rng(0));
  EXPECT_NEAR(call(*model, "log_prob", batch)[0].sum().item<double>(), e.bound.item<double>(), 1e-9);
  const Tensor smoothed = call(*model, "responsibilities", batch)[0], filtered = call(*model, "filter", batch)[0];
  EXPECT_TRUE(at::allclose(smoothed.sum(-1), at::ones({smoothed.size(0)}, at::kDouble)));
  const Tensor last = batch.offsets.slice(0, 1) - 1;  // at the end of a sequence both know the same
  EXPECT_LT(difference(smoothed.index_select(0, last), filtered.index_select(0, last)), 1e-12);
  EXPECT_LT(difference(smoothed.index_select(0, batch.offsets.slice(0, 0, -1)).sum(0), e.sums.at("start.t")[0]), 1e-9);
  const Tensor path = call(*model, "predict", batch)[0];
  EXPECT_EQ(path.sizes(), at::IntArrayRef({smoothed.size(0)}));
  EXPECT_GT(path.eq(smoothed.argmax(-1)).to(at::kDouble).mean().item<double>(), 0.95);
}

// The blocks of rows were laid out three at a time, so that states last.
TEST(Hmm, FindsTheStates) {
  const Dataset data = sample_data(Sample::sequences);
  const auto model = fitted("posterior", data);
  const Batch batch = data.batch(at::arange(data.size, at::kLong), 0, model->dtype());
  const Tensor path = call(*model, "predict", batch)[0], truth = data.columns.at("label");
  Tensor table = at::zeros({9}, at::kDouble);
  table.index_add_(0, 3 * truth + path, at::ones({truth.size(0)}, at::kDouble));
  EXPECT_GT(std::get<0>(table.view({3, 3}).max(1)).sum().item<double>() / truth.size(0), 0.97);
}

// Appending h rows of which nothing is known and smoothing must give the same states.
TEST(Hmm, ForecastsAreMarginalsOfUnseenRows) {
  const Dataset data = sample_data(Sample::sequences);
  const auto model = fitted("ml", data);
  const auto methods = model->methods();
  const Tensor x = data.columns.at("x").slice(0, 0, 5), offsets = at::tensor({0, 5, 5}, at::kLong);
  const std::vector<Tensor> forecast =
      Model::find(methods, "forecast")
          ->call({x, offsets, at::scalar_tensor(4, at::kLong), at::scalar_tensor(0.95, at::kDouble)}, Rng(0));
  TensorMap globals = model->globals();
  const Tensor log_lik = Model::find(methods, "log_lik")->call({x}, Rng(0))[0];
  Chain chain{at::cat({log_lik, at::zeros({4, 3}, at::kDouble)}), globals.at("start.t").detach(),
              globals.at("transition.t").detach(), at::tensor({0, 9}, at::kLong)};
  const Tensor smoothed = forward_backward(chain, at::ones({1}, at::kDouble)).marginals;
  EXPECT_LT(difference(forecast[0][0], smoothed.slice(0, 5)), 1e-12);
  chain.log_lik = at::zeros({4, 3}, at::kDouble);  // a sequence without rows
  chain.offsets = at::tensor({0, 4}, at::kLong);
  EXPECT_LT(difference(forecast[0][1], forward_backward(chain, at::ones({1}, at::kDouble)).marginals), 1e-12);
  // moments of the mixture by their definition
  const std::vector<Tensor> parts = Model::find(methods, "component_parameters")->call({}, Rng(0));
  const Tensor p = forecast[0][0][2].unsqueeze(-1), mean = (p * parts[1]).sum(0);
  EXPECT_LT(difference(forecast[1][0][2], mean), 1e-10);
  const Tensor second = (p * (parts[2].diagonal(0, 1, 2) + parts[1].square())).sum(0);
  EXPECT_LT(difference(forecast[2][0][2], second - mean.square()), 1e-9);
}

// ---- against hmmlearn ----

/// tests/golden/hmm_em.txt: rows of "sequence state x0 x1 count symbol", then "name log-likelihood ..." a model.
struct Golden {
  Tensor rows;
  std::map<std::string, std::vector<double>> histories;
};
Golden golden() {
  std::ifstream file(tests_folder() + "/golden/hmm_em.txt");
  std::vector<double> rows;
  Golden result;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string name;
    std::vector<double> values;
    if (std::isalpha(static_cast<unsigned char>(line[0]))) fields >> name;
    for (double value; fields >> value;) values.push_back(value);
    if (name.empty())
      rows.insert(rows.end(), values.begin(), values.end());
    else
      result.histories[name] = values;
  }
  result.rows = at::tensor(rows, at::kDouble).view({-1, 6});
  return result;
}

/// Columns from .. to of the golden rows as sequences, started from their states.
Dataset golden_data(const Golden& golden, int64_t from, int64_t to) {
  Dataset data;
  data.columns["x"] = golden.rows.slice(1, from, to).contiguous();
  data.columns["label"] = golden.rows.select(1, 1).to(at::kLong);
  const Tensor lengths = at::bincount(golden.rows.select(1, 0).to(at::kLong));
  data.offsets = at::cat({at::zeros({1}, at::kLong), lengths.cumsum(0)});
  data.size = lengths.size(0);
  data.schema.item_shape = {to - from};
  data.schema.num_classes = 3;
  return data;
}

void expect_history(const std::string& name, const std::string& observation, int64_t from, int64_t to) {
  const Golden expected = golden();
  const std::vector<double>& history = expected.histories.at(name);
  const Dataset data = golden_data(expected, from, to);
  const auto model =
      make_model("[model]\nkind = \"hmm\"\nnum_components = 3\nestimate = \"ml\"\nstart = \"labels\"\nobservation = " +
                     observation + "\n",
                 data);
  FitOptions options;
  options.epochs = static_cast<int64_t>(history.size());
  options.tolerance = 0;
  const FitResult result = fit(*model, data, options, {plugins()});
  ASSERT_EQ(result.bounds.size(), history.size());
  // twelve digits are in the file; both sums have roundings of 1e-14 of their size, which EM carries on
  for (size_t i = 0; i < history.size(); ++i) EXPECT_NEAR(result.bounds[i], history[i], 1e-8) << name << " " << i;
}

TEST(Hmm, FollowsTheLogLikelihoodsOfHmmlearn) {
  expect_history("full", "{kind = \"normal\", covariance = \"full\"}", 2, 4);
  expect_history("diag", "{kind = \"normal\", covariance = \"diagonal\"}", 2, 4);
  expect_history("poisson", "{kind = \"poisson\"}", 4, 5);
  expect_history("categorical", "{kind = \"categorical\", num_symbols = 4}", 5, 6);
}

// Zucchini and MacDonald, "Hidden Markov models for time series": earthquakes of magnitude 7 or more, 1900 to 2006.
TEST(Hmm, Earthquakes) {
  Dataset data;
  data.columns["x"] =
      at::tensor(
          {13., 14., 8.,  10., 16., 26., 32., 27., 18., 32., 36., 24., 22., 23., 22., 18., 25., 21., 21., 14., 8.,  11.,
           14., 23., 18., 17., 19., 20., 22., 19., 13., 26., 13., 14., 22., 24., 21., 22., 26., 21., 23., 24., 27., 41.,
           31., 27., 35., 26., 28., 36., 39., 21., 17., 22., 17., 19., 15., 34., 10., 15., 22., 18., 15., 20., 15., 22.,
           19., 16., 30., 27., 29., 23., 20., 16., 21., 21., 25., 16., 18., 15., 18., 14., 10., 15., 8.,  15., 6.,  11.,
           8.,  7.,  18., 16., 13., 12., 13., 20., 15., 16., 12., 18., 15., 16., 13., 15., 16., 11., 11.},
          at::kDouble)
          .unsqueeze(1);
  data.offsets = at::tensor({0, 107}, at::kLong);
  data.size = 1;
  data.schema.item_shape = {1};
  for (const auto& [states, expected] : {std::pair<int, double>{1, -391.9189}, {2, -341.8787}}) {
    const auto model = make_model(fmt::format("[model]\nkind = \"hmm\"\nnum_components = {}\nestimate = "
                                              "\"ml\"\nobservation = \"poisson\"\n",
                                              states),
                                  data);
    FitOptions options;
    options.epochs = 1000;
    options.tolerance = 1e-12;
    EXPECT_NEAR(fit(*model, data, options, {plugins()}).bounds.back(), expected, 5e-5) << states;  // digits as known
  }
}

// Counts of drawn paths have the expected ones as their mean: 4,000 draws, five standard errors (variances below T).
TEST(MarkovChain, DrawnCountsHaveTheExpectedMean) {
  const auto chain = make_chain("", 3, Estimate::gibbs);
  chain->set_priors();
  const Batch batch = ragged({3, 1, 6});
  const Tensor log_lik = Rng(1).normal(at::arange(10, at::kLong), {3}, "log_lik");
  const TensorMap globals = globals_of(*chain);
  const Allocation::Counts expected = chain->expect(log_lik, batch, globals);
  Tensor marginals = at::zeros({10, 3}, at::kDouble), pairs = at::zeros({3, 3}, at::kDouble);
  for (uint64_t i = 0; i < 4000; ++i) {
    const Allocation::Counts drawn = chain->draw(log_lik, batch, globals, Rng(i));
    marginals = marginals + drawn.marginals / 4000;
    pairs = pairs + drawn.sums.at("transition.t") / 4000;
  }
  EXPECT_EQ(chain->draw(log_lik, batch, globals, Rng(0)).bound.item<double>(), expected.bound.item<double>());
  EXPECT_LT(difference(marginals, expected.marginals), 5 * 0.5 / std::sqrt(4000.));
  EXPECT_LT(difference(pairs, expected.sums.at("transition.t")), 5 * 1.5 / std::sqrt(4000.));
}

}  // namespace hmm_test
}  // namespace vem
