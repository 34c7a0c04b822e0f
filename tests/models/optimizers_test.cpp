// Every listed optimiser against torch.optim over 100 steps (tests/golden/optimizers.py), and what all of them share:
// clipping, groups, averages, outlier steps. An optimiser without a row fails.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "support/amortised.h"
#include "support/models.h"
#include "support/places.h"
#include "vem/train/fit.h"

namespace vem {
namespace optimizers_test {

std::shared_ptr<Optimizer> optimizer(const std::string& kind, const std::string& settings) {
  struct Holder final : Options {
    Choice optimizer = default_optimizer();
    void visit(OptionVisitor& v) override { v("optimizer", optimizer, "the optimiser"); }
  } holder;
  Config::parse(fmt::format("[optimizer]\nkind = \"{}\"\n{}", kind, settings), "test").read(holder, plugins());
  return plugins().create<Optimizer>(holder.optimizer, {plugins()});
}

/// One M-step on gradient sums of `count` equal items.
void m_step(GradientBlock& block, const TensorMap& per_item, double learning_rate, double count = 8) {
  Expectation e;
  e.count = at::full({}, count, at::kDouble);
  for (const auto& [name, gradient] : per_item) e.sums[name] = gradient * count;
  Step step;
  step.weights["learning_rate"] = learning_rate;
  block.m_step(e, step, Rng(0));
}

// ---- trajectories ----

struct Row {
  std::string golden, kind, settings;
  double learning_rate;
  /// Tolerance in float32: 100 roundings of order 1e-7. Where the trajectory ends in the optimum, the last gradients
  /// are roundings, which these rules scale up to whole steps: then it is the learning rate, over 1 - momentum.
  double single = 2e-5;
  /// In float64. Where steps overshoot, one rounding of a gradient, which another LibTorch makes, grows tenfold every
  /// dozen steps.
  double exact = 1e-12;
};

std::vector<Row> rows() {
  const std::string decay = "weight_decay = 0.3\n";
  return {
      {"adam", "adam", "", 0.05},
      {"adam_betas", "adam", "beta1 = 0.5\nbeta2 = 0.9\nepsilon = 1e-3", 0.05, 0.05, 1e-6},
      {"adam_decay", "adam", decay, 0.05},
      {"adam_clip_norm", "adam", "clip_norm = 3", 0.05},
      {"adam_clip_value", "adam", "clip_value = 0.5", 0.05},
      {"adam_rate", "adam", "", 0.05},  // times 0.98 each step
      {"adam_average", "adam", "average = 0.9", 0.05},
      {"adamw", "adamw", decay, 0.05},
      {"adamw", "adam", "decoupled = true\n" + decay, 0.05},
      {"adamw_groups", "adamw",
       "weight_decay = 0.1\n[optimizer.groups.a]\nlearning_rate = 0.1\nweight_decay = 2\n"
       "[optimizer.groups.b]\nweight_decay = 0",
       0.05},
      {"adamw_groups", "adamw",
       "weight_decay = 0.2\ndecay_biases = false\n[optimizer.groups.a]\nlearning_rate = 9\n"
       "[optimizer.groups.a.weight]\nlearning_rate = 0.1",
       0.05},
      {"normalized_adam", "normalized-adam", "", 0.05, 0.05},
      {"adamax", "adamax", "", 0.05},
      {"adamax_decay", "adamax", decay, 0.05},
      {"rmsprop", "rmsprop", "", 0.02},
      {"rmsprop_momentum", "rmsprop", "decay = 0.9\nmomentum = 0.8\nweight_decay = 0.1", 0.005, 0.025},
      {"rmsprop_centered", "rmsprop", "centered = true\nepsilon = 1e-3", 0.02},
      {"rmsprop_centered_momentum", "rmsprop", "centered = true\nmomentum = 0.8\nepsilon = 1e-3", 0.005},
      {"sgd", "sgd", "", 0.02},
      {"sgd_momentum", "sgd", "momentum = 0.9\ndampening = 0.3\nweight_decay = 0.1", 0.01},
      {"sgd_nesterov", "sgd", "momentum = 0.9\nnesterov = true", 0.01},
  };
}

/// Step -> every element of both parameters.
std::map<int64_t, std::vector<double>> golden(const std::string& name) {
  std::map<int64_t, std::vector<double>> steps;
  std::ifstream file(tests_folder() + "/golden/optimizers.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string word;
    int64_t step = 0;
    fields >> word >> step;
    if (word != name) continue;
    while (fields >> word) steps[step].push_back(std::strtod(word.c_str(), nullptr));
  }
  return steps;
}

/// d/dp of what optimizers.py minimises, with the sign of an ascent.
Tensor ascent(const Tensor& p, double target) { return -((p.detach() - target).pow(3) + p.detach().cos()); }

void expect_trajectory(const Row& row, at::ScalarType type) {
  GradientBlock block("networks", optimizer(row.kind, row.settings));
  Tensor a = block.add("a.weight", {2, 3}, type), b = block.add("b.bias", {4}, type);
  a.detach().copy_(at::linspace(-2, 2, 6, at::kDouble).view({2, 3}));
  b.detach().copy_(at::linspace(0.5, 1.5, 4, at::kDouble));
  const auto wanted = golden(row.golden);
  EXPECT_EQ(wanted.size(), 8u) << row.golden;
  for (int64_t step = 1; step <= 100; ++step) {
    const double rate = row.golden == "adam_rate" ? std::pow(0.98, step - 1) : 1;
    // a transposed gradient, as a matrix product may give
    m_step(block, {{"a.weight", ascent(a, 0.3).t().contiguous().t()}, {"b.bias", ascent(b, -0.7)}},
           row.learning_rate * rate);
    if (!wanted.count(step)) continue;
    block.swap_averages();
    const Tensor ours = at::cat({a.detach().reshape({-1}), b.detach()}).to(at::kDouble);
    block.swap_averages();
    // float64: the two differ in the order of operations only
    const Tensor difference = (ours - at::tensor(wanted.at(step), at::kDouble)).abs().max();
    EXPECT_LE(difference.item<double>(), type == at::kDouble ? row.exact : row.single)
        << row.golden << " by " << row.kind << " at step " << step << " in " << toString(type);
  }
}

TEST(Optimizers, FollowTorchFor100Steps) {
  for (const Row& row : rows())
    for (const auto type : {at::kDouble, at::kFloat}) expect_trajectory(row, type);
}

TEST(Optimizers, EveryListedOneHasARow) {
  std::set<std::string> tested;
  for (const Row& row : rows()) tested.insert(row.kind);
  for (const Plugin* plugin : plugins().list("optimizer"))
    EXPECT_TRUE(tested.count(plugin->name)) << plugin->name << " needs a row in this table";
}

// ---- what all of them share ----

TEST(Optimizers, ClippingBoundsTheGradientPerItem) {
  const auto moved = [](const std::string& settings) {
    GradientBlock block("networks", optimizer("sgd", settings));
    const Tensor p = block.add("p", {2}, at::kDouble);
    m_step(block, {{"p", at::tensor({3.0, -4.0}, at::kDouble)}}, 1);
    return p.detach().clone();
  };
  const auto expect = [&](const std::string& settings, double first, double second) {
    EXPECT_LE(difference(moved(settings), at::tensor({first, second}, at::kDouble)), 1e-15) << settings;
  };
  expect("", 3, -4);
  expect("clip_norm = 1.0", 0.6, -0.8);
  expect("clip_norm = 6.0", 3, -4);
  expect("clip_value = 3.5", 3, -3.5);
  expect("clip_norm = 1.0\nclip_value = 0.7", 0.6, -0.7);
  expect("normalize = true", 3 / (5 + 1e-7), -4 / (5 + 1e-7));
}

TEST(Optimizers, NormsDoNotDependOnTheNumberOfThreads) {
  const auto moved = [](int threads) {
    at::set_num_threads(threads);
    GradientBlock block("networks", optimizer("sgd", "clip_norm = 1.0"));
    const Tensor p = block.add("p", {300001}, at::kFloat);
    m_step(block, {{"p", random({300001}, "gradient").to(at::kFloat)}}, 1);
    return p.detach().clone();
  };
  const int before = at::get_num_threads();
  const Tensor one = moved(1), two = moved(2);
  at::set_num_threads(before);
  EXPECT_TRUE(at::equal(one, two));
  EXPECT_NEAR(one.to(at::kDouble).norm().item<double>(), 1, 1e-6);  // float32
}

TEST(Optimizers, AGroupWithoutParametersIsRefused) {
  GradientBlock block("networks", optimizer("adam", "[optimizer.groups.encodr]\nlearning_rate = 0.1"));
  block.add("encoder.0.weight", {2}, at::kDouble);
  try {
    block.check();
    FAIL() << "a group without parameters was accepted";
  } catch (const ConfigError& e) {
    EXPECT_STREQ(e.what(),
                 "optimizer.groups.encodr: no parameter is called encodr.*; did you mean encoder? names begin with "
                 "encoder, encoder.0");
  }
}

// A decoder that moves at every third update only: what it takes is what it would have taken alone, at those updates.
TEST(Optimizers, AGroupMovesAtEverySoManyUpdates) {
  GradientBlock block("networks", optimizer("adam", "average = 0.9\n[optimizer.groups.decoder]\nevery = 3")),
      alone("networks", optimizer("adam", "average = 0.9"));
  const Tensor encoder = block.add("encoder.weight", {2}, at::kDouble);
  for (GradientBlock* b : {&block, &alone}) b->add("decoder.weight", {2}, at::kDouble);
  const auto of_decoder = [](const GradientBlock& from) {
    TensorMap some;
    for (const auto& [key, value] : from.state())
      if (key.find("decoder") != std::string::npos) some[key] = value.detach().clone();
    return some;
  };
  const auto step_of = [](GradientBlock& b, const TensorMap& gradients, double every) {
    Expectation e;
    e.count = at::ones({}, at::kDouble);
    e.sums = gradients;
    Step step;
    step.weights = {{"learning_rate", 0.1}, {"decoder.every", every}};
    b.m_step(e, step, Rng(0));
  };
  for (int64_t t = 1; t <= 20; ++t) {
    const Tensor gradient = random({2}, fmt::format("gradient {}", t));
    const TensorMap before = of_decoder(block);
    const Tensor at_first = encoder.detach().clone();
    const double every = t <= 15 ? 3 : 1;  // a schedule that ends
    step_of(block, {{"encoder.weight", gradient}, {"decoder.weight", gradient}}, every);
    EXPECT_FALSE(at::equal(encoder, at_first));
    if (t <= 15 && t % 3 != 0) {
      EXPECT_EQ(difference(of_decoder(block), before), 0) << t;
      continue;
    }
    step_of(alone, {{"decoder.weight", gradient}}, 1);
    EXPECT_EQ(difference(of_decoder(block), of_decoder(alone)), 0) << t;
  }
}

TEST(Optimizers, SumsOfAnotherShapeAreRefused) {
  GradientBlock block("networks", optimizer("adam", ""));
  block.add("encoder.weight", {2, 3}, at::kFloat);
  const auto words = [&](const Tensor& gradient) {
    try {
      m_step(block, {{"encoder.weight", gradient}}, 1);
    } catch (const NumericError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(words(at::zeros({6}, at::kFloat)),
            "m_step: the sums for encoder.weight have shape [6] of Float, [2, 3] of Float is expected");
  EXPECT_EQ(words(at::zeros({2, 3}, at::kDouble)),
            "m_step: the sums for encoder.weight have shape [2, 3] of Double, [2, 3] of Float is expected");
}

/// A block with one parameter that takes gradients of one size after the other.
class OutlierSteps : public testing::Test {
 protected:
  /// Whether the step was made. A step that is left out changes nothing but the count.
  bool takes(double gradient) {
    const TensorMap before = copy(block_.state());
    m_step(block_, {{"p", at::full({3}, gradient / std::sqrt(3.0), at::kDouble)}}, 0.1);
    const TensorMap after = block_.state();
    const bool moved = !at::equal(before.at("model/p"), after.at("model/p").detach());
    EXPECT_EQ(at::equal(before.at("optimizer/first/p"), after.at("optimizer/first/p")), !moved);
    EXPECT_EQ(at::equal(before.at("optimizer/networks.steps"), after.at("optimizer/networks.steps")), !moved);
    return moved;
  }
  double skipped() const { return block_.diagnostics().at("networks.skipped_steps"); }

  GradientBlock block_{"networks", optimizer("adam", "skip_above = 10.0")};
  Tensor p_ = block_.add("p", {3}, at::kDouble);
};

TEST_F(OutlierSteps, AreLeftOutAndCounted) {
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(takes(i == 0 ? 50 : 1));  // the first norms make the mean: below 10
  EXPECT_FALSE(takes(1000));
  EXPECT_FALSE(takes(std::nan("")));
  EXPECT_FALSE(takes(INFINITY));
  EXPECT_EQ(skipped(), 3);
  EXPECT_TRUE(takes(2));
}

TEST_F(OutlierSteps, ALastingRiseIsFollowed) {
  for (int i = 0; i < 30; ++i) takes(1);
  int steps = 0;
  while (steps < 100 && !takes(100)) ++steps;
  // The mean of norms m rises to m + (10 m - m) / 100 / (1 - 0.99^30) or less a step, from 1 to 10: at least 10 steps.
  EXPECT_GT(steps, 5);
  EXPECT_LT(steps, 60);
  EXPECT_EQ(skipped(), steps);
}

TEST(Optimizers, AveragesChangePlacesExactly) {
  GradientBlock block("networks", optimizer("sgd", "average = 0.5"));
  const Tensor p = block.add("p", {1}, at::kDouble);
  EXPECT_FALSE(block.swap_averages());  // no step, no average
  for (const double gradient : {1., 1., 2.}) m_step(block, {{"p", at::full({1}, gradient, at::kDouble)}}, 1);
  EXPECT_EQ(p.item<double>(), 4);  // by way of 1, 2
  const TensorMap before = copy(block.state());
  EXPECT_TRUE(block.swap_averages());
  EXPECT_NEAR(p.item<double>(), (0.25 * 1 + 0.5 * 2 + 4) / 1.75, 1e-15);
  EXPECT_TRUE(block.swap_averages());
  EXPECT_EQ(difference(block.state(), before), 0);
}

TEST(Optimizers, AStateIsLoadedWholeOrNotAtAll) {
  GradientBlock block("networks", optimizer("adam", ""));
  Tensor p = block.add("p", {2}, at::kDouble);
  TensorMap state;
  for (const auto& [key, value] : block.state()) state[key] = at::ones_like(value.detach());
  block.load(state);
  EXPECT_TRUE(at::equal(p.detach(), at::ones({2}, at::kDouble)));
  state.at("model/p") = at::zeros({2}, at::kDouble);
  state.at("optimizer/second/p") = at::zeros({3}, at::kDouble);
  try {
    block.load(state);
    FAIL() << "a misshapen state was loaded";
  } catch (const DataError& e) {
    EXPECT_STREQ(e.what(),
                 "state: optimizer/second/p has shape [3] of Double, [2] of Double is expected; is this a checkpoint "
                 "of another model?");
  }
  EXPECT_TRUE(at::equal(p.detach(), at::ones({2}, at::kDouble)));
}

}  // namespace optimizers_test
}  // namespace vem
