#include "linear.h"

namespace vem {

void visit_activation(OptionVisitor& v, Activation& activation) {
  v("activation", activation,
    {{"relu", Activation::relu},
     {"tanh", Activation::tanh},
     {"elu", Activation::elu},
     {"leaky-relu", Activation::leaky_relu},
     {"softplus", Activation::softplus},
     {"sigmoid", Activation::sigmoid},
     {"silu", Activation::silu},
     {"gelu", Activation::gelu}},
    "nonlinearity of hidden layers");
}

Tensor activate(const Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return at::relu(x);
    case Activation::tanh:
      return at::tanh(x);
    case Activation::elu:
      return at::elu(x);
    case Activation::leaky_relu:
      return at::leaky_relu(x);
    case Activation::softplus:
      return at::softplus(x);
    case Activation::sigmoid:
      return at::sigmoid(x);
    case Activation::silu:
      return at::silu(x);
    case Activation::gelu:
      return at::gelu(x);
  }
  return x;
}

int64_t product(const Shape& shape) {
  int64_t n = 1;
  for (const int64_t size : shape) n *= size;
  return n;
}

void initialize_uniform(const Tensor& parameter, const std::string& name, int64_t fan_in, const Rng& rng) {
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  const Tensor u = rng.uniform(at::arange(parameter.numel(), at::kLong), {}, name);
  parameter.detach().copy_((u * (2 * bound) - bound).view(parameter.sizes()));
}

Linear::Linear(GradientBlock& block, const std::string& name, int64_t inputs, int64_t outputs, at::ScalarType dtype)
    : name_(name),
      inputs_(inputs),
      weight_(block.add(name + ".weight", {outputs, inputs}, dtype)),
      bias_(block.add(name + ".bias", {outputs}, dtype)) {}

void Linear::initialize(const Rng& rng) const {
  initialize_uniform(weight_, name_ + ".weight", inputs_, rng);
  initialize_uniform(bias_, name_ + ".bias", inputs_, rng);
}

}  // namespace vem
