// Multi-layer perceptrons, plain or gated: h = A(x) * sigmoid(B(x)) (Dauphin et al. 2017, as in Tomczak and Welling
// 2018); with weight normalisation, layer normalisation before the nonlinearity, and dropout after it, all optional.
#include "vem/infer/network.h"

#include "linear.h"
#include "mlp_function.h"
#include "vem/core/error.h"

namespace vem {
namespace {

struct MlpOptions final : Options {
  std::vector<int64_t> widths{512, 512};
  Activation activation = Activation::relu;
  bool gated = false, weight_norm = false, layer_norm = false;
  double dropout = 0;
  void visit(OptionVisitor& v) override {
    v("widths", widths, {1, 65536}, "units of each hidden layer, from input to output; [] is a linear map");
    v("gated", gated, "hidden layers A(x) * sigmoid(B(x))");
    v.when(!gated, "gated is false", [&] { visit_activation(v, activation); });
    visit_weight_norm(v, weight_norm);
    v.when(!widths.empty(), "widths is not []", [&] {
      v("layer_norm", layer_norm, "normalise the units of a hidden layer, of each row by itself, before they bend");
      visit_dropout(v, dropout);
    });
  }
};

class Mlp final : public Network {
 public:
  Mlp(const MlpOptions& options, const Context& context)
      : options_(options), name_(context.prefix), bf16_(context.bf16) {
    GradientBlock& block = context.block;
    int64_t width = product(context.input) + context.beside;
    for (size_t i = 0; i < options.widths.size(); ++i) {
      const int64_t next = options.widths[i];
      hidden_.emplace_back(block, name_of(i), width, next, context.dtype, options.weight_norm);
      if (options.gated)
        gates_.emplace_back(block, name_of(i) + ".gate", width, next, context.dtype, options.weight_norm);
      if (options.layer_norm) norms_.emplace_back(block, name_of(i) + ".norm", next, context.dtype);
      width = next;
    }
    if (bf16_ && (options.layer_norm || options.dropout > 0 || !known_derivative()))
      fail<ConfigError>(
          "{}: precision = \"bf16\" is for perceptrons without layer_norm and dropout, that are gated or have the "
          "activation relu, tanh or sigmoid",
          name_);
    output_.emplace_back(block, name_ + ".output", width, product(context.output), context.dtype, options.weight_norm);
  }
  Tensor forward(const Tensor& x, const Noise& noise) const override {
    if (one_node(x, noise))
      return mlp_function(tensors(x), options_.activation, options_.gated,
                          bf16_ && Bf16Products::active() && bf16_pays(x.size(0)));
    Tensor h = x;
    for (size_t i = 0; i < hidden_.size(); ++i) {
      const Tensor gate = options_.gated ? at::sigmoid(gates_[i](h)) : Tensor();
      h = hidden_[i](h);
      if (options_.layer_norm) h = norms_[i](h);
      h = options_.gated ? h * gate : activate(h, options_.activation);
      h = drop(h, options_.dropout, noise, name_of(i));
    }
    return output_[0](h);
  }
  void initialize(const Rng& rng) override {
    for (const auto* layers : {&hidden_, &gates_, &output_})
      for (const Linear& layer : *layers) layer.initialize(rng);
    for (const LayerNorm& norm : norms_) norm.initialize();
  }
  Tensor output_bias() const override { return output_[0].bias(); }

 private:
  std::string name_of(size_t i) const { return fmt::format("{}.hidden.{}", name_, i); }
  /// Where gradients are asked for, all layers make one node; a trace (which runs without) sees the layers.
  bool one_node(const Tensor& x, const Noise& noise) const {
    const bool plain = !options_.layer_norm && !(noise && options_.dropout > 0);
    return plain && known_derivative() && at::GradMode::is_enabled() && x.dim() == 2;
  }
  bool known_derivative() const { return options_.gated || has_output_derivative(options_.activation); }
  std::vector<Tensor> tensors(const Tensor& x) const {
    std::vector<Tensor> all{x};
    const auto add = [&](const Linear& layer) { all.insert(all.end(), {layer.weight(), layer.bias()}); };
    for (size_t i = 0; i < hidden_.size(); ++i) {
      add(hidden_[i]);
      if (options_.gated) add(gates_[i]);
    }
    add(output_[0]);
    return all;
  }

  MlpOptions options_;
  std::string name_;
  bool bf16_;
  std::vector<Linear> hidden_, gates_, output_;
  std::vector<LayerNorm> norms_;
};

}  // namespace

void register_mlp(Registry& registry) {
  registry.add<Network, MlpOptions>("mlp", "fully connected layers of any widths, plain or gated",
                                    [](const MlpOptions& options, const Network::Context& context) {
                                      return std::make_shared<Mlp>(options, context);
                                    });
}

}  // namespace vem
