// Multi-layer perceptrons, plain or gated: h = A(x) * sigmoid(B(x)) (Dauphin et al. 2017, as in Tomczak and Welling
// 2018).
#include "vem/infer/network.h"

#include "linear.h"
#include "mlp_function.h"

namespace vem {
namespace {

struct MlpOptions final : Options {
  std::vector<int64_t> widths{512, 512};
  Activation activation = Activation::relu;
  bool gated = false;
  void visit(OptionVisitor& v) override {
    v("widths", widths, {1, 65536}, "units of each hidden layer, from input to output; [] is a linear map");
    v("gated", gated, "hidden layers A(x) * sigmoid(B(x))");
    v.when(!gated, "gated is false", [&] { visit_activation(v, activation); });
  }
};

class Mlp final : public Network {
 public:
  Mlp(const MlpOptions& options, const Context& context) : options_(options) {
    int64_t width = product(context.input);
    for (size_t i = 0; i < options.widths.size(); ++i) {
      const std::string name = fmt::format("{}.hidden.{}", context.prefix, i);
      hidden_.emplace_back(context.block, name, width, options.widths[i], context.dtype);
      if (options.gated) gates_.emplace_back(context.block, name + ".gate", width, options.widths[i], context.dtype);
      width = options.widths[i];
    }
    output_.emplace_back(context.block, context.prefix + ".output", width, product(context.output), context.dtype);
  }
  Tensor forward(const Tensor& x) const override {
    if (one_node(x)) return mlp_function(tensors(x), options_.activation);
    Tensor h = x;
    for (size_t i = 0; i < hidden_.size(); ++i)
      h = options_.gated ? hidden_[i](h) * at::sigmoid(gates_[i](h)) : activate(hidden_[i](h), options_.activation);
    return output_[0](h);
  }
  void initialize(const Rng& rng) override {
    for (const auto* layers : {&hidden_, &gates_, &output_})
      for (const Linear& layer : *layers) layer.initialize(rng);
  }
  Tensor output_bias() const override { return output_[0].bias(); }

 private:
  /// Where gradients are asked for, all layers make one node; a trace (which runs without) sees the layers.
  bool one_node(const Tensor& x) const {
    return at::GradMode::is_enabled() && !options_.gated && x.dim() == 2 && has_output_derivative(options_.activation);
  }
  std::vector<Tensor> tensors(const Tensor& x) const {
    std::vector<Tensor> all{x};
    for (const auto* layers : {&hidden_, &output_})
      for (const Linear& layer : *layers) all.insert(all.end(), {layer.weight(), layer.bias()});
    return all;
  }

  MlpOptions options_;
  std::vector<Linear> hidden_, gates_, output_;
};

}  // namespace

void register_mlp(Registry& registry) {
  registry.add<Network, MlpOptions>("mlp", "fully connected layers of any widths, plain or gated",
                                    [](const MlpOptions& options, const Network::Context& context) {
                                      return std::make_shared<Mlp>(options, context);
                                    });
}

}  // namespace vem
