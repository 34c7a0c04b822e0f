#include "linear.h"

#include <limits>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace vem {
namespace {

/// The smallest number of rows whose products are faster in bfloat16 on this processor, from measurements: by tiles
/// (AMX-BF16: bit 22 of EDX in leaf 7 of CPUID) or by vectors (AVX512_BF16: bit 5 of EAX in its first subleaf; Intel,
/// Architecture instruction set extensions reference).
int64_t smallest_bf16_rows() {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 22 & 1) != 0) return 64;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 5 & 1) != 0) return 32;
#endif
  return std::numeric_limits<int64_t>::max();  // none
}

}  // namespace

bool bf16_pays(int64_t rows) {
  static const int64_t smallest = smallest_bf16_rows();
  return rows >= smallest;
}

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

void visit_weight_norm(OptionVisitor& v, bool& weight_norm) {
  v("weight_norm", weight_norm, "weights as a direction and a length for each unit");
}

void visit_dropout(OptionVisitor& v, double& dropout) {
  v("dropout", dropout, {0, 0.99}, "probability with which a hidden unit is left out in training; 0: none");
}

Tensor drop(const Tensor& hidden, double probability, const Network::Noise& noise, const std::string& stream) {
  if (probability == 0 || !noise) return hidden;
  return hidden * ((noise(hidden, stream) >= probability).to(hidden.scalar_type()) / (1 - probability));
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

Weight::Weight(GradientBlock& block, const std::string& name, const Shape& shape, int64_t fan_in, at::ScalarType dtype,
               bool normalised, int64_t output_dim)
    : name_(name), fan_in_(fan_in), v_(block.add(name + ".weight", shape, dtype)) {
  for (int64_t d = 0; d < v_.dim(); ++d)
    if (d != output_dim) input_dims_.push_back(d);
  if (normalised) scale_ = block.add(name + ".scale", {shape[static_cast<size_t>(output_dim)]}, dtype);
}

Tensor Weight::length() const { return (v_ * v_).sum(input_dims_, true).sqrt(); }

Tensor Weight::operator()() const {
  if (!scale_.defined()) return v_;
  const Tensor v_length = length();
  return v_ * (scale_.view(v_length.sizes()) / v_length);
}

void Weight::initialize(const Rng& rng) const {
  initialize_uniform(v_, name_ + ".weight", fan_in_, rng);
  if (scale_.defined()) scale_.detach().copy_(length().detach().flatten());
}

Linear::Linear(GradientBlock& block, const std::string& name, int64_t inputs, int64_t outputs, at::ScalarType dtype,
               bool weight_norm)
    : name_(name),
      inputs_(inputs),
      weight_(block, name, {outputs, inputs}, inputs, dtype, weight_norm),
      bias_(block.add(name + ".bias", {outputs}, dtype)) {}

void Linear::initialize(const Rng& rng) const {
  weight_.initialize(rng);
  initialize_uniform(bias_, name_ + ".bias", inputs_, rng);
}

LayerNorm::LayerNorm(GradientBlock& block, const std::string& name, int64_t width, at::ScalarType dtype)
    : weight_(block.add(name + ".weight", {width}, dtype)), bias_(block.add(name + ".bias", {width}, dtype)) {}

Tensor LayerNorm::operator()(const Tensor& x) const {
  return at::layer_norm(x, weight_.sizes(), weight_, bias_, 1e-5, false);
}

void LayerNorm::initialize() const {
  weight_.detach().fill_(1);
  bias_.detach().zero_();
}

}  // namespace vem
