// Chains with every observation family: missing cells against sums over all paths, sequences of any length and order,
// weights, outliers, and mixtures inside states.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/chain_reference.h"
#include "support/gaussian_reference.h"
#include "support/models.h"
#include "vem/core/error.h"

namespace vem {
namespace hmm_factors_test {

struct Emission {
  std::string name, toml;
  Sample sample;
};

const std::vector<Emission> kEmissions{
    {"full", "kind = \"normal\"\ncovariance = \"full\"\n", Sample::gap_sequences},
    {"diagonal", "kind = \"normal\"\ncovariance = \"diagonal\"\n", Sample::gap_sequences},
    {"tied", "kind = \"normal\"\ncovariance = \"tied\"\n", Sample::gap_sequences},
    {"spherical", "kind = \"normal\"\ncovariance = \"spherical\"\n", Sample::gap_sequences},
    {"factor", "kind = \"normal\"\ncovariance = \"factor\"\nrank = 1\n", Sample::gap_sequences},
    {"ppca", "kind = \"normal\"\ncovariance = \"ppca\"\nrank = 2\n", Sample::gap_sequences},
    {"bernoulli", "kind = \"bernoulli\"\n", Sample::bit_sequences},
    {"categorical", "kind = \"categorical\"\nnum_symbols = 3\n", Sample::symbol_sequences},
    {"poisson", "kind = \"poisson\"\n", Sample::count_sequences},
    {"product",
     "kind = \"product\"\nnormal_columns = \"x0,x2\"\npoisson_columns = \"x1\"\ncategorical_columns = \"x3\"\n"
     "[model.observation.normal]\nkind = \"normal\"\ncovariance = \"full\"\n[model.observation.categorical]\nkind = "
     "\"categorical\"\nnum_symbols = 3\n",
     Sample::mixed_sequences}};

std::string toml_of(const Emission& emission, const std::string& estimate, const std::string& chain = "") {
  const bool real = emission.toml.find("normal") != std::string::npos;  // only then has it a unit
  // One start: those that compete by default would be most of what these tests take.
  return std::string("[model]\nkind = \"hmm\"\nstart = \"kmeans++\"\nnum_components = 2\n") +
         (real ? "standardize = false\n" : "") + "estimate = \"" + estimate +
         "\"\nallocation = {kind = \"markov-chain\"" + chain + "}\n[model.observation]\n" + emission.toml;
}

std::shared_ptr<Model> fitted(const Emission& emission, const std::string& estimate, const Dataset& data,
                              const std::string& chain = "") {
  const auto model = make_model(toml_of(emission, estimate, chain), data);
  FitOptions options;
  options.epochs = 6;
  options.tolerance = 0;
  fit(*model, data, options, {plugins()});
  return model;
}

TensorMap outputs(const Model& model, const std::string& name) {
  const std::vector<Method> methods = model.methods();
  const Method* method = Model::find(methods, name);
  const std::vector<Tensor> values = method->call({}, Rng(0));
  TensorMap all;
  for (size_t i = 0; i < values.size(); ++i) all[method->outputs[i]] = values[i];
  return all;
}

/// log p(what is there of a row | k) [K] from the parameters that people read.
Tensor marginal_log_lik(const std::string& family, const TensorMap& parts, const std::string& prefix, const Tensor& x) {
  const Tensor there = x.isnan().logical_not().nonzero().squeeze(-1), row = x.index_select(0, there);
  const int64_t K = parts.at("weights").size(0);
  const auto part = [&](const char* name) { return parts.at(prefix + name); };
  Tensor log_p = at::zeros({K}, at::kDouble);
  if (there.numel() == 0) return log_p;
  for (int64_t k = 0; k < K; ++k) {
    Tensor sum;
    if (family == "bernoulli") {
      const Tensor p = part("probabilities")[k].index_select(0, there);
      sum = (row * p.log() + (1 - row) * (1 - p).log()).sum();
    } else if (family == "categorical") {
      const Tensor p = part("probabilities")[k].index_select(0, there);
      sum = p.gather(1, row.to(at::kLong).unsqueeze(1)).log().sum();
    } else if (family == "poisson") {
      const Tensor rate = part("rates")[k].index_select(0, there);
      sum = (row * rate.log() - rate - at::lgamma(row + 1)).sum();
    } else {
      const Tensor S = parts.count(prefix + "covariances") ? part("covariances")[k] : at::diag(part("variances")[k]);
      sum = reference_log_joint(row.unsqueeze(0), at::ones({1}, at::kDouble),
                                part("means")[k].index_select(0, there).unsqueeze(0),
                                S.index_select(0, there).index_select(1, there).unsqueeze(0))[0][0];
    }
    log_p[k] = sum;
  }
  return log_p;
}

Tensor row_log_lik(const Emission& emission, const TensorMap& parts, const Tensor& x) {
  if (emission.name != "product") return marginal_log_lik(emission.name, parts, "", x);
  return marginal_log_lik("normal", parts, "normal.", at::stack({x[0], x[2]})) +
         marginal_log_lik("poisson", parts, "poisson.", x.slice(0, 1, 2)) +
         marginal_log_lik("categorical", parts, "categorical.", x.slice(0, 3, 4));
}

// The likelihood of short sequences is the sum over all paths of products of marginal densities.
TEST(HmmFactors, GapsAreIntegratedOutOfTheSumOverPaths) {
  for (const Emission& emission : kEmissions)
    for (const std::string estimate : {"ml", "map"}) {
      const Dataset data = sample_data(emission.sample);
      const auto model = fitted(emission, estimate, data);
      const TensorMap parts = outputs(*model, "component_parameters"), chain = outputs(*model, "allocation_parameters");
      int64_t gaps = 0, checked = 0;
      for (int64_t item = 0; item < data.size && checked < 12; ++item) {
        const Batch batch = data.batch(at::tensor({item}, at::kLong), 0, at::kDouble);
        const Tensor& x = batch.at("x");
        if (x.size(0) > 5) continue;
        ++checked;
        gaps += x.isnan().sum().item<int64_t>();
        std::vector<Tensor> rows;
        for (const Tensor& row : x.unbind(0)) rows.push_back(row_log_lik(emission, parts, row));
        const Chain paths{at::stack(rows), chain.at("start").log(), chain.at("transition").log(),
                          at::tensor({int64_t{0}, x.size(0)}, at::kLong)};
        const double expected = enumerated_counts(paths).log_norm.item<double>();
        EXPECT_NEAR(model->e_step(batch, Step(), Rng(0)).bound.item<double>(), expected,
                    1e-9 * std::max(1., std::abs(expected)))
            << emission.name << estimate << item;
      }
      EXPECT_GT(gaps, 3) << emission.name;
    }
}

// For a posterior of full covariances, the local bound of a sequence with a missing cell is the log of the integral of
// exp of that of the complete sequence. Trapezoids with a step of half a standard deviation: more than 8 digits.
TEST(HmmFactors, APosteriorIntegratesTheGapsOfASequence) {
  for (const size_t family : {0, 2}) {
    const Dataset data = sample_data(kEmissions[family].sample);
    const auto model = fitted(kEmissions[family], "posterior", data);
    const Tensor x = sample_data(Sample::blobs).columns.at("x").slice(0, 0, 3).clone();
    const int64_t points = 401;
    const Tensor line = at::linspace(-60, 60, points, at::kDouble);
    for (const int64_t column : {0, 2}) {
      Tensor grid = x.unsqueeze(0).repeat({points, 1, 1});
      grid.select(1, 1).select(1, column).copy_(line);
      std::vector<double> bounds;
      for (int64_t i = 0; i < points; ++i) {
        Batch one;
        one.columns["x"] = grid[i].contiguous();
        one.offsets = at::tensor({0, 3}, at::kLong);
        one.index = at::zeros({1}, at::kLong);
        one.weight = at::ones({1}, at::kDouble);
        bounds.push_back(model->e_step(one, Step(), Rng(0)).bound.item<double>());
      }
      Batch gap;
      gap.columns["x"] = x.clone();
      gap.columns["x"][1][column] = std::nan("");
      gap.offsets = at::tensor({0, 3}, at::kLong);
      gap.index = at::zeros({1}, at::kLong);
      gap.weight = at::ones({1}, at::kDouble);
      const double integral = at::logsumexp(at::tensor(bounds, at::kDouble), 0).item<double>() + std::log(120. / 400);
      EXPECT_NEAR(model->e_step(gap, Step(), Rng(0)).bound.item<double>(), integral, 1e-7)
          << kEmissions[family].name << column;
    }
  }
}

/// The batch without columns other than x, with one row of the item replaced.
Batch with_row(const Dataset& data, int64_t item, int64_t row, const Tensor& values) {
  Batch batch = data.batch(at::tensor({item}, at::kLong), 0, at::kDouble);
  batch.columns["x"] = batch.columns["x"].clone();
  batch.columns["x"][row] = values;
  return batch;
}

// A row at 1e4 standard deviations, in the middle of a sequence, under free and left-right chains.
TEST(HmmFactors, AnOutlierNeitherRaisesNorGivesNaN) {
  for (const size_t family : {0, 1, 2, 3, 4, 5})
    for (const std::string estimate : {"ml", "map", "posterior"})
      for (const std::string chain : {"", ", topology = \"left-right\", max_step = 1, start = \"first\""}) {
        if (estimate == "posterior" && family > 3) continue;
        const Dataset data = sample_data(Sample::sequences);
        const auto model = fitted(kEmissions[family], estimate, data, chain);
        int64_t item = 0;
        while ((data.offsets[item + 1] - data.offsets[item]).item<int64_t>() < 5) ++item;
        for (const double sign : {-1., 1.}) {
          const Batch batch = with_row(data, item, 2, at::full({3}, sign * 4e4, at::kDouble));
          const Expectation e = model->e_step(batch, Step(), Rng(0));
          EXPECT_TRUE(std::isfinite(e.bound.item<double>())) << kEmissions[family].name << estimate << chain;
          EXPECT_LT(e.bound.item<double>(), -1e6);
          for (const auto& [key, value] : e.sums) EXPECT_TRUE(at::isfinite(value).all().item<bool>()) << key;
        }
      }
}

// Training on it goes on as well.
TEST(HmmFactors, AnOutlierDoesNotStopAFit) {
  Dataset data = sample_data(Sample::sequences);
  data.columns["x"] = data.columns["x"].clone();
  data.columns["x"][20] = 4e4;
  for (const size_t family : {0, 1, 2, 3, 4, 5}) {
    const auto model = make_model(toml_of(kEmissions[family], "ml"), data);
    FitOptions options;
    options.epochs = 10;
    const FitResult result = fit(*model, data, options, {plugins()});
    EXPECT_TRUE(std::isfinite(result.bounds.back())) << kEmissions[family].name;
  }
}

// ---- mixtures inside states ----

// A chain over K states with M components each is a chain over K M states with A_ij c_jm between them.
TEST(StateMixtures, IsTheChainOverAllComponents) {
  const int64_t K = 3, M = 2;
  for (const Estimate estimate : {Estimate::ml, Estimate::posterior}) {
    const auto allocation = plugins().create<Allocation>(
        chosen("allocation", "kind = \"markov-chain\"\nstate_components = 2\n"), {"", K, estimate});
    EXPECT_EQ(allocation->per_state(), M);
    allocation->set_priors();
    Expectation total;
    const Rng rng(3);
    total.sums["start.t"] = 4 * rng.uniform(at::arange(1, at::kLong), {K}, "start");
    total.sums["transition.t"] = 4 * rng.uniform(at::arange(K, at::kLong), {K}, "transition");
    total.sums["mixing.t"] = 4 * rng.uniform(at::arange(K, at::kLong), {M}, "mixing");
    TensorMap globals;
    for (const auto& block : allocation->blocks()) {
      block->m_step(total, Step(), Rng(0));
      globals.merge(block->globals());
    }
    Batch batch;
    batch.offsets = at::tensor({0, 4, 4, 5, 12}, at::kLong);
    batch.index = at::arange(4, at::kLong);
    batch.weight = rng.uniform(batch.index, {}, "weight");
    const Tensor log_lik = 2 * rng.normal(at::arange(12, at::kLong), {K * M}, "log_lik");
    const Tensor c = globals.at("mixing.t").detach();
    const auto split = [&](const Tensor& p) { return (p.unsqueeze(-1) + c).flatten(1); };
    const Chain flat{log_lik, split(globals.at("start.t").detach()),
                     split(globals.at("transition.t").detach()).repeat_interleave(M, 0), batch.offsets};
    const ChainCounts expected = forward_backward(flat, batch.weight);
    const Allocation::Counts fast = allocation->expect(log_lik, batch, globals),
                             plain = allocation->Allocation::expect(log_lik, batch, globals);
    EXPECT_NEAR(fast.bound.item<double>(), (expected.log_norm * batch.weight).sum().item<double>(), 1e-12);
    EXPECT_LT(difference(fast.marginals, expected.marginals), 1e-13);
    EXPECT_LT(difference(fast.sums.at("mixing.t"), expected.marginals.sum(0).view({K, M})), 1e-12);
    EXPECT_LT(difference(fast.sums.at("transition.t"), expected.transitions.view({K, M, K, M}).sum(3).sum(1)), 1e-12);
    EXPECT_LT(difference(fast.marginals, plain.marginals), 1e-13);
    EXPECT_LT(difference(fast.sums, plain.sums), 1e-12);
  }
}

// An impossible component takes no part; a state all of whose components are impossible leads nowhere.
TEST(StateMixtures, ImpossibleComponentsTakeNoPart) {
  const auto allocation = plugins().create<Allocation>(
      chosen("allocation", "kind = \"markov-chain\"\nstate_components = 2\n"), {"", 2, Estimate::map});
  allocation->set_priors();
  TensorMap globals;
  for (const auto& block : allocation->blocks()) globals.merge(block->globals());
  Batch batch;
  batch.offsets = at::tensor({0, 3}, at::kLong);
  batch.index = at::zeros({1}, at::kLong);
  batch.weight = at::ones({1}, at::kDouble);
  const double inf = std::numeric_limits<double>::infinity();
  const Tensor log_lik =
      at::tensor({0., 0., -inf, -inf, -inf, 0., 0., 0., 0., -inf, -1., -2.}, at::kDouble).view({3, 4});
  const Allocation::Counts counts = allocation->expect(log_lik, batch, globals);
  EXPECT_TRUE(std::isfinite(counts.bound.item<double>()));
  EXPECT_NEAR(counts.marginals.sum().item<double>(), 3, 1e-12);
  EXPECT_EQ(counts.marginals.masked_select(at::isneginf(log_lik)).sum().item<double>(), 0);
}

TEST(StateMixtures, DrawnCountsHaveTheExpectedMean) {
  const auto allocation = plugins().create<Allocation>(
      chosen("allocation", "kind = \"markov-chain\"\nstate_components = 2\n"), {"", 2, Estimate::gibbs});
  allocation->set_priors();
  TensorMap globals;
  for (const auto& block : allocation->blocks()) globals.merge(block->globals());
  Batch batch;
  batch.offsets = at::tensor({0, 3, 4}, at::kLong);
  batch.index = at::arange(2, at::kLong);
  batch.weight = at::ones({2}, at::kDouble);
  const Tensor log_lik = Rng(1).normal(at::arange(4, at::kLong), {4}, "log_lik");
  const Allocation::Counts expected = allocation->expect(log_lik, batch, globals);
  Tensor marginals = at::zeros({4, 4}, at::kDouble), mixing = at::zeros({2, 2}, at::kDouble);
  for (uint64_t i = 0; i < 2000; ++i) {
    const Allocation::Counts drawn = allocation->draw(log_lik, batch, globals, Rng(i));
    marginals = marginals + drawn.marginals / 2000;
    mixing = mixing + drawn.sums.at("mixing.t") / 2000;
  }
  EXPECT_LT(difference(marginals, expected.marginals), 5 * 0.5 / std::sqrt(2000.));
  EXPECT_LT(difference(mixing, expected.sums.at("mixing.t")), 5 * 1.0 / std::sqrt(2000.));
}

// ---- parameters for people ----

TEST(HmmFactors, DescribesStatesAndTheirDurations) {
  const Dataset data = sample_data(Sample::sequences);
  for (const std::string estimate : {"ml", "posterior"}) {
    const auto model = fitted(kEmissions[1], estimate, data, ", state_components = 2");
    const TensorMap chain = outputs(*model, "allocation_parameters");
    EXPECT_TRUE(at::allclose(chain.at("transition").sum(1), at::ones({2}, at::kDouble)));
    EXPECT_TRUE(at::allclose(chain.at("mixing").sum(1), at::ones({2}, at::kDouble)));
    EXPECT_TRUE(
        at::allclose(chain.at("duration") * (1 - chain.at("transition").diagonal()), at::ones({2}, at::kDouble)));
    // weights are the long run of the states, shared out
    const Tensor weights = outputs(*model, "component_parameters").at("weights"), states = weights.view({2, 2}).sum(1);
    EXPECT_TRUE(at::allclose(at::mv(chain.at("transition").t(), states), states, 1e-9, 1e-9));
    EXPECT_TRUE(at::allclose(weights.view({2, 2}) / states.unsqueeze(1), chain.at("mixing"), 1e-9, 1e-9));
  }
}

}  // namespace hmm_factors_test
}  // namespace vem
