// What the loop does beside fitting: stopping and saying why, warnings, refusals, ranks that stop together.
#include <gtest/gtest.h>

#include <atomic>

#include "support/amortised.h"
#include "support/models.h"
#include "vem/core/error.h"

namespace vem {
namespace fit_test {

const std::string kGmm = "[model]\nkind = \"gmm\"\nnum_components = 3\n";
const std::string kVae =
    "[model]\nkind = \"vae\"\nlatent_dim = 2\nprecision = \"float64\"\n"
    "[model.encoder]\nkind = \"mlp\"\nwidths = [8]\n[model.decoder]\nkind = \"mlp\"\nwidths = [8]\n";

/// Keeps everything it hears.
class Listener : public Callback {
 public:
  bool on_epoch(const Model&, const EpochReport& report, const std::function<TensorMap()>&) override {
    reports.push_back(report);
    return true;
  }
  void on_end(const Model&, const std::string& reason, const std::function<TensorMap()>&) override { end = reason; }
  void on_warning(const std::string& text) override { warnings.push_back(text); }
  std::vector<EpochReport> reports;
  std::vector<std::string> warnings;
  std::string end;
};

TEST(Fit, StopsWhenTheBoundNoLongerRises) {
  const Dataset data = sample_data(Sample::blobs);
  const auto model = make_model(kGmm, data);
  FitOptions o;
  o.epochs = 500;
  Listener listener;
  const FitResult result = fit(*model, data, o, {plugins(), nullptr, nullptr, {&listener}});
  EXPECT_LT(result.epoch, 500);
  EXPECT_FALSE(result.interrupted);
  EXPECT_EQ(result.reason.rfind("converged: the bound rose by ", 0), 0u) << result.reason;
  EXPECT_EQ(listener.end, result.reason);
  EXPECT_TRUE(listener.warnings.empty());
  EXPECT_EQ(static_cast<int64_t>(listener.reports.size()), result.epoch);
  EXPECT_TRUE(std::isnan(listener.reports[0].validation_bound));
}

TEST(Fit, StopsAtItsLimits) {
  const Dataset data = sample_data(Sample::blobs);
  FitOptions o;
  o.epochs = 2;
  o.tolerance = 0;
  EXPECT_EQ(fit(*make_model(kGmm, data), data, o, {plugins()}).reason, "all 2 epochs are done");
  o.epochs = 1000000;
  o.max_minutes = 1e-9;
  const FitResult timed = fit(*make_model(kGmm, data), data, o, {plugins()});
  EXPECT_EQ(timed.reason, "train.max_minutes = 1e-09 are over");
  EXPECT_TRUE(timed.interrupted);
  EXPECT_EQ(timed.iteration, 1);
}

TEST(Fit, PatienceCountsEpochsWithoutABetterValidationBound) {
  const Dataset all = sample_data(Sample::images);
  const Dataset train = all.subset(at::arange(0, 20, at::kLong)), held_out = all.subset(at::arange(20, 60, at::kLong));
  FitOptions o;
  o.epochs = 2000;
  o.batch_size = 10;
  o.patience = 5;
  Listener listener;
  // twenty images, a large step: the validation bound soon falls
  const std::string toml = kVae + "[model.optimizer]\nkind = \"adam\"\nlearning_rate = 0.02\n";
  const FitResult result = fit(*make_model(toml, train), train, o, {plugins(), &held_out, nullptr, {&listener}});
  EXPECT_EQ(result.reason, "the validation bound has not risen for train.patience = 5 epochs");
  const auto& reports = listener.reports;
  ASSERT_GT(reports.size(), 5u);
  for (size_t i = reports.size() - 5; i < reports.size(); ++i) EXPECT_FALSE(reports[i].improved);
  EXPECT_TRUE(reports[reports.size() - 6].improved);
  double best = -std::numeric_limits<double>::infinity();
  for (const EpochReport& r : reports) best = std::max(best, r.validation_bound);
  EXPECT_EQ(reports[reports.size() - 6].validation_bound, best);
  EXPECT_EQ(reports[0].weights.at("learning_rate"), 0.02);
}

TEST(Fit, GradientBlocksCanNotBeMemoised) {
  const Dataset data = sample_data(Sample::images);
  FitOptions o;
  o.batch_size = 10;
  o.memoised = true;
  try {
    fit(*make_model(kVae, data), data, o, {plugins()});
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_STREQ(
        e.what(),
        "fit: train.memoised needs every block to be updated in closed form, and this model has gradient blocks");
  }
}

TEST(Fit, ANumberThatGoesNonFiniteIsNamed) {
  const Dataset data = sample_data(Sample::images);
  FitOptions o;
  o.epochs = 50;
  const auto words = [&](int64_t batch_size) {
    o.batch_size = batch_size;
    try {
      fit(*make_model(kVae + "[model.optimizer]\nkind = \"adam\"\nlearning_rate = 1e308\n", data), data, o,
          {plugins()});
    } catch (const NumericError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  // In the middle of a pass at the next bound, which the first step has spoiled ...
  const std::string within = words(10);
  EXPECT_EQ(within.rfind("fit: the bound is ", 0), 0u) << within;
  for (const char* part : {" at iteration 1; not finite: the term ", ", the parameter decoder.", ", the gradient of ",
                           "; a lower learning rate, gradient clipping or float64 may help"})
    EXPECT_NE(within.find(part), std::string::npos) << within;
  // ... and at the end of one before anything is saved.
  const std::string after = words(60);
  EXPECT_EQ(after.rfind("fit: not finite after iteration 1: the parameter decoder.", 0), 0u) << after;
  EXPECT_NE(after.find("; a lower learning rate"), std::string::npos) << after;
}

/// Asks to stop on one rank only, after some updates.
class StopOnRank final : public Callback {
 public:
  StopOnRank(bool asks) : asks_(asks) {}
  bool on_update(const Model&, const Expectation&, const Step&) override { return !asks_ || ++updates_ < 3; }

 private:
  bool asks_;
  int updates_ = 0;
};

TEST(Fit, RanksStopTogether) {
  const Dataset data = sample_data(Sample::blobs);
  std::atomic<int64_t> iterations{0};
  run_ranks(3, [&](Communicator& communicator) {
    FitOptions o;
    o.batch_size = 16;
    o.epochs = 50;
    StopOnRank stop(communicator.rank() == 1);
    const FitResult result = fit(*make_model(kGmm, data), data, o, {plugins(), nullptr, &communicator, {&stop}});
    EXPECT_TRUE(result.interrupted);
    iterations += result.iteration;
  });
  EXPECT_EQ(iterations, 3 * 4);  // the third update asks, the fourth reduction tells everyone
}

TEST(Fit, AnErrorOnOneRankEndsAll) {
  EXPECT_THROW(run_ranks(3,
                         [](Communicator& communicator) {
                           if (communicator.rank() == 2) fail<DataError>("rank 2 can not read");
                           communicator.all_reduce_sum(at::ones({2}));
                           communicator.all_reduce_sum(at::ones({2}));
                         }),
               Error);
}

// Stochastic updates end near a full-batch bound: 40 passes of four updates each, on 60 points. The two may find
// different optima, so full passes go on from where the stochastic ones ended, and rise little.
TEST(Fit, StochasticComesNearTheFullBatch) {
  const Dataset data = sample_data(Sample::blobs);
  const auto stochastic = make_model(kGmm, data), polished = make_model(kGmm, data);
  FitOptions o;
  o.batch_size = 16;
  o.epochs = 40;
  fit(*stochastic, data, o, {plugins()});
  const double reached = (evaluate(*stochastic, data, 0, 0).bound - stochastic->kl_global()).item<double>();
  fit(*polished, data, FitOptions(), {plugins()});
  polished->load(stochastic->state());
  Step step;
  for (int i = 0; i < 50; ++i)
    polished->m_step(polished->e_step(data.batch(at::arange(data.size, at::kLong), 0, polished->dtype()), step, Rng(0)),
                     step, Rng(0));
  const double best = (evaluate(*polished, data, 0, 0).bound - polished->kl_global()).item<double>();
  EXPECT_LE(reached, best + 1e-6);
  EXPECT_NEAR(reached, best, 0.01 * std::abs(best));
}

TEST(Fit, FullPassesInChunksEqualOneBatch) {
  const Dataset data = sample_data(Sample::blobs);
  FitOptions one, chunks;
  one.epochs = chunks.epochs = 12;
  one.tolerance = chunks.tolerance = 0;
  chunks.batch_size = 7;
  chunks.update_every = 0;
  const FitResult a = fit(*make_model(kGmm, data), data, one, {plugins()}),
                  b = fit(*make_model(kGmm, data), data, chunks, {plugins()});
  ASSERT_EQ(a.bounds.size(), b.bounds.size());
  for (size_t i = 0; i < a.bounds.size(); ++i) EXPECT_NEAR(a.bounds[i], b.bounds[i], 1e-9 * std::abs(a.bounds[i]));
}

}  // namespace fit_test
}  // namespace vem
