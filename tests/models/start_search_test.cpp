// Starts that compete by default: chains of symbols, chains whose states have an order, data with nothing to find.
#include <gtest/gtest.h>

#include "../models/factored/model.h"
#include "support/amortised.h"
#include "support/models.h"
#include "vem/core/error.h"

namespace vem {
namespace start_search_test {

/// `items` sequences of equal length with the states that they came from as labels.
Dataset sequences(const Tensor& x, const Tensor& states, int64_t items) {
  Dataset data;
  data.columns = {{"x", x.to(at::kDouble).unsqueeze(1)}, {"label", states}};
  data.schema.item_shape = {1};
  data.schema.num_classes = states.max().item<int64_t>() + 1;
  data.offsets = at::arange(items + 1, at::kLong) * (x.size(0) / items);
  data.size = items;
  return data;
}

/// Throws of a die that is loaded now and then, so that half of them are sixes (Durbin, Eddy, Krogh and Mitchison 1998,
/// section 3.2).
Dataset casino() {
  const int64_t items = 12, length = 250, n = items * length;
  const Tensor u = Rng(3).uniform(at::arange(n, at::kLong), {2}, "throw"), states = at::zeros({n}, at::kLong);
  for (int64_t i = 1; i < n; ++i) {
    const bool loaded = states[i - 1].item<int64_t>() == 1;
    const bool changes = u[i][0].item<double>() < (loaded ? 0.1 : 0.05);
    states[i] = i % length == 0 ? 0 : (loaded != changes ? 1 : 0);
  }
  const Tensor v = u.select(1, 1), fair = (6 * v).floor(), loaded = at::where(v < 0.5, (10 * v).floor(), 5);
  return sequences(at::where(states.eq(1), loaded, fair), states, items);
}

double fitted_bound(Model& model, const Dataset& data, int64_t epochs = 200) {
  FitOptions options;
  options.epochs = epochs;
  options.tolerance = 1e-7;
  return fit(model, data, options, {plugins()}).bounds.back();
}

std::map<std::string, std::string> notes_of(const Model& model) {
  return dynamic_cast<const FactoredModel&>(model).notes();
}

std::string hmm(const std::string& options, const std::string& observation) {
  return "[model]\nkind = \"hmm\"\n" + options + "[model.observation]\n" + observation;
}

const std::string kDie = "kind = \"categorical\"\nnum_symbols = 6\n";

// Clusters of symbols end where each state excludes some of them, no better than independent throws.
TEST(StartSearch, AChainOfSymbolsIsFitAsWellAsFromItsTrueStates) {
  const Dataset data = casino();
  const auto found = make_model(hmm("estimate = \"ml\"\n", kDie), data);
  const auto known = make_model(hmm("estimate = \"ml\"\nstart = \"labels\"\n", kDie), data);
  const auto clusters = make_model(hmm("estimate = \"ml\"\nstart = \"kmeans++\"\n", kDie), data);
  const double bound = fitted_bound(*found, data), best = fitted_bound(*known, data, 400);
  EXPECT_GT(bound, best - 0.5);
  EXPECT_EQ(notes_of(*found).at("start").substr(0, 8), "segments");
  const double one = std::stod(notes_of(*found).at("one component")) * static_cast<double>(data.size);
  EXPECT_GT(bound, one + 20);
  EXPECT_LT(fitted_bound(*clusters, data), one);  // so that the run says so
}

// Levels that do not rise with time, so that the numbers of clusters say nothing of their order.
TEST(StartSearch, StatesOfALeftRightChainFollowTheSequence) {
  const int64_t items = 6, length = 24;
  const Tensor place = at::arange(items * length, at::kLong).remainder(length);
  const Tensor states = (place >= 3).to(at::kLong) + (place >= 9).to(at::kLong) + (place >= 20).to(at::kLong);
  const Tensor level = at::tensor({4., 0., 9., 2.}, at::kDouble).index_select(0, states);
  const Dataset data =
      sequences(level + 0.5 * Rng(2).normal(at::arange(items * length, at::kLong), {}, "x"), states, items);
  for (const std::string estimate : {"ml", "posterior"}) {
    const std::string options = "num_components = 4\nestimate = \"" + estimate +
                                "\"\nallocation = {kind = \"markov-chain\", topology = \"left-right\"}\n";
    const auto found = make_model(hmm(options, "kind = \"normal\"\n"), data);
    const auto known = make_model(hmm(options + "start = \"labels\"\n", "kind = \"normal\"\n"), data);
    EXPECT_NEAR(fitted_bound(*found, data), fitted_bound(*known, data), 1e-3) << estimate;
    const auto methods = found->methods();
    const Tensor path = Model::find(methods, "predict")->call({data.columns.at("x"), data.offsets}, Rng(0))[0];
    EXPECT_TRUE(at::equal(path, states)) << estimate;
  }
}

// Cut into equal parts: 0 0 1 1 2 of five rows, 0 2 of two, nothing of none.
TEST(StartSearch, OrderedCutsEachSequence) {
  const auto model =
      make_model(hmm("num_components = 3\nestimate = \"ml\"\nstart = \"ordered\"\n", "kind = \"poisson\"\n"),
                 sequences(at::zeros({1}), at::zeros({1}, at::kLong), 1));
  Dataset data = sequences(at::tensor({1, 3, 10, 20, 100, 5, 50}), at::zeros({7}, at::kLong), 1);
  data.offsets = at::tensor({0, 5, 5, 7}, at::kLong);
  data.size = 3;
  model->initialize(data, Rng(0));
  const auto methods = model->methods();
  const Tensor rates = Model::find(methods, "component_parameters")->call({}, Rng(0))[1].view({-1});
  // rows 1, 3, 5 in state 0; 10, 20, 50 (the second of two: place 3 / 2) in state 1; 100 in state 2
  EXPECT_TRUE(at::allclose(rates, at::tensor({3., 80. / 3, 100.}, at::kDouble))) << rates;
}

TEST(StartSearch, OneSymbolIsNoReasonToRefuse) {
  const Dataset data = sequences(at::zeros({40}), at::zeros({40}, at::kLong), 4);
  const auto model = make_model(hmm("estimate = \"ml\"\n", kDie), data);
  EXPECT_NEAR(fitted_bound(*model, data), 0, 1e-12);
  const auto normal = make_model(hmm("", "kind = \"normal\"\n"), data);  // clusters fail, other kinds do not
  EXPECT_TRUE(std::isfinite(fitted_bound(*normal, data)));
}

// Many rows get one start of one kind, which costs no pass.
TEST(StartSearch, ManyRowsAreNotSearched) {
  const int64_t n = 40000;
  const Tensor x = at::arange(n, at::kLong).remainder(6);
  const auto model = make_model(hmm("estimate = \"ml\"\n", kDie), sequences(x, x, 4));
  model->initialize(sequences(x, x, 4), Rng(0));
  EXPECT_EQ(notes_of(*model), (std::map<std::string, std::string>{{"start", "segments"}}));
}

// Of one component the bound is that of independent rows, in closed form: Poisson counts by maximum likelihood, less
// one nat for each of the four parameters that a second state adds.
TEST(StartSearch, WhatOneComponentIsWorth) {
  const Tensor counts = at::tensor({3, 5, 4, 0, 7, 6, 3, 4, 5, 2, 4, 5}, at::kDouble);
  const Dataset data = sequences(counts, at::zeros({12}, at::kLong), 2);
  const auto model = make_model(hmm("estimate = \"ml\"\n", "kind = \"poisson\"\n"), data);
  const double bound = fitted_bound(*model, data), one = std::stod(notes_of(*model).at("one component")) * 2;
  const Tensor rate = counts.mean();
  const double expected = (counts * rate.log() - rate - at::lgamma(counts + 1)).sum().item<double>();
  EXPECT_NEAR(one, expected + 4, 1e-9);
  EXPECT_LT(bound, one);
  EXPECT_GE(bound, expected - 1e-9);
}

}  // namespace start_search_test
}  // namespace vem
