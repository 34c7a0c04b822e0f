// SQUAREM: coordinates and back, monotone for every closed-form model, bitwise resume, and how many passes it saves.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/models.h"
#include "support/stop_after.h"
#include "vem/core/error.h"

namespace vem {
namespace squarem_test {

FitOptions passes(int64_t epochs, bool squarem) {
  FitOptions options;
  options.epochs = epochs;
  options.tolerance = 0;
  if (squarem) options.acceleration = FitOptions::Acceleration::squarem;
  return options;
}

double smallest_rise(const std::vector<double>& bounds) {
  double smallest = std::numeric_limits<double>::infinity();
  for (size_t i = 1; i < bounds.size(); ++i) smallest = std::min(smallest, bounds[i] - bounds[i - 1]);
  return smallest;
}

class Squarem : public testing::TestWithParam<Variant> {};

// eta to coordinates and back, by logarithms and Cholesky factors: rounding only
TEST_P(Squarem, CoordinatesLeadBack) {
  const Dataset data = sample_data(GetParam().sample);
  const auto model = make_model(GetParam().toml, data);
  fit(*model, data, passes(4, false), {plugins()});
  const TensorMap before = copy(model->state());
  for (const auto& block : model->blocks())
    if (const Tensor u = block->coordinates(); u.defined()) {
      EXPECT_TRUE(at::isfinite(u).all().item<bool>()) << block->name();
      block->set_coordinates(u);
    }
  const bool steps = GetParam().name.find("factor") != std::string::npos;  // its t is a step further each time
  for (const auto& [key, value] : model->state()) {
    if (steps && key == "model/components.t") continue;
    EXPECT_LE(difference(value, before.at(key)),
              1e-9 * std::max(1., before.at(key).detach().abs().max().item<double>()))
        << key;
  }
}

TEST_P(Squarem, NeverLowersTheBound) {
  const Dataset data = sample_data(GetParam().sample);
  const auto plain = make_model(GetParam().toml, data), fast = make_model(GetParam().toml, data);
  const FitResult slow = fit(*plain, data, passes(40, false), {plugins()});
  const FitResult result = fit(*fast, data, passes(40, true), {plugins()});
  EXPECT_GE(smallest_rise(result.bounds), -1e-9 * std::abs(result.bounds.back()));
  EXPECT_LE(result.bounds.size(), 40u);  // passes that were taken back are not among them
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(result.bounds[i], slow.bounds[i]);
}

TEST_P(Squarem, AResumeIsBitwise) {
  const Dataset data = sample_data(GetParam().sample);
  const FitOptions options = passes(12, true);
  const auto whole = make_model(GetParam().toml, data);
  const FitResult uninterrupted = fit(*whole, data, options, {plugins()});
  for (const int64_t updates : {1, 2, 3, 4}) {
    const auto half = make_model(GetParam().toml, data), rest = make_model(GetParam().toml, data);
    StopAfter stop(updates);
    fit(*half, data, options, {plugins(), nullptr, nullptr, {&stop}});
    rest->load(stop.state());
    const TensorMap resume = stop.state();
    const FitResult second = fit(*rest, data, options, {plugins(), nullptr, nullptr, {}, &resume});
    EXPECT_EQ(difference(rest->state(), whole->state()), 0) << updates;
    EXPECT_EQ(difference(second.state, uninterrupted.state), 0) << updates;
  }
}

std::vector<Variant> closed_form() {
  std::vector<Variant> all;
  for (const Variant& v : variants("float64"))
    if (v.name.rfind("gmm", 0) == 0 || v.name.rfind("mixture", 0) == 0 || v.name.rfind("hmm", 0) == 0) all.push_back(v);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Table, Squarem, testing::ValuesIn(closed_form()),
                         [](const auto& info) { return info.param.name; });

/// Two normals of which a third of the rows lie in the overlap: EM crawls.
Dataset overlapping() {
  const int64_t n = 600;
  const Tensor index = at::arange(n, at::kLong), noise = Rng(6).normal(index, {2}, "x");
  Dataset data;
  data.size = n;
  data.columns["x"] =
      noise + index.remainder(3).eq(0).to(at::kDouble).unsqueeze(1) * at::tensor({2., 0.5}, at::kDouble);
  data.schema.item_shape = {2};
  return data;
}

/// Passes until the bound is within 1e-5 nats (of 600 rows) of `target`, those that were taken back included.
class Counter final : public Callback {
 public:
  explicit Counter(double target) : target_(target) {}
  bool on_epoch(const Model&, const EpochReport& r, const std::function<TensorMap()>&) override {
    passes_ = r.epoch;
    return r.bound * 600 < target_ - 1e-5;
  }
  int64_t passes() const { return passes_; }

 private:
  double target_;
  int64_t passes_ = 0;
};

TEST(SquaremExample, TakesSeveralTimesFewerPassesToTheSameBound) {
  const Dataset data = overlapping();
  for (const std::string estimate : {"ml", "map", "posterior"}) {
    const std::string toml = "[model]\nkind = \"gmm\"\nestimate = \"" + estimate + "\"\n";
    const auto optimum = make_model(toml, data);
    const double target = fit(*optimum, data, passes(1000, true), {plugins()}).bounds.back();
    int64_t counts[2];
    for (const bool squarem : {false, true}) {
      const auto model = make_model(toml, data);
      Counter counter(target);
      fit(*model, data, passes(6000, squarem), {plugins(), nullptr, nullptr, {&counter}});
      counts[squarem ? 1 : 0] = counter.passes();
    }
    EXPECT_LT(3 * counts[1], counts[0]) << estimate << ": " << counts[1] << " against " << counts[0];
    RecordProperty(estimate, fmt::format("{} against {}", counts[1], counts[0]));
  }
}

class Started final : public Callback {
 public:
  void on_start(const Model&, int64_t, int64_t) override { started = true; }
  bool started = false;
};

// Before the run begins, so that nothing is left behind.
TEST(SquaremExample, IsRefusedWhereItMakesNoSense) {
  const Dataset data = sample_data(Sample::blobs);
  FitOptions options = passes(3, true);
  options.batch_size = 20;
  const auto model = make_model("[model]\nkind = \"gmm\"\n", data);
  EXPECT_THROW(fit(*model, data, options, {plugins()}), ConfigError);
  const auto sampler = make_model("[model]\nkind = \"gmm\"\nestimate = \"gibbs\"\n", data);
  EXPECT_THROW(fit(*sampler, data, passes(3, true), {plugins()}), ConfigError);
  const Dataset documents = sample_data(Sample::documents);
  const auto topics = make_model("[model]\nkind = \"lda\"\nnum_topics = 2\n", documents);
  Started started;
  EXPECT_THROW(fit(*topics, documents, passes(3, true), {plugins(), nullptr, nullptr, {&started}}), ConfigError);
  EXPECT_FALSE(started.started);
}

}  // namespace squarem_test
}  // namespace vem
