// Optimisers within a fit: each trains a VAE with all that they share switched on and resumes bitwise; validation sees
// averages; a batch that is not finite is left out, counted, and does not spoil the pass.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/models.h"
#include "vem/core/error.h"
#include "vem/dist/dirichlet.h"
#include "vem/train/fit.h"

namespace vem {
namespace optimizers_fit_test {

std::shared_ptr<Model> vae(const std::string& optimizer, const Dataset& data) {
  return make_model(
      "[model]\nkind = \"vae\"\nlatent_dim = 2\n[model.encoder]\nwidths = [12]\n[model.decoder]\nwidths = [12]\n"
      "[model.optimizer]\n" +
          optimizer,
      data);
}

std::string everything(const std::string& kind) {
  return fmt::format(
      "kind = \"{}\"\nlearning_rate = {{kind = \"plateau\", start = 0.01, factor = 0.5, patience = 0, threshold = 0.5, "
      "min = 1e-3}}\n"
      "weight_decay = 0.01\ndecay_biases = false\nclip_value = 5\nskip_above = 3\naverage = 0.8\n"
      "[model.optimizer.groups.encoder]\nlearning_rate = 0.5\n[model.optimizer.groups.decoder]\n"
      "every = {{kind = \"sequence\", first = 3, until = 20, then = 1}}\n",
      kind);
}

FitOptions options(int64_t epochs) {
  FitOptions o;
  o.epochs = epochs;
  o.batch_size = 16;
  o.seed = 5;
  return o;
}

/// Stops a fit after so many updates and keeps its state; notes the rate of every step.
class Watcher final : public Callback {
 public:
  explicit Watcher(int64_t updates) : updates_(updates) {}
  bool on_update(const Model&, const Expectation&, const Step& step) override {
    rates.push_back(step.weight("learning_rate"));
    return --updates_ != 0;
  }
  void on_end(const Model&, const std::string&, const std::function<TensorMap()>& snapshot) override {
    state = snapshot();
  }
  std::vector<double> rates;
  TensorMap state;

 private:
  int64_t updates_;
};

TEST(OptimizersInAFit, EveryListedOneTrainsAndResumesBitwise) {
  const Dataset data = sample_data(Sample::images);
  const Dataset held_out = data.subset(at::arange(0, 60, 4, at::kLong));
  for (const Plugin* plugin : plugins().list("optimizer")) {
    SCOPED_TRACE(plugin->name);
    const auto whole = vae(everything(plugin->name), data), half = vae(everything(plugin->name), data),
               rest = vae(everything(plugin->name), data);
    Watcher watched(0);
    const FitResult uninterrupted = fit(*whole, data, options(30), {plugins(), &held_out, nullptr, {&watched}});
    EXPECT_GT(uninterrupted.bounds.back(), uninterrupted.bounds.front());
    EXPECT_EQ(watched.rates.front(), 0.01);
    EXPECT_LT(watched.rates.back(), 0.01);  // the validation bound stalled at times
    Watcher stop(70);                       // in the middle of an epoch, after some reductions
    fit(*half, data, options(30), {plugins(), &held_out, nullptr, {&stop}});
    rest->load(stop.state);
    const FitResult second = fit(*rest, data, options(30), {plugins(), &held_out, nullptr, {}, &stop.state});
    EXPECT_EQ(difference(rest->state(), whole->state()), 0);
    EXPECT_EQ(difference(second.state, uninterrupted.state), 0);
  }
}

/// Keeps the last report.
class LastReport final : public Callback {
 public:
  bool on_epoch(const Model&, const EpochReport& report, const std::function<TensorMap()>&) override {
    last = report;
    return true;
  }
  EpochReport last;
};

TEST(OptimizersInAFit, ValidationSeesTheAverages) {
  const Dataset data = sample_data(Sample::images);
  const auto model = vae("average = 0.95\nlearning_rate = 0.05\n", data);
  LastReport report;
  fit(*model, data, options(5), {plugins(), &data, nullptr, {&report}});
  const auto bound = [&] {
    const Expectation e = evaluate(*model, data, 16, 5);
    return (e.bound / e.count).item<double>();
  };
  const double last = bound();
  EXPECT_NE(report.last.validation_bound, last);
  {
    const AveragedParameters averaged(*model);
    EXPECT_EQ(report.last.validation_bound, bound());
  }
  EXPECT_EQ(bound(), last);
}

/// Bound -(p - 1)^2 an item; the batch with item 7 is no number in the epochs from `from` to `to`.
class Spiked final : public Model {
 public:
  Spiked(const std::string& skip, int64_t from, int64_t to) : from_(from), to_(to) {
    const Choice choice = chosen("optimizer", "kind = \"sgd\"\n" + skip);
    const auto optimizer = plugins().create<Optimizer>(choice, {plugins()});
    block_ = std::make_shared<GradientBlock>("networks", optimizer);
    p_ = block_->add("p", {1}, at::kDouble);
    weights_ =
        std::make_shared<ConjugateBlock>("weights", std::make_shared<DirichletFamily>(2), 1, Estimate::posterior);
    weights_->set_prior(at::zeros({1, 2}, at::kDouble));
    blocks_ = {block_, weights_};
  }
  void initialize(const Dataset&, const Rng&) override {}
  Expectation e_step(const Batch& batch, const Step& step, const Rng&) const override {
    const bool spike = step.epoch >= from_ && step.epoch < to_ && (batch.index == 7).any().item<bool>();
    const Tensor p = spike ? p_.detach() * std::nan("") : p_.detach();
    Expectation e;
    e.count = batch.weight.sum();
    e.bound = -(p - 1).square().sum() * e.count;
    e.sums["p"] = -2 * (p - 1) * e.count;
    e.sums["weights.t"] = (0 * p + 1).expand({1, 2}) * e.count;
    return e;
  }
  std::vector<Method> methods() const override { return {}; }
  at::ScalarType dtype() const override { return at::kDouble; }
  double p() const { return p_.item<double>(); }
  Tensor eta() const { return weights_->eta(); }

 private:
  int64_t from_, to_;
  std::shared_ptr<GradientBlock> block_;
  std::shared_ptr<ConjugateBlock> weights_;
  Tensor p_;
};

TEST(OptimizersInAFit, ABatchThatIsNotFiniteIsLeftOut) {
  const Dataset data = sample_data(Sample::blobs);
  Spiked model("skip_above = 10.0", 1, 3);
  LastReport report;
  FitOptions o = options(3);
  o.batch_size = 6;
  const FitResult result = fit(model, data, o, {plugins(), nullptr, nullptr, {&report}});
  EXPECT_EQ(report.last.metrics.at("networks.skipped_steps"), (std::vector<double>{2}));
  EXPECT_TRUE(std::isfinite(result.bounds.back()));
  // 28 steps of sgd at its rate 0.01: p - 1 shrinks by 0.98 each
  EXPECT_NEAR(model.p(), 1 - std::pow(0.98, 28), 1e-14);
  // every batch that counted says "60 of each", and so does any mean of them; the first has rho = 1
  EXPECT_LE(difference(model.eta(), at::full({1, 2}, 60.0, at::kDouble)), 1e-12);
}

TEST(OptimizersInAFit, NothingFiniteEndsTheFit) {
  const Dataset data = sample_data(Sample::blobs);
  Spiked strict("", 0, 1), lenient("skip_above = 10.0", 1, 2);
  EXPECT_THROW(fit(strict, data, options(2), {plugins()}), NumericError);
  FitOptions o = options(2);
  o.batch_size = 60;
  try {
    fit(lenient, data, o, {plugins()});
    FAIL() << "a pass without a finite bound was accepted";
  } catch (const NumericError& e) {
    EXPECT_STREQ(e.what(), "fit: no bound was finite in epoch 2; a lower learning rate or float64 may help");
  }
}

}  // namespace optimizers_fit_test
}  // namespace vem
