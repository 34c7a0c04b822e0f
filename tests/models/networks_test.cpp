// Networks: shapes for any image, names of parameters, the start, and gradients by central differences.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gradcheck.h"
#include "vem/core/error.h"
#include "vem/infer/network.h"

namespace vem {
namespace {

struct Built {
  std::shared_ptr<GradientBlock> block;
  std::shared_ptr<Network> network;
  Tensor at(const std::string& name) const { return block->globals().at(name); }
};

Built build(const std::string& toml, const std::string& prefix, const Shape& input, const Shape& output,
            at::ScalarType dtype = at::kDouble) {
  Built built{parameter_block(), nullptr};
  built.network = plugins().create<Network>(chosen("network", toml), {*built.block, prefix, input, output, dtype});
  built.network->initialize(Rng(4));
  return built;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no ConfigError";
}

std::vector<std::string> names_of(const Built& built) {
  std::vector<std::string> names;
  for (const Parameter& p : built.block->parameters()) names.push_back(p.name);
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Mlp, WithoutHiddenLayersIsAnAffineMap) {
  const Built linear = build("kind = \"mlp\"\nwidths = []\n", "encoder", {4}, {3});
  EXPECT_EQ(names_of(linear), (std::vector<std::string>{"encoder.output.bias", "encoder.output.weight"}));
  const Tensor x = random({5, 4}, "x");
  const Tensor expected = at::mm(x, linear.at("encoder.output.weight").t()) + linear.at("encoder.output.bias");
  EXPECT_TRUE(at::allclose(linear.network->forward(x), expected, 1e-12, 1e-12));
  EXPECT_TRUE(linear.network->output_bias().is_same(linear.at("encoder.output.bias")));
}

TEST(Mlp, GatedLayersAreProductsOfTwoMaps) {
  const Built gated = build("kind = \"mlp\"\nwidths = [6]\ngated = true\n", "encoder", {4}, {3});
  const Tensor x = random({5, 4}, "x");
  const auto map = [&](const std::string& name, const Tensor& h) {
    return at::mm(h, gated.at(name + ".weight").t()) + gated.at(name + ".bias");
  };
  const Tensor h = map("encoder.hidden.0", x) * at::sigmoid(map("encoder.hidden.0.gate", x));
  EXPECT_TRUE(at::allclose(gated.network->forward(x), map("encoder.output", h), 1e-12, 1e-12));
}

TEST(Mlp, EveryActivationHasTheRightGradient) {
  for (const std::string name : {"relu", "tanh", "elu", "leaky-relu", "softplus", "sigmoid", "silu", "gelu"}) {
    const Built mlp = build("kind = \"mlp\"\nwidths = [5, 4]\nactivation = \"" + name + "\"\n", "encoder", {3}, {2});
    const auto value = [&](const std::vector<Tensor>& in) { return mlp.network->forward(in[0]).pow(2).sum(); };
    EXPECT_LT(gradient_error(value, {random({4, 3}, "x")}), 1e-6) << name;  // no kink lies within h of these inputs
  }
}

// U(-1/sqrt(fan in), 1/sqrt(fan in)): the bound holds, and is reached; a parameter's draw depends on its name only.
TEST(Mlp, StartsUniformlyWithinItsFanIn) {
  const Built a = build("kind = \"mlp\"\nwidths = [64]\n", "encoder", {100}, {7}),
              b = build("kind = \"mlp\"\nwidths = [64, 5]\n", "encoder", {100}, {9});
  const Tensor weight = a.at("encoder.hidden.0.weight");
  EXPECT_LE(weight.abs().max().item<double>(), 0.1);
  EXPECT_GT(weight.abs().max().item<double>(), 0.0999);
  EXPECT_NEAR(weight.pow(2).mean().item<double>(), 0.01 / 3, 2e-4);  // 6400 draws
  EXPECT_TRUE(at::equal(weight, b.at("encoder.hidden.0.weight")));
  EXPECT_FALSE(
      at::equal(a.at("encoder.output.weight").narrow(0, 0, 5).narrow(1, 0, 5), weight.narrow(0, 0, 5).narrow(1, 0, 5)));
}

struct ImageCase {
  Shape shape;
  std::string toml;
};

TEST(Conv, EveryImageComesBackInItsShape) {
  const std::vector<ImageCase> images{{{1, 28, 28}, "channels = [8, 16]\n"},
                                      {{1, 28, 20}, "channels = [8, 16, 4]\n"},
                                      {{3, 7, 11}, "channels = [5, 6]\nkernel = 3\n"},
                                      {{2, 9, 8}, "channels = [4]\nkernel = 5\nstride = 3\n"},
                                      {{1, 28, 20}, "channels = [4, 4]\nkernel = 1\n"},
                                      {{1, 6, 5}, "channels = [4, 4]\nstride = 1\n"}};
  for (const auto& [shape, toml] : images) {
    const int64_t pixels = shape[0] * shape[1] * shape[2];
    const std::string options = "kind = \"conv\"\nhidden = 12\n" + toml;
    const Built down = build(options, "encoder", shape, {6}, at::kFloat),
                up = build(options, "decoder", {6}, shape, at::kFloat);
    const Tensor code = down.network->forward(at::zeros({3, pixels}));
    EXPECT_EQ(code.sizes(), at::IntArrayRef({3, 6})) << toml;
    EXPECT_EQ(up.network->forward(code).sizes(), at::IntArrayRef({3, pixels})) << toml;
    EXPECT_EQ(up.network->output_bias().sizes(), at::IntArrayRef({pixels})) << toml;
    EXPECT_EQ(down.network->output_bias().sizes(), at::IntArrayRef({6})) << toml;
    EXPECT_EQ(up.network->forward(down.network->forward(at::zeros({0, pixels}))).sizes(), at::IntArrayRef({0, pixels}))
        << toml;
  }
}

TEST(Conv, GradientsAreThoseOfCentralDifferences) {
  const std::string options = "kind = \"conv\"\nchannels = [2, 3]\nhidden = 5\nactivation = \"tanh\"\n";
  const Built down = build(options, "encoder", {1, 7, 6}, {4}), up = build(options, "decoder", {4}, {2, 7, 6});
  const auto value = [&](const std::vector<Tensor>& in) {
    return up.network->forward(down.network->forward(in[0])).pow(2).mean();
  };
  EXPECT_LT(gradient_error(value, {random({2, 42}, "x")}), 1e-6);
}

TEST(Conv, SaysWhatItCannotBuild) {
  EXPECT_EQ(message_of([] { build("kind = \"conv\"\n", "encoder", {30}, {4}); }),
            "encoder: conv needs images on one side, got 30 -> 4 numbers a row; mlp takes those");
  EXPECT_EQ(message_of([] {
              build("kind = \"conv\"\nchannels = []\n", "encoder", {1, 8, 8}, {4});
            }),
            "encoder: conv needs at least one entry in channels, got []");
  EXPECT_EQ(message_of([] {
              build("kind = \"conv\"\nchannels = [4, 4, 4, 4]\n", "decoder", {4}, {1, 8, 8});
            }),
            "decoder: 4 convolutions of stride 2 leave nothing of a 8 x 8 image");
}

}  // namespace
}  // namespace vem
