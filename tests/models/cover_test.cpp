// Allocation x observation x estimate x algorithm x missing cells: what every combination promises. By default each
// choice alone and a pairwise cover, in which any two choices meet; a long test takes every combination.
#include <gtest/gtest.h>

#include <array>
#include <mutex>
#include <set>

#include "support/amortised.h"
#include "support/long_tests.h"
#include "support/models.h"
#include "support/stop_after.h"

namespace vem {
namespace cover_test {

struct Observed {
  std::string name, toml;
  Sample sample;
};

const std::vector<Observed>& observations() {
  static const std::vector<Observed> all{
      {"full", "kind = \"normal\"\n", Sample::gaps},
      {"diagonal", "kind = \"normal\"\ncovariance = \"diagonal\"\n", Sample::gaps},
      {"tied", "kind = \"normal\"\ncovariance = \"tied\"\n", Sample::gaps},
      {"spherical", "kind = \"normal\"\ncovariance = \"spherical\"\n", Sample::gaps},
      {"factor", "kind = \"normal\"\ncovariance = \"factor\"\n", Sample::gaps},
      {"ppca", "kind = \"normal\"\ncovariance = \"ppca\"\n", Sample::gaps},
      {"autoregressive", "kind = \"autoregressive\"\n", Sample::gaps},
      {"bernoulli", "kind = \"bernoulli\"\n", Sample::bits},
      {"categorical", "kind = \"categorical\"\nnum_symbols = 3\n", Sample::symbols},
      {"multinomial", "kind = \"multinomial\"\n", Sample::counts},
      {"poisson", "kind = \"poisson\"\n", Sample::counts},
      {"exponential", "kind = \"exponential\"\n", Sample::durations},
      {"product",
       "kind = \"product\"\nnormal_columns = \"x0,x2\"\npoisson_columns = \"x1\"\ncategorical_columns = \"x3\"\n"
       "[model.observation.categorical]\nkind = \"categorical\"\nnum_symbols = 3\n",
       Sample::mixed}};
  return all;
}
struct Allocated {
  std::string name, toml;
  bool chain;
};
const std::vector<Allocated> kAllocations{
    {"mixture-weights", "kind = \"mixture-weights\"", false},
    {"stick-breaking", "kind = \"stick-breaking\"", false},
    {"markov-chain", "kind = \"markov-chain\"", true},
    {"left-right", "kind = \"markov-chain\", topology = \"left-right\", start = \"first\"", true},
    {"state-mixtures", "kind = \"markov-chain\", state_components = 2", true}};
const std::vector<std::string> kEstimates{"ml", "map", "posterior", "gibbs"};
const std::vector<std::string> kAlgorithms{"batch", "chunks", "stochastic", "memoised", "squarem"};

/// Places in the lists above: allocation, observation, estimate, algorithm; and 1 where cells are missing.
using Combination = std::array<size_t, 5>;

bool sampled(const Combination& c) { return kEstimates[c[2]] == "gibbs"; }
/// What the program accepts, in words that it says where it does not: a covariance of low rank has no conjugate
/// posterior, regressions need a sequence whose rows are complete, a sampler visits all rows between two draws of the
/// parameters and needs complete rows of counts.
bool makes_sense(const Combination& c) {
  const std::string &observation = observations()[c[1]].name, &estimate = kEstimates[c[2]],
                    &algorithm = kAlgorithms[c[3]];
  if ((observation == "factor" || observation == "ppca") && estimate != "ml" && estimate != "map") return false;
  if (observation == "autoregressive" && (!kAllocations[c[0]].chain || c[4] == 1)) return false;
  if (!sampled(c)) return true;
  return (algorithm == "batch" || algorithm == "chunks") && (observation != "multinomial" || c[4] == 0);
}

std::vector<Combination> all_combinations() {
  std::vector<Combination> all;
  for (size_t a = 0; a < kAllocations.size(); ++a)
    for (size_t o = 0; o < observations().size(); ++o)
      for (size_t e = 0; e < kEstimates.size(); ++e)
        for (size_t g = 0; g < kAlgorithms.size(); ++g)
          for (size_t m = 0; m < 2; ++m)
            if (const Combination c{a, o, e, g, m}; makes_sense(c)) all.push_back(c);
  return all;
}

using Pair = std::array<size_t, 4>;  // factor, its value, another factor, its value
std::set<Pair> pairs_of(const Combination& c) {
  std::set<Pair> pairs;
  for (size_t i = 0; i < c.size(); ++i)
    for (size_t j = i + 1; j < c.size(); ++j) pairs.insert({i, c[i], j, c[j]});
  return pairs;
}

/// At most one choice is another than the first of its list; a second one where it would make no sense alone.
std::vector<Combination> each_alone() {
  const auto others = [](const Combination& c) {
    return c.size() - static_cast<size_t>(std::count(c.begin(), c.end(), size_t{0}));
  };
  std::vector<Combination> chosen;
  std::set<std::pair<size_t, size_t>> seen;
  for (const size_t most : {1, 2})
    for (const Combination& c : all_combinations()) {
      bool new_choice = false;
      for (size_t i = 0; i < c.size(); ++i) new_choice = new_choice || seen.count({i, c[i]}) == 0;
      if (!new_choice || others(c) > most) continue;
      for (size_t i = 0; i < c.size(); ++i) seen.insert({i, c[i]});
      chosen.push_back(c);
    }
  return chosen;
}

/// Each choice alone, then greedily: the combination that has most pairs which none before it has.
std::vector<Combination> pairwise_cover() {
  const std::vector<Combination> all = all_combinations();
  std::set<Pair> left;
  for (const Combination& c : all) left.merge(pairs_of(c));
  std::vector<Combination> chosen = each_alone();
  for (const Combination& c : chosen)
    for (const Pair& pair : pairs_of(c)) left.erase(pair);
  while (!left.empty()) {
    size_t most = 0;
    const Combination* best = nullptr;
    for (const Combination& c : all) {
      size_t covered = 0;
      for (const Pair& pair : pairs_of(c)) covered += left.count(pair);
      if (covered > most) most = covered, best = &c;
    }
    if (best == nullptr) break;  // never: each pair is part of some combination
    for (const Pair& pair : pairs_of(*best)) left.erase(pair);
    chosen.push_back(*best);
  }
  return chosen;
}

std::vector<Combination> combinations() { return long_tests() ? all_combinations() : pairwise_cover(); }

/// 60 rows; for a chain 12 sequences of 1 to 9 rows.
Dataset data_of(const Combination& c) {
  Dataset data = sample_data(observations()[c[1]].sample);
  Tensor& x = data.columns["x"];
  if (c[4] == 0) {  // a complete row gives its cells
    const Tensor whole = x.index({x.isnan().any(1).logical_not()});
    x = at::where(x.isnan(), whole.index_select(0, at::arange(60, at::kLong).remainder(whole.size(0))), x);
  }
  // Two columns: with four, a state of three rows has a singular regression, which amplifies rounding 1e11 times.
  if (observations()[c[1]].name == "autoregressive") {
    x = x.slice(1, 0, 2).contiguous();
    data.schema.item_shape = {2};
    data.schema.feature_names.resize(std::min<size_t>(data.schema.feature_names.size(), 2));
  }
  if (!kAllocations[c[0]].chain) return data;
  data.size = 12;
  data.offsets = at::tensor({0, 1, 3, 6, 10, 15, 21, 28, 36, 45, 50, 55, 60}, at::kLong);
  return data;
}

class Every : public testing::TestWithParam<Combination> {
 protected:
  void SetUp() override { data_ = data_of(GetParam()); }
  std::shared_ptr<Model> model() const {
    const Combination& c = GetParam();
    return make_model(
        fmt::format(
            "[model]\nkind = \"mixture\"\nnum_components = 3\nstart = \"random\"\nestimate = \"{}\"\nallocation "
            "= {{{}}}\n[model.observation]\n{}",
            kEstimates[c[2]], kAllocations[c[0]].toml, observations()[c[1]].toml),
        data_);
  }
  FitOptions options(int64_t epochs) const {
    const std::string& algorithm = kAlgorithms[GetParam()[3]];
    FitOptions o;
    o.epochs = epochs;
    o.tolerance = 0;
    o.seed = 3;
    if (algorithm != "batch" && algorithm != "squarem") o.batch_size = data_.size / 3;
    if (algorithm == "chunks") o.update_every = 0;
    o.memoised = algorithm == "memoised";
    if (algorithm == "squarem") o.acceleration = FitOptions::Acceleration::squarem;
    return o;
  }
  bool exact() const { return kAlgorithms[GetParam()[3]] != "stochastic" && !sampled(GetParam()); }
  Batch batch(const Tensor& positions) const { return data_.batch(positions, 0, at::kDouble); }

  Dataset data_;
};

TEST_P(Every, BoundsAreFiniteAndExactOnesNeverFall) {
  const auto m = model();
  const FitOptions o = options(12);
  const FitResult result = fit(*m, data_, o, {plugins()});
  const std::vector<double>& bounds = o.memoised ? result.after : result.bounds;
  ASSERT_GE(bounds.size(), 8u);
  for (size_t i = 1; i < bounds.size(); ++i) {
    EXPECT_TRUE(std::isfinite(bounds[i]));
    const double least = exact() ? -1e-9 * std::abs(bounds[i]) : -std::numeric_limits<double>::infinity();
    EXPECT_GE(bounds[i] - bounds[i - 1], least) << i;
  }
  for (const auto& [key, value] : m->state()) EXPECT_FALSE(value.isnan().any().item<bool>()) << key;
}

TEST_P(Every, SumsAddUpInAnyOrderAndWeightsAreRepetitions) {
  const auto m = model();
  fit(*m, data_, options(3), {plugins()});
  const int64_t n = data_.size;
  const auto expect = [&](const Batch& b) { return m->e_step(b, Step(), Rng(1)); };
  const auto near = [&](const Expectation& a, const Expectation& b, const char* what) {
    EXPECT_NEAR(a.bound.item<double>(), b.bound.item<double>(), 1e-10 * std::abs(a.bound.item<double>())) << what;
    for (const auto& [key, value] : a.sums)
      EXPECT_LE(difference(value, b.sums.at(key)), 1e-10 * std::max(1., value.abs().max().item<double>()))
          << what << key;
  };
  const Expectation whole = expect(batch(at::arange(n, at::kLong)));
  Expectation parts = expect(batch(at::arange(0, n / 3, at::kLong)));
  parts += expect(batch(at::arange(n / 3, n / 3, at::kLong)));
  parts += expect(batch(at::arange(n / 3, n, at::kLong)));
  near(whole, parts, "split ");
  near(whole, expect(batch(Rng(4).permutation(n))), "permuted ");
  if (sampled(GetParam())) return;  // a draw has no weight but 1
  const Tensor times = at::arange(n, at::kLong).remainder(3);
  Batch weighted = batch(at::arange(n, at::kLong));
  weighted.weight = times.to(at::kDouble);
  near(expect(weighted), expect(batch(at::repeat_interleave(times))), "weighted ");
}

TEST_P(Every, RanksAgree) {
  const auto alone = model();
  const FitResult reference = fit(*alone, data_, options(3), {plugins()});
  std::mutex mutex;
  run_ranks(2, [&](Communicator& communicator) {
    const auto m = model();
    const FitResult ours = fit(*m, data_, options(3), {plugins(), nullptr, &communicator});
    const std::lock_guard<std::mutex> lock(mutex);
    ASSERT_EQ(ours.bounds.size(), reference.bounds.size());
    for (size_t i = 0; i < ours.bounds.size(); ++i)
      EXPECT_NEAR(ours.bounds[i], reference.bounds[i], 1e-8 * std::abs(reference.bounds[i]));
  });
}

TEST_P(Every, AResumeIsBitwise) {
  const auto whole = model(), half = model(), rest = model();
  const FitOptions o = options(5);
  const FitResult uninterrupted = fit(*whole, data_, o, {plugins()});
  StopAfter stop(2);
  fit(*half, data_, o, {plugins(), nullptr, nullptr, {&stop}});
  rest->load(stop.state());
  const TensorMap resume = stop.state();
  const FitResult second = fit(*rest, data_, o, {plugins(), nullptr, nullptr, {}, &resume});
  EXPECT_EQ(difference(rest->state(), whole->state()), 0);
  EXPECT_EQ(difference(second.state, uninterrupted.state), 0);
}

std::string name_of(const testing::TestParamInfo<Combination>& info) {
  const Combination& c = info.param;
  std::string name = kAllocations[c[0]].name + "_" + observations()[c[1]].name + "_" + kEstimates[c[2]] + "_" +
                     kAlgorithms[c[3]] + (c[4] ? "_gaps" : "");
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Combination, Every, testing::ValuesIn(combinations()), name_of);

}  // namespace cover_test
}  // namespace vem
