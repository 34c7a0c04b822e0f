// Adam against torch.optim.Adam: the trajectory of tests/golden/adam.py, and clipping.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "vem/core/config.h"
#include "vem/infer/block.h"
#include "vem/models/registry.h"

namespace vem {
namespace {

std::shared_ptr<Optimizer> adam(const std::string& settings) {
  struct Holder final : Options {
    Choice optimizer = default_optimizer();
    void visit(OptionVisitor& v) override { v("optimizer", optimizer, "the optimiser"); }
  } holder;
  const Registry registry = builtin_registry();
  Config::parse("[optimizer]\nkind = \"adam\"\n" + settings, "test").read(holder, registry);
  return registry.create<Optimizer>(holder.optimizer, {registry});
}

/// d/dp of what adam.py minimises, with the sign of an ascent.
Tensor ascent(const Tensor& p, double target) { return -((p - target).pow(3) + p.cos()); }

TEST(Adam, FollowsTorchFor100Steps) {
  for (const auto type : {at::kDouble, at::kFloat}) {
    GradientBlock block("networks", adam("learning_rate = 0.05"));
    Tensor a = block.add("a", {2, 3}, type), b = block.add("b", {4}, type);
    a.detach().copy_(at::linspace(-2, 2, 6, at::kDouble).view({2, 3}));
    b.detach().copy_(at::linspace(0.5, 1.5, 4, at::kDouble));
    std::ifstream golden(std::string(VEM_TESTS_DIR) + "/golden/adam.txt");
    std::string line;
    int64_t steps = 0;
    while (std::getline(golden, line)) {
      Expectation e;
      e.count = at::full({}, 8.0, at::kDouble);                        // sums over eight equal items
      e.sums["a"] = ascent(a.detach(), 0.3).t().contiguous().t() * 8;  // a transposed gradient, as matmul may give
      e.sums["b"] = ascent(b.detach(), -0.7) * 8;
      Step step;
      step.weights["learning_rate"] = 0.05;
      block.m_step(e, step, Rng(0));
      std::istringstream fields(line);
      std::string field;
      fields >> field;
      ASSERT_EQ(std::stoll(field), ++steps);
      const Tensor ours = at::cat({a.detach().reshape({-1}), b.detach()}).to(at::kDouble);
      for (int64_t i = 0; i < ours.numel(); ++i) {
        fields >> field;
        // float64: the two differ in the order of operations only; float32: 100 roundings of order 1e-7
        EXPECT_NEAR(ours[i].item<double>(), std::strtod(field.c_str(), nullptr), type == at::kDouble ? 1e-12 : 2e-5);
      }
    }
    EXPECT_EQ(steps, 100);
  }
}

TEST(Adam, ClippingBoundsTheNormOfTheGradientPerItem) {
  // With beta1 = beta2 = 0 an update is lr * g / (|g| + epsilon); a large epsilon makes it proportional to g.
  const auto run = [](const std::string& clip) {
    GradientBlock block("networks", adam("beta1 = 0.0\nbeta2 = 0.0\nepsilon = 1e9\n" + clip));
    Tensor p = block.add("p", {2}, at::kDouble);
    Expectation e;
    e.count = at::full({}, 2.0, at::kDouble);
    e.sums["p"] = at::tensor({6.0, 8.0}, at::kDouble);  // 3, 4 per item: norm 5
    Step step;
    step.weights["learning_rate"] = 1e9;
    block.m_step(e, step, Rng(0));
    return p.detach().clone();
  };
  EXPECT_TRUE(at::allclose(run(""), at::tensor({3.0, 4.0}, at::kDouble), 1e-6));
  EXPECT_TRUE(at::allclose(run("clip_norm = 1.0"), at::tensor({0.6, 0.8}, at::kDouble), 1e-6));
  EXPECT_TRUE(at::allclose(run("clip_norm = 6.0"), at::tensor({3.0, 4.0}, at::kDouble), 1e-6));
}

TEST(Adam, AStateIsLoadedWholeOrNotAtAll) {
  GradientBlock block("networks", adam(""));
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

}  // namespace
}  // namespace vem
