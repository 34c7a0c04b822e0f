// p(z_t | z_{t-1}) of a deep Markov model (Krishnan, Shalit and Sontag 2017, section 5.1): g = sigmoid(MLP(z)),
// h = MLP(z), mean = (1 - g) (W z + b) + g h, std = softplus(V relu(h) + c). Outputs mean and log std side by side.
#include "linear.h"
#include "vem/core/error.h"

namespace vem {
namespace {

constexpr double kLeastStd = 1e-4;

struct GatedTransitionOptions final : Options {
  int64_t hidden = 64;
  void visit(OptionVisitor& v) override {
    v("hidden", hidden, {1, 65536}, "hidden units of the gate and of the proposal");
  }
};

class GatedTransition final : public Network {
 public:
  GatedTransition(const GatedTransitionOptions& o, const Context& c)
      : L_(product(c.output) / 2),
        inputs_(product(c.input) + c.beside),
        gate_{Linear(c.block, c.prefix + ".gate.hidden", inputs_, o.hidden, c.dtype),
              Linear(c.block, c.prefix + ".gate.output", o.hidden, L_, c.dtype)},
        proposal_{Linear(c.block, c.prefix + ".proposal.hidden", inputs_, o.hidden, c.dtype),
                  Linear(c.block, c.prefix + ".proposal.output", o.hidden, L_, c.dtype)},
        linear_(c.block, c.prefix + ".linear", inputs_, L_, c.dtype),
        scale_(c.block, c.prefix + ".scale", L_, L_, c.dtype) {
    if (product(c.output) % 2 != 0 || inputs_ < L_)
      fail<ConfigError>(
          "{}: gated-transition gives a mean and a scale for each of the last numbers that it reads, got {} -> {}",
          c.prefix, inputs_, product(c.output));
  }
  Tensor forward(const Tensor& x, const Noise&) const override {
    const Tensor gate = at::sigmoid(two_layers(gate_, x)), proposal = two_layers(proposal_, x);
    const Tensor mean = (1 - gate) * linear_(x) + gate * proposal;
    return at::cat({mean, (at::softplus(scale_(at::relu(proposal))) + kLeastStd).log()}, -1);
  }
  /// The linear part begins as the identity on the last numbers that are read, which NAME.previous should be.
  void initialize(const Rng& rng) override {
    for (const auto* layers : {&gate_, &proposal_})
      for (const Linear& layer : *layers) layer.initialize(rng);
    linear_.initialize(rng);
    scale_.initialize(rng);
    const Tensor weight = linear_.weight().detach();
    weight.zero_();
    weight.narrow(1, inputs_ - L_, L_).copy_(at::eye(L_, weight.options()));
    linear_.bias().detach().zero_();
  }
  Tensor output_bias() const override { return linear_.bias(); }

 private:
  static Tensor two_layers(const std::vector<Linear>& layers, const Tensor& x) {
    return layers[1](at::relu(layers[0](x)));
  }

  int64_t L_, inputs_;
  std::vector<Linear> gate_, proposal_;
  Linear linear_, scale_;
};

}  // namespace

void register_gated_transition(Registry& registry) {
  registry.add<Network, GatedTransitionOptions>(
      "gated-transition", "gated step of a latent chain, as in deep Markov models",
      [](const GatedTransitionOptions& options, const Network::Context& context) {
        return std::make_shared<GatedTransition>(options, context);
      });
}

}  // namespace vem
