// The promises that every listed model keeps, over a table of variants, in float64 and float32.
#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "support/amortised.h"
#include "support/models.h"
#include "support/stop_after.h"

namespace vem {
namespace table_test {

struct Case {
  Variant variant;
  bool exact;  // float64
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Variant& v : variants("float64")) all.push_back({v, true});
  for (const Variant& v : variants("float32")) all.push_back({v, false});
  return all;
}

class EveryModel : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    data_ = sample_data(GetParam().variant.sample);
    model_ = make_model(GetParam().variant.toml, data_);
  }
  Batch batch(const Tensor& positions) const { return data_.batch(positions, 0, model_->dtype()); }
  Batch all() const { return batch(at::arange(data_.size, at::kLong)); }
  Step step() const {
    Step s;
    s.total_weight = static_cast<double>(data_.size);
    for (const auto& [name, schedule] : model_->schedules()) s.weights[name] = schedule->at(s);
    return s;
  }
  /// float64: rounding of sums of 60 items; float32: the same in single precision, relative to the size of the numbers.
  double tolerance(const Tensor& like, double exact = 1e-10) const {
    const double size = std::max(1.0, like.numel() ? like.detach().abs().max().item<double>() : 0.0);
    return (GetParam().exact ? exact : 1e-5) * size;
  }
  bool closed_form() const { return GetParam().variant.closed_form; }
  FitOptions options(int64_t epochs, int64_t batch_size) const {
    FitOptions o;
    o.epochs = epochs;
    o.batch_size = batch_size;
    o.tolerance = 0;
    o.seed = 5;
    return o;
  }

  Dataset data_;
  std::shared_ptr<Model> model_;
};

// (1) sums over any split equal the whole, an empty part included
TEST_P(EveryModel, SplitsAddUp) {
  if (!GetParam().variant.additive) GTEST_SKIP() << "its objective is not a sum over items";
  model_->initialize(data_, Rng(3));
  Expectation whole = model_->e_step(all(), step(), Rng(1)), parts;
  whole.local.clear();
  for (const auto& [from, to] : {std::pair<int64_t, int64_t>{0, 7}, {7, 7}, {7, 40}, {40, 60}}) {
    Expectation part = model_->e_step(batch(at::arange(from, to, at::kLong)), step(), Rng(1));
    part.local.clear();
    parts += part;
  }
  EXPECT_EQ(whole.count.item<double>(), 60);
  EXPECT_NEAR(parts.bound.item<double>(), whole.bound.item<double>(), tolerance(whole.bound));
  ASSERT_EQ(parts.sums.size(), whole.sums.size());
  for (const auto& [key, value] : whole.sums) EXPECT_LE(difference(value, parts.sums.at(key)), tolerance(value)) << key;
  for (const auto& [key, value] : whole.metrics)
    EXPECT_LE(difference(value, parts.metrics.at(key)), tolerance(value)) << key;
  EXPECT_EQ(whole.sums.size(), model_->globals().size());
}

// (2) an E-step leaves the state bitwise as it was, and is a pure function
TEST_P(EveryModel, AnEStepChangesNothing) {
  model_->initialize(data_, Rng(3));
  const TensorMap before = copy(model_->state());
  const Expectation first = model_->e_step(all(), step(), Rng(1)), second = model_->e_step(all(), step(), Rng(1));
  EXPECT_EQ(difference(model_->state(), before), 0);
  EXPECT_EQ(difference(first.bound, second.bound), 0);
  EXPECT_EQ(difference(first.sums, second.sums), 0);
  for (const auto& [key, value] : first.sums) EXPECT_FALSE(value.requires_grad()) << key;
}

// (3) a full-batch closed-form bound never falls; nor does a memoised one
TEST_P(EveryModel, AnExactBoundNeverFalls) {
  if (!closed_form()) GTEST_SKIP() << "only closed-form models have an exact bound";
  for (const bool memoised : {false, true}) {
    const auto model = make_model(GetParam().variant.toml, data_);
    FitOptions o = options(25, memoised ? 16 : 0);
    o.memoised = memoised;
    const FitResult result = fit(*model, data_, o, {plugins()});
    const std::vector<double>& bounds = memoised ? result.after : result.bounds;
    ASSERT_GE(bounds.size(), 25u);
    double smallest = std::numeric_limits<double>::infinity();
    for (size_t i = 1; i < bounds.size(); ++i) smallest = std::min(smallest, bounds[i] - bounds[i - 1]);
    EXPECT_GE(smallest, -(GetParam().exact ? 1e-9 : 1e-5) * std::abs(bounds.back()))
        << (memoised ? "memoised" : "full");
    EXPECT_GT(bounds.back(), bounds.front());
  }
}

// (4) 1, 2 and 3 ranks give the same bounds
TEST_P(EveryModel, RanksAgree) {
  if (!GetParam().variant.additive) GTEST_SKIP() << "its objective is not a sum over items";
  if (!GetParam().exact) GTEST_SKIP() << "checked in float64";
  FitOptions o = options(3, 16);
  FitOptions memoised = o;
  memoised.memoised = true;
  for (const FitOptions& regime :
       closed_form() ? std::vector<FitOptions>{o, options(3, 0), memoised} : std::vector<FitOptions>{o}) {
    const auto reference = make_model(GetParam().variant.toml, data_);
    const FitResult alone = fit(*reference, data_, regime, {plugins()});
    for (const int64_t size : {2, 3}) {
      std::mutex mutex;
      run_ranks(size, [&](Communicator& communicator) {
        const auto model = make_model(GetParam().variant.toml, data_);
        const FitResult ours = fit(*model, data_, regime, {plugins(), nullptr, &communicator});
        const std::lock_guard<std::mutex> lock(mutex);
        ASSERT_EQ(ours.bounds.size(), alone.bounds.size());
        for (size_t i = 0; i < ours.bounds.size(); ++i)
          EXPECT_NEAR(ours.bounds[i], alone.bounds[i], 1e-8 * std::abs(alone.bounds[i]));
        for (size_t i = 0; i < ours.after.size(); ++i)
          EXPECT_NEAR(ours.after[i], alone.after[i], 1e-8 * std::abs(alone.after[i]));
      });
    }
  }
}

// (5) stopped and resumed equals never stopped, bit for bit
TEST_P(EveryModel, AResumeIsBitwise) {
  std::vector<FitOptions> regimes{options(4, 16)};
  regimes.push_back(options(4, 16));
  regimes.back().update_every = 2;
  if (closed_form()) {
    regimes.push_back(options(8, 0));
    regimes.push_back(options(4, 16));
    regimes.back().memoised = true;
  }
  for (const FitOptions& o : regimes) {
    const auto whole = make_model(GetParam().variant.toml, data_), half = make_model(GetParam().variant.toml, data_),
               rest = make_model(GetParam().variant.toml, data_);
    const FitResult uninterrupted = fit(*whole, data_, o, {plugins()});
    StopAfter stop(3);  // in the middle of an epoch
    const FitResult first = fit(*half, data_, o, {plugins(), nullptr, nullptr, {&stop}});
    EXPECT_TRUE(first.interrupted);
    rest->load(stop.state());
    const TensorMap resume = stop.state();
    const FitResult second = fit(*rest, data_, o, {plugins(), nullptr, nullptr, {}, &resume});
    EXPECT_EQ(difference(rest->state(), whole->state()), 0);
    EXPECT_EQ(difference(second.state, uninterrupted.state), 0);
  }
}

// (13) the sums are the gradient of the bound, by central differences along random directions
TEST_P(EveryModel, SumsAreTheGradientOfTheBound) {
  const std::string& name = GetParam().variant.name;
  if (!GetParam().exact) GTEST_SKIP() << "finite differences need float64";
  static const std::set<std::string> own{"graph_bottom_up",
                                         "graph_chain_gaps_dreg",
                                         "graph_full_semi",
                                         "graph_ladder",
                                         "graph_ladder_local",
                                         "graph_mixture_above",
                                         "vae_beta",
                                         "vae_capacity",
                                         "vae_categorical_iwae_score_function",
                                         "vae_categorical_iwae_straight_through",
                                         "vae_categorical_local",
                                         "vae_categorical_score_function",
                                         "vae_categorical_straight_through",
                                         "vae_dreg",
                                         "vae_free_bits",
                                         "vae_local",
                                         "vae_pooled",
                                         "vae_semi_amortized",
                                         "vae_sequences_local",
                                         "vae_sticking"};
  if (own.count(name) || !GetParam().variant.additive)
    GTEST_SKIP() << "its sums are the gradient of a bent bound, of the bound at a refined q, or of a bound on average: "
                    "tested on its own";
  model_->initialize(data_, Rng(3));
  const Expectation e = model_->e_step(all(), step(), Rng(1));
  for (const auto& entry : model_->globals()) {
    const std::string& key = entry.first;
    const Tensor& leaf = entry.second;
    const Tensor direction = Rng(9).normal(at::arange(leaf.numel(), at::kLong), {}, key).view(leaf.sizes());
    const Tensor start = leaf.detach().clone();
    const double h = 1e-5;
    const auto bound_at = [&](double by) {
      leaf.detach().copy_(start + by * direction);
      const double bound = model_->e_step(all(), step(), Rng(1)).bound.item<double>();
      leaf.detach().copy_(start);
      return bound;
    };
    const double numeric = (bound_at(h) - bound_at(-h)) / (2 * h),
                 analytic = (e.sums.at(key) * direction).sum().item<double>();
    // central differences: h^2 times third derivatives, and 1e-16 * |bound| / h of rounding
    EXPECT_NEAR(analytic, numeric,
                1e-6 * std::max(1.0, std::abs(analytic)) + 1e-10 * std::abs(e.bound.item<double>()) / h * 1e-3)
        << key;
  }
}

// (10) the order of the data changes nothing
TEST_P(EveryModel, PermutingTheDataChangesNothing) {
  model_->initialize(data_, Rng(3));
  const Tensor order = Rng(4).permutation(data_.size);
  const Expectation a = model_->e_step(all(), step(), Rng(1)), b = model_->e_step(batch(order), step(), Rng(1));
  EXPECT_NEAR(a.bound.item<double>(), b.bound.item<double>(), tolerance(a.bound));
  for (const auto& [key, value] : a.sums) EXPECT_LE(difference(value, b.sums.at(key)), tolerance(value)) << key;
}

// (10) integer weights equal repeated rows (repeated rows share their identity, hence their noise)
TEST_P(EveryModel, WeightsAreRepetitions) {
  model_->initialize(data_, Rng(3));
  const Tensor times = at::arange(data_.size, at::kLong).remainder(3);
  Batch weighted = all();
  weighted.weight = times.to(at::kDouble);
  const Expectation a = model_->e_step(weighted, step(), Rng(1));
  const Expectation b = model_->e_step(batch(at::repeat_interleave(times)), step(), Rng(1));
  EXPECT_EQ(a.count.item<double>(), b.count.item<double>());
  EXPECT_NEAR(a.bound.item<double>(), b.bound.item<double>(), tolerance(a.bound));
  for (const auto& [key, value] : a.sums) EXPECT_LE(difference(value, b.sums.at(key)), tolerance(value)) << key;
}

// training on one loop raises the bound of every model
TEST_P(EveryModel, FittingRaisesTheBound) {
  const bool gradient = !closed_form();
  const FitResult result = fit(*model_, data_, options(gradient ? 40 : 10, gradient ? 20 : 0), {plugins()});
  EXPECT_GT(result.bounds.back(), result.bounds.front());
  EXPECT_TRUE(std::isfinite(result.bounds.back()));
}

// a state loads into a model that was never initialised, and only as a whole
TEST_P(EveryModel, StateMovesToAFreshModel) {
  fit(*model_, data_, options(2, 20), {plugins()});
  const auto fresh = make_model(GetParam().variant.toml, data_);
  TensorMap state = copy(model_->state());
  fresh->load(state);
  EXPECT_EQ(difference(fresh->state(), model_->state()), 0);
  const Expectation a = evaluate(*model_, data_, 0, 1), b = evaluate(*fresh, data_, 0, 1);
  EXPECT_EQ(a.bound.item<double>(), b.bound.item<double>());
  const TensorMap before = copy(fresh->state());
  state.erase(std::prev(state.end()));
  for (auto& entry : state) entry.second = entry.second * 0;
  EXPECT_THROW(fresh->load(state), DataError);
  EXPECT_EQ(difference(fresh->state(), before), 0);
}

INSTANTIATE_TEST_SUITE_P(Table, EveryModel, testing::ValuesIn(cases()), [](const auto& info) {
  return info.param.variant.name + (info.param.exact ? "_float64" : "_float32");
});

}  // namespace table_test
}  // namespace vem
