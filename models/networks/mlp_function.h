// A whole perceptron as one node of the autograd graph: at small batches a step spends more time on nodes than on
// products.
#pragma once

#include "linear.h"

namespace vem {

/// Whether mlp_function() knows the derivative of this activation from its output alone.
bool has_output_derivative(Activation activation);

/// tensors: x [rows, inputs], then weight [outputs, inputs] and bias [outputs] of each layer. Activations stand between
/// layers. Equals the layers one by one; gradients of the first order only.
Tensor mlp_function(at::TensorList tensors, Activation activation);

}  // namespace vem
