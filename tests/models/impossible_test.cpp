// What has probability 0: likelihoods of -infinity, no responsibilities, the same numbers by every way to them.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/export_check.h"
#include "support/gaussian_reference.h"
#include "support/models.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"

namespace vem {
namespace impossible_test {

Tensor numbers(const std::vector<double>& values, const Shape& shape) {
  return at::tensor(values, at::kDouble).view(shape);
}

Dataset rows_of(const Tensor& x) {
  Dataset data;
  data.schema.item_shape = {x.size(1)};
  data.columns["x"] = x;
  data.size = x.size(0);
  return data;
}
/// One sequence a number of rows.
Dataset sequences_of(const Tensor& x, const std::vector<int64_t>& offsets) {
  Dataset data = rows_of(x);
  data.offsets = at::tensor(offsets, at::kLong);
  data.size = static_cast<int64_t>(offsets.size()) - 1;
  return data;
}

std::shared_ptr<Model> fitted(const std::string& toml, const Dataset& data, int64_t batch_size = 0) {
  const auto model = make_model("[model]\n" + toml, data);
  FitOptions options;
  options.epochs = 20;
  options.batch_size = batch_size;
  options.update_every = batch_size > 0 ? 1 : 0;
  fit(*model, data, options, {plugins()});
  return model;
}

Tensor call(const Model& model, const std::string& name, const std::vector<Tensor>& in) {
  const auto methods = model.methods();
  return Model::find(methods, name)->call(in, Rng(0))[0];
}

// Columns (1, 0), (1, 1), (1, 0), (1, 1): probabilities 1 and 1/2 by maximum likelihood.
TEST(Impossible, ARowThatWasNeverSeenHasProbabilityZero) {
  const Dataset data = rows_of(numbers({1, 0, 1, 1, 1, 0, 1, 1}, {4, 2}));
  const Tensor x = numbers({0, 0, 1, 1, 1, std::nan(""), std::nan(""), 0}, {4, 2}), half = numbers({.5}, {}).log();
  for (const std::string estimate : {"ml", "map"}) {
    const auto model = fitted(
        "kind = \"mixture\"\nnum_components = 1\nobservation = \"bernoulli\"\nestimate = \"" + estimate + "\"\n", data);
    const Tensor expected = at::stack({at::full({}, -kInfinity, at::kDouble), half, at::zeros({}, at::kDouble), half});
    EXPECT_TRUE(at::allclose(call(*model, "log_prob", {x}), expected, 1e-14, 1e-14));
    EXPECT_EQ(evaluate(*model, rows_of(x), 0, 0).bound.item<double>(), -kInfinity);
    const Tensor r = call(*model, "responsibilities", {x});
    EXPECT_TRUE(at::equal(r.isnan().view({-1}), at::tensor({1, 0, 0, 0}, at::kLong).to(at::kBool)));
    EXPECT_TRUE(at::equal(call(*model, "predict", {x}), at::tensor({-1, 0, 0, 0}, at::kLong)));
    const Tensor filled = call(*model, "impute", {x});
    EXPECT_NEAR(filled[2][1].item<double>(), .5, 1e-14);
    EXPECT_NEAR(filled[3][0].item<double>(), 1, 1e-14);
  }
}

// Two components that have seen different halves: a row of both halves is impossible, and a row that is rare in the
// first and impossible in the second belongs to the first, however rare it is.
TEST(Impossible, ARarePossibilityBeatsAnImpossibleOne) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const auto observation = make_observation("", {3, type, Estimate::ml, 2}, "multinomial");
    Expectation total;
    total.sums["components.t"] = numbers({1e4, 1, 0, 0, 1, 1e4}, {2, 3});
    observation->blocks()[0]->m_step(total, Step(), Rng(0));
    const Tensor t = observation->point(), x = numbers({0, 500, 1, 3, 500, 0, 1, 0, 1, 0, 7, 0}, {4, 3});
    const auto kernel = observation->kernel(t);
    const Tensor log_lik = kernel->log_lik(kernel->features(x)).to(at::kDouble), exact = observation->log_prob(x, t);
    EXPECT_TRUE(
        at::equal(exact.eq(-kInfinity), at::tensor({1, 0, 0, 1, 1, 1, 0, 0}, at::kLong).view({4, 2}).to(at::kBool)));
    EXPECT_TRUE(at::equal(log_lik.eq(-kInfinity), exact.eq(-kInfinity)));
    const Tensor possible = exact.ne(-kInfinity);
    EXPECT_TRUE(at::allclose(log_lik.masked_select(possible), exact.masked_select(possible), 1e-6, 1e-6));
    EXPECT_LT(exact[0][1].item<double>(), -4000);  // far below the log of the smallest double
  }
}

// A cell that no component ever counted; and of missing cells only.
TEST(Impossible, EveryFamilyAndItsIncompleteKernelAgree) {
  const double gap = std::nan("");
  for (const auto& [name, toml] : std::vector<std::pair<std::string, std::string>>{
           {"bernoulli", ""}, {"categorical", "num_symbols = 3\n"}, {"multinomial", ""}, {"poisson", ""}}) {
    const auto observation = make_observation(toml, {2, at::kDouble, Estimate::ml, 2}, name);
    const Tensor seen = numbers({0, 1, 0, 1, 0, 0}, {3, 2}),
                 x = numbers({0, 1, 1, 1, 1, gap, gap, 1, gap, gap}, {5, 2});
    Expectation total;
    total.sums =
        observation->spread(observation->sums(observation->statistics(seen), numbers({.2, .8, .7, .3, 0, 1}, {3, 2})));
    observation->blocks()[0]->m_step(total, Step(), Rng(0));
    const Tensor t = observation->point(), exact = observation->log_prob(x, t);
    EXPECT_FALSE(exact.isnan().any().item<bool>()) << name;
    EXPECT_TRUE(at::equal(exact.select(1, 0).eq(-kInfinity), at::tensor({0, 1, 1, 0, 0}, at::kLong).to(at::kBool)))
        << name << exact;
    auto kernel = observation->incomplete_kernel(t);
    if (!kernel) kernel = observation->kernel(t);
    const Tensor features = kernel->features(x);
    EXPECT_TRUE(at::equal(kernel->log_lik(features), exact)) << name;
    const Tensor r = at::where(exact.eq(-kInfinity), at::zeros_like(exact), at::full_like(exact, 0.5));
    EXPECT_TRUE(kernel->sums(features, r).isfinite().all().item<bool>()) << name;
  }
}

// Stochastic EM begins with whole steps, so its first batch gives probability 0 to what only later ones hold.
TEST(Impossible, StochasticEmLearnsWhatIsNew) {
  std::vector<double> symbols;
  for (int i = 0; i < 30; ++i) symbols.push_back(i < 10 ? 0 : i < 20 ? 1 : 2);
  const Dataset data = rows_of(numbers(symbols, {30, 1}));
  const std::string toml =
      "kind = \"mixture\"\nnum_components = 2\nestimate = \"ml\"\nobservation = {kind = \"categorical\", num_symbols = "
      "4}\n";
  const auto model = make_model("[model]\n" + toml, data);
  FitOptions options;
  options.epochs = 3;
  options.batch_size = 10;
  options.shuffle = false;
  fit(*model, data, options, {plugins()});
  const Tensor log_p = call(*model, "log_prob", {numbers({0, 1, 2, 3}, {4, 1})});
  EXPECT_TRUE(log_p.slice(0, 0, 3).isfinite().all().item<bool>()) << log_p;
  EXPECT_EQ(log_p[3].item<double>(), -kInfinity);
  EXPECT_NEAR(log_p.exp().sum().item<double>(), 1, 1e-12);
}

// Two states by symbols 0 to 2 and 3 to 5 in blocks; then a sequence with a symbol that none of them has.
Dataset two_blocks() {
  std::vector<double> x;
  for (int i = 0; i < 40; ++i) x.push_back((i / 5 % 2 == 0 ? 0 : 3) + i % 3);
  return sequences_of(numbers(x, {40, 1}), {0, 20, 40});
}
const std::string kChain =
    "kind = \"hmm\"\nnum_components = 2\nestimate = \"ml\"\nobservation = {kind = \"categorical\", num_symbols = 7}\n"
    "start = \"segments\"\n";

TEST(Impossible, OfAChainTheSequenceAndItsFirstStepAreNamed) {
  const auto model = fitted(kChain, two_blocks());
  const Tensor x = numbers({0, 1, 6, 0, 1, 0, 1, 0}, {8, 1}), offsets = at::tensor({0, 5, 8}, at::kLong);
  const Tensor log_p = call(*model, "log_prob", {x, offsets}), filtered = call(*model, "filter", {x, offsets});
  EXPECT_EQ(log_p[0].item<double>(), -kInfinity);
  EXPECT_TRUE(std::isfinite(log_p[1].item<double>()));
  const Tensor from_step_two = at::tensor({0, 0, 1, 1, 1, 0, 0, 0}, at::kLong).to(at::kBool);
  EXPECT_TRUE(at::equal(filtered.isnan().any(1), from_step_two));
  EXPECT_TRUE(at::equal(call(*model, "predict", {x, offsets}).lt(0), from_step_two));
  const Tensor r = call(*model, "responsibilities", {x, offsets});
  EXPECT_TRUE(r.slice(0, 0, 5).isnan().all().item<bool>());
  EXPECT_TRUE(at::allclose(r.slice(0, 5).sum(1), at::ones({3}, at::kDouble)));
  EXPECT_EQ(evaluate(*model, sequences_of(x, {0, 5, 8}), 0, 0).bound.item<double>(), -kInfinity);
}

TEST(Impossible, ExportsSayTheSame) {
  const Dataset rows = rows_of(numbers({1, 0, 1, 1, 1, 0, 1, 1}, {4, 2}));
  const auto bits =
      fitted("kind = \"mixture\"\nnum_components = 2\nobservation = \"bernoulli\"\nestimate = \"ml\"\n", rows);
  const Tensor x = numbers({0, 0, 1, 1, 1, 0}, {3, 2});
  const Tensor symbols = numbers({0, 1, 6, 0, 1, 0, 1, 0}, {8, 1}), offsets = at::tensor({0, 5, 8}, at::kLong);
  expect_exports_match(
      {{"bits", bits, {{"x", x}}}, {"chain", fitted(kChain, two_blocks()), {{"x", symbols}, {"offsets", offsets}}}});
}

}  // namespace impossible_test
}  // namespace vem
