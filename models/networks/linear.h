// What networks are made of: affine maps, activations and torch.nn's default start.
#pragma once

#include "vem/infer/network.h"

namespace vem {

enum class Activation { relu, tanh, elu, leaky_relu, softplus, sigmoid, silu, gelu };
void visit_activation(OptionVisitor& v, Activation& activation);
Tensor activate(const Tensor& x, Activation activation);

int64_t product(const Shape& shape);

/// Fills a parameter with U(-1/sqrt(fan_in), 1/sqrt(fan_in)) from the stream of its name.
void initialize_uniform(const Tensor& parameter, const std::string& name, int64_t fan_in, const Rng& rng);

/// y = x W' + b with parameters "<name>.weight" [outputs, inputs] and "<name>.bias" [outputs].
class Linear {
 public:
  Linear(GradientBlock& block, const std::string& name, int64_t inputs, int64_t outputs, at::ScalarType dtype);
  Tensor operator()(const Tensor& x) const { return at::linear(x, weight_, bias_); }
  void initialize(const Rng& rng) const;
  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }

 private:
  std::string name_;
  int64_t inputs_;
  Tensor weight_, bias_;
};

}  // namespace vem
