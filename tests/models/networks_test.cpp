// Networks: shapes for any image, names of parameters, the start, and gradients by central differences.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gradcheck.h"
#include "vem/core/error.h"
#include "vem/infer/gradients.h"
#include "vem/infer/network.h"

namespace vem {
namespace networks_test {

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

Built build_bf16(const std::string& toml, const Shape& input, const Shape& output) {
  Built built{parameter_block(), nullptr};
  built.network =
      plugins().create<Network>(chosen("network", toml), {*built.block, "encoder", input, output, at::kFloat, true});
  built.network->initialize(Rng(4));
  return built;
}

/// Gradients with respect to x and every parameter of a quadratic form of the output.
std::vector<Tensor> gradients(const Built& built, const Tensor& x, const Tensor& target, bool bf16 = false) {
  const Bf16Products products(bf16);
  std::vector<Tensor> leaves{x.detach().requires_grad_()};
  for (const auto& [name, value] : built.block->globals()) leaves.push_back(value);
  const Tensor loss = (built.network->forward(leaves[0]) - target).square().sum();
  return gradients_of({loss}, leaves, {at::ones_like(loss)});
}

// One node with all layers against autograd through each layer, plain and gated.
TEST(Mlp, OneNodeHasTheGradientsOfItsLayers) {
  for (const std::string more : {"activation = \"relu\"", "activation = \"tanh\"", "gated = true"}) {
    const Built mlp = build("kind = \"mlp\"\nwidths = [7, 6, 5]\n" + more + "\n", "encoder", {4}, {3});
    const Tensor x = random({9, 4}, "x"), target = random({9, 3}, "target");
    const auto fast = gradients(mlp, x, target);
    // rows in a third dimension are not for the one node
    std::vector<Tensor> leaves{x.detach().requires_grad_()};
    for (const auto& [name, value] : mlp.block->globals()) leaves.push_back(value);
    const Tensor loss =
        (mlp.network->forward(leaves[0].unsqueeze(0), Network::Noise()).squeeze(0) - target).square().sum();
    const auto plain = gradients_of({loss}, leaves, {at::ones_like(loss)});
    ASSERT_EQ(fast.size(), plain.size());
    for (size_t i = 0; i < fast.size(); ++i) EXPECT_TRUE(at::allclose(fast[i], plain[i], 1e-11, 1e-12)) << more << i;
  }
}

// Rounding to eight bits of each factor: gradients are off by about a part in a hundred of their length (with relu by
// more, since units near zero change sides), and those outside of a training step by nothing. Where the processor has
// no such products, both are the same.
TEST(Mlp, Bf16ProductsAreForTrainingStepsAndRoundToEightBits) {
  for (const std::string more : {"activation = \"relu\"", "activation = \"tanh\"", "gated = true"}) {
    const double tolerance = more.find("relu") != std::string::npos ? 0.15 : 0.02;
    const std::string toml = "kind = \"mlp\"\nwidths = [48, 40]\n" + more + "\n";
    const Built half = build_bf16(toml, {32}, {8}), single = build(toml, "encoder", {32}, {8}, at::kFloat);
    const Tensor x = random({128, 32}, "x").to(at::kFloat), target = random({128, 8}, "target").to(at::kFloat);
    EXPECT_TRUE(at::equal(half.network->forward(x), single.network->forward(x)));
    const auto exact = gradients(single, x, target, true), rounded = gradients(half, x, target, true),
               evaluated = gradients(half, x, target);
    for (size_t i = 0; i < exact.size(); ++i) {
      EXPECT_EQ(rounded[i].scalar_type(), at::kFloat);
      EXPECT_LT((rounded[i] - exact[i]).norm().item<double>(), tolerance * exact[i].norm().item<double>()) << more << i;
      EXPECT_TRUE(at::equal(evaluated[i], exact[i])) << more << i;
    }
    const Tensor few = x.slice(0, 0, 20);  // too few rows to pay
    EXPECT_TRUE(at::equal(gradients(half, few, target.slice(0, 0, 20), true)[1],
                          gradients(single, few, target.slice(0, 0, 20))[1]));
  }
  EXPECT_NE(message_of([] { build_bf16("kind = \"mlp\"\nlayer_norm = true\n", {4}, {3}); }).find("bf16"),
            std::string::npos);
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

// ---- normalised weights and units, dropout ----

const std::string kNormalised = "kind = \"mlp\"\nwidths = [6]\nactivation = \"tanh\"\n";

/// w = scale v / |v| of each unit.
Tensor normalised(const Built& built, const std::string& name) {
  const Tensor v = built.at(name + ".weight"), scale = built.at(name + ".scale");
  return scale.unsqueeze(1) * v / v.norm(2, {1}, true);
}

TEST(WeightNorm, StartsAtTheSameMapAndSplitsLengthFromDirection) {
  const Built plain = build(kNormalised, "encoder", {4}, {3}),
              split = build(kNormalised + "weight_norm = true\n", "encoder", {4}, {3});
  const Tensor x = random({5, 4}, "x");
  EXPECT_TRUE(at::allclose(plain.network->forward(x), split.network->forward(x), 1e-12, 1e-12));
  for (const Parameter& p : split.block->parameters()) p.value.detach().copy_(random(p.value.sizes().vec(), p.name));
  const Tensor h = at::tanh(at::mm(x, normalised(split, "encoder.hidden.0").t()) + split.at("encoder.hidden.0.bias"));
  const Tensor expected = at::mm(h, normalised(split, "encoder.output").t()) + split.at("encoder.output.bias");
  EXPECT_TRUE(at::allclose(split.network->forward(x), expected, 1e-12, 1e-12));
  split.at("encoder.output.weight").detach().mul_(3);  // the length is the scale's alone
  EXPECT_TRUE(at::allclose(split.network->forward(x), expected, 1e-12, 1e-12));
}

// A transposed convolution counts its outputs in the second dimension.
TEST(WeightNorm, ConvolutionsStartAtTheSameMap) {
  for (const auto& [prefix, input, output] :
       {std::tuple<std::string, Shape, Shape>{"encoder", {2, 7, 6}, {4}}, {"decoder", {4}, {2, 7, 6}}}) {
    const std::string options = "kind = \"residual-conv\"\nchannels = [2, 3]\nhidden = 5\n";
    const Built plain = build(options, prefix, input, output),
                split = build(options + "weight_norm = true\n", prefix, input, output);
    const Tensor x = random({5, prefix == "encoder" ? 84 : 4}, "x");
    EXPECT_TRUE(at::allclose(plain.network->forward(x), split.network->forward(x), 1e-12, 1e-12)) << prefix;
    EXPECT_EQ(split.at(prefix + ".conv.1.scale").numel(), prefix == "encoder" ? 3 : 2);
  }
}

TEST(LayerNorm, UnitsOfARowHaveMeanZeroAndVarianceOne) {
  const Built built = build(kNormalised + "layer_norm = true\n", "encoder", {4}, {3});
  const Tensor x = random({5, 4}, "x");
  for (const Parameter& p : built.block->parameters()) p.value.detach().copy_(random(p.value.sizes().vec(), p.name));
  const Tensor a = at::mm(x, built.at("encoder.hidden.0.weight").t()) + built.at("encoder.hidden.0.bias");
  const Tensor standard = (a - a.mean(1, true)) / (a.var(1, false, true) + 1e-5).sqrt();
  const Tensor h =
      at::tanh(standard * built.at("encoder.hidden.0.norm.weight") + built.at("encoder.hidden.0.norm.bias"));
  const Tensor expected = at::mm(h, built.at("encoder.output.weight").t()) + built.at("encoder.output.bias");
  EXPECT_TRUE(at::allclose(built.network->forward(x), expected, 1e-10, 1e-10));
}

TEST(Dropout, LeavesUnitsOutWithItsProbabilityAndKeepsTheMean) {
  const Built built = build("kind = \"mlp\"\nwidths = [400]\ndropout = 0.3\n", "encoder", {4}, {2});
  // The output is the sum of hidden units that are all one.
  built.at("encoder.hidden.0.weight").detach().zero_();
  built.at("encoder.hidden.0.bias").detach().fill_(1);
  built.at("encoder.output.weight").detach().fill_(1);
  built.at("encoder.output.bias").detach().zero_();
  const Network::Noise noise = [](const Tensor& hidden, const std::string& stream) {
    return Rng(5).uniform(items(hidden.size(0)), {hidden.size(1)}, stream);
  };
  const Tensor x = random({50, 4}, "x"), dropped = built.network->forward(x, noise);
  EXPECT_TRUE(at::equal(built.network->forward(x), at::full({50, 2}, 400., at::kDouble)));
  // 20000 units, each 0 or 1 / 0.7
  EXPECT_NEAR(dropped.mean().item<double>() / 400, 1, 4.5 * std::sqrt(0.3 / 0.7 / 20000));
  const Tensor kept = dropped.select(1, 0) * 0.7;
  EXPECT_LT((kept - kept.round()).abs().max().item<double>(), 1e-9);
  EXPECT_GT(kept.std().item<double>(), 4);  // sqrt(400 * 0.3 * 0.7) = 9
}

struct ImageCase {
  Shape shape;
  std::string toml;
};

TEST(Networks, EveryImageComesBackInItsShape) {
  const std::vector<ImageCase> images{{{1, 28, 28}, "channels = [8, 16]\n"},
                                      {{1, 28, 20}, "channels = [8, 16, 4]\n"},
                                      {{3, 7, 11}, "channels = [5, 6]\nkernel = 3\n"},
                                      {{2, 9, 8}, "channels = [4]\nkernel = 5\nstride = 3\n"},
                                      {{1, 28, 20}, "channels = [4, 4]\nkernel = 1\n"},
                                      {{1, 6, 5}, "channels = [4, 4]\nstride = 1\n"}};
  for (const auto& [shape, toml] : images) {
    const int64_t pixels = shape[0] * shape[1] * shape[2];
    for (const std::string kind : {"conv", "residual-conv", "gru"}) {
      const std::string options = "kind = \"" + kind + "\"\nhidden = 12\n" + (kind == "gru" ? "" : toml);
      const Built down = build(options, "encoder", shape, {6}, at::kFloat),
                  up = build(options, "decoder", {6}, shape, at::kFloat);
      const Tensor code = down.network->forward(at::zeros({3, pixels}));
      EXPECT_EQ(code.sizes(), at::IntArrayRef({3, 6})) << toml;
      EXPECT_EQ(up.network->forward(code).sizes(), at::IntArrayRef({3, pixels})) << toml;
      EXPECT_EQ(up.network->output_bias().sizes(), at::IntArrayRef({pixels})) << toml;
      EXPECT_EQ(down.network->output_bias().sizes(), at::IntArrayRef({6})) << toml;
      EXPECT_EQ(up.network->forward(down.network->forward(at::zeros({0, pixels}))).sizes(),
                at::IntArrayRef({0, pixels}))
          << toml;
    }
  }
}

TEST(Conv, GradientsAreThoseOfCentralDifferences) {
  for (const std::string kind : {"conv", "residual-conv"}) {
    const std::string options = "kind = \"" + kind + "\"\nchannels = [2, 3]\nhidden = 5\nactivation = \"tanh\"\n";
    const Built down = build(options, "encoder", {1, 7, 6}, {4}), up = build(options, "decoder", {4}, {2, 7, 6});
    const auto value = [&](const std::vector<Tensor>& in) {
      return up.network->forward(down.network->forward(in[0])).pow(2).mean();
    };
    EXPECT_LT(gradient_error(value, {random({2, 42}, "x")}), 1e-6) << kind;
  }
}

// A block whose second convolution is zero adds nothing.
TEST(ResidualConv, IsTheConvolutionsPlusItsBlocks) {
  const std::string options = "channels = [2, 3]\nhidden = 5\n";
  for (const auto& [prefix, input, output] :
       {std::tuple<std::string, Shape, Shape>{"encoder", {1, 7, 6}, {4}}, {"decoder", {4}, {1, 7, 6}}}) {
    const Built plain = build("kind = \"conv\"\n" + options, prefix, input, output),
                residual = build("kind = \"residual-conv\"\n" + options, prefix, input, output);
    const Tensor x = random({5, prefix == "encoder" ? 42 : 4}, "x");
    EXPECT_FALSE(at::allclose(plain.network->forward(x), residual.network->forward(x)));
    for (const std::string stage : {"0", "1"})
      for (const std::string part : {"weight", "bias"})
        residual.at(prefix + ".block." + stage + ".1." + part).detach().zero_();
    EXPECT_TRUE(at::allclose(plain.network->forward(x), residual.network->forward(x), 1e-12, 1e-12)) << prefix;
  }
}

// ---- recurrent networks ----

/// Cho et al. 2014 as torch.nn.GRU writes it, gates in the order reset, update, new.
Tensor gru_step(const Built& built, const std::string& name, const Tensor& x, const Tensor& h) {
  const auto map = [&](const std::string& part, const Tensor& in) {
    return (at::mm(in, built.at(name + part + ".weight").t()) + built.at(name + part + ".bias")).chunk(3, 1);
  };
  const auto i = map(".input", x), s = map(".state", h);
  const Tensor r = at::sigmoid(i[0] + s[0]), z = at::sigmoid(i[1] + s[1]), n = at::tanh(i[2] + r * s[2]);
  return (1 - z) * n + z * h;
}

TEST(Gru, TheEncoderGivesAMapOfTheLastState) {
  const Built gru = build("kind = \"gru\"\nhidden = 5\nstep = 2\n", "encoder", {6}, {3});
  const Tensor x = random({4, 6}, "x");
  Tensor h = at::zeros({4, 5}, at::kDouble);
  for (int64_t t = 0; t < 3; ++t) h = gru_step(gru, "encoder.gru.0", x.narrow(1, 2 * t, 2), h);
  const Tensor expected = at::mm(h, gru.at("encoder.output.weight").t()) + gru.at("encoder.output.bias");
  EXPECT_LT((gru.network->forward(x) - expected).abs().max().item<double>(), 1e-12);
}

// Two parameters a feature: [parameter, feature] flattened, a state for each feature gives both.
TEST(Gru, TheDecoderUnrollsFromZ) {
  const Built gru = build("kind = \"gru\"\nhidden = 5\n", "decoder", {3}, {2, 4});
  for (const Parameter& p : gru.block->parameters())
    p.value.detach().copy_(0.5 * random(p.value.sizes().vec(), p.name));
  const Tensor z = random({6, 3}, "z");
  Tensor h = at::tanh(at::mm(z, gru.at("decoder.start.weight").t()) + gru.at("decoder.start.bias"));
  Tensor expected = at::zeros({6, 2, 4}, at::kDouble);
  for (int64_t t = 0; t < 4; ++t) {
    h = gru_step(gru, "decoder.gru.0", z, h);
    expected.select(2, t).copy_(at::mm(h, gru.at("decoder.output.weight").t()) + gru.at("decoder.output.bias"));
  }
  const Tensor out = gru.network->forward(z);
  EXPECT_LT((out - (expected.flatten(1) + gru.at("decoder.row.bias"))).abs().max().item<double>(), 1e-12);
}

TEST(Gru, LinesOfAnImageAreItsSteps) {
  const Built gru = build("kind = \"gru\"\nhidden = 5\n", "encoder", {2, 3, 4}, {3});
  const Tensor x = random({4, 24}, "x"), image = x.view({4, 2, 3, 4});
  Tensor h = at::zeros({4, 5}, at::kDouble);
  for (int64_t t = 0; t < 3; ++t) h = gru_step(gru, "encoder.gru.0", image.select(2, t).flatten(1), h);
  const Tensor expected = at::mm(h, gru.at("encoder.output.weight").t()) + gru.at("encoder.output.bias");
  EXPECT_LT((gru.network->forward(x) - expected).abs().max().item<double>(), 1e-12);
}

TEST(Gru, SaysWhichStepsItCanNotMake) {
  EXPECT_EQ(message_of([] { build("kind = \"gru\"\nstep = 4\n", "encoder", {6}, {3}); }),
            "encoder: gru.step must divide the 6 numbers of a row, got 4");
  EXPECT_EQ(message_of([] {
              build("kind = \"gru\"\nstep = 4\n", "decoder", {3}, {1, 8, 8});
            }),
            "decoder: gru.step is for rows of tables; of an image a step is one of its 8 lines");
}

// ---- bags of words ----

TEST(EmbeddingBag, TheEncoderSeesTheMeanEmbeddingOfADocumentsWords) {
  const Built bag =
      build("kind = \"embedding-bag\"\nembedding = 4\nwidths = []\nactivation = \"tanh\"\n", "encoder", {5}, {3});
  const Tensor table = bag.at("encoder.embedding.weight").t();  // [words, 4]
  EXPECT_GT(table.abs().max().item<double>(), 0.8);             // U(-1, 1): a mean of few words keeps its size
  const Tensor x = at::tensor({2., 0., 1., 0., 0., 0., 0., 0., 0., 0.}, at::kDouble).view({2, 5});
  const Tensor mean = at::stack({(2 * table[0] + table[2]) / 3, at::zeros({4}, at::kDouble)});
  const Tensor h = at::tanh(mean + bag.at("encoder.embedding.bias"));
  const Tensor expected = at::mm(h, bag.at("encoder.output.weight").t()) + bag.at("encoder.output.bias");
  EXPECT_LT((bag.network->forward(x) - expected).abs().max().item<double>(), 1e-12);
}

TEST(EmbeddingBag, TheDecoderMixesTopics) {
  const Built bag = build("kind = \"embedding-bag\"\n", "decoder", {3}, {1, 7});
  const Tensor z = random({4, 3}, "z");
  const Tensor expected =
      at::mm(at::softmax(z, 1), bag.at("decoder.topics.weight").t()) + bag.at("decoder.topics.bias");
  EXPECT_LT((bag.network->forward(z) - expected).abs().max().item<double>(), 1e-12);
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

}  // namespace networks_test
}  // namespace vem
