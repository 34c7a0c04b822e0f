// A whole perceptron as one node of the autograd graph: at small batches a step spends more time on nodes than on
// products.
#pragma once

#include "linear.h"

namespace vem {

/// Whether mlp_function() knows the derivative of this activation from its output alone.
bool has_output_derivative(Activation activation);

/// tensors: x [rows, inputs], then weight [outputs, inputs] and bias [outputs] of each layer; where layers are gated,
/// those of the gate follow, but for the last layer. Activations (or gates) stand between layers. Equals the layers one
/// by one; gradients of the first order only. `bf16`: products and hidden layers are bfloat16, whose sums oneDNN takes
/// in float32; parameters, their gradients and the output keep the type of x.
Tensor mlp_function(at::TensorList tensors, Activation activation, bool gated = false, bool bf16 = false);

}  // namespace vem
