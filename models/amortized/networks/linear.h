// What networks are made of: weights, affine maps, activations, normalisation, dropout, and torch.nn's default start.
#pragma once

#include "vem/infer/network.h"

namespace vem {

enum class Activation { relu, tanh, elu, leaky_relu, softplus, sigmoid, silu, gelu };
void visit_activation(OptionVisitor& v, Activation& activation);
Tensor activate(const Tensor& x, Activation activation);

/// Whether products of so many rows are faster in bfloat16: this processor has them (AVX512_BF16 or AMX), and the rows
/// are enough to pay for the change of type.
bool bf16_pays(int64_t rows);

void visit_weight_norm(OptionVisitor& v, bool& weight_norm);
void visit_dropout(OptionVisitor& v, double& dropout);
/// Hidden units [rows, width] of which each is left out with that probability, the others raised by as much (Srivastava
/// et al. 2014); all of them as they are without noise.
Tensor drop(const Tensor& hidden, double probability, const Network::Noise& noise, const std::string& stream);

int64_t product(const Shape& shape);

/// Fills a parameter with U(-1/sqrt(fan_in), 1/sqrt(fan_in)) from the stream of its name.
void initialize_uniform(const Tensor& parameter, const std::string& name, int64_t fan_in, const Rng& rng);

/// A weight "<name>.weight" or, normalised, the direction v of that name and a length "<name>.scale" for each output:
/// w = scale v / |v| (Salimans and Kingma 2016, equation 2). Both start at the same w.
class Weight {
 public:
  /// `output_dim`: the dimension of `shape` that counts outputs; fan_in: the inputs that each of them has.
  Weight(GradientBlock& block, const std::string& name, const Shape& shape, int64_t fan_in, at::ScalarType dtype,
         bool normalised = false, int64_t output_dim = 0);
  Tensor operator()() const;
  void initialize(const Rng& rng) const;

 private:
  /// Of v for each output, all dimensions kept.
  Tensor length() const;

  std::string name_;
  int64_t fan_in_;
  std::vector<int64_t> input_dims_;
  Tensor v_, scale_;  // scale undefined: not normalised
};

/// y = x W' + b with parameters "<name>.weight" [outputs, inputs] and "<name>.bias" [outputs].
class Linear {
 public:
  Linear(GradientBlock& block, const std::string& name, int64_t inputs, int64_t outputs, at::ScalarType dtype,
         bool weight_norm = false);
  Tensor operator()(const Tensor& x) const { return at::linear(x, weight_(), bias_); }
  void initialize(const Rng& rng) const;
  Tensor weight() const { return weight_(); }
  const Tensor& bias() const { return bias_; }

 private:
  std::string name_;
  int64_t inputs_;
  Weight weight_;
  Tensor bias_;
};

/// Units of a row shifted and scaled to mean 0 and variance 1, then by learned "<name>.weight" and "<name>.bias"
/// [width] (Ba, Kiros and Hinton 2016, equation 4). Rows do not see each other.
class LayerNorm {
 public:
  LayerNorm(GradientBlock& block, const std::string& name, int64_t width, at::ScalarType dtype);
  Tensor operator()(const Tensor& x) const;
  void initialize() const;

 private:
  Tensor weight_, bias_;
};

}  // namespace vem
