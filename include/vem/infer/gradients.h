// Gradients by autograd.
#pragma once

#include <vector>

#include "vem/core/types.h"

namespace vem {

/// torch.autograd.grad that gives an undefined tensor where nothing depends on a leaf.
std::vector<Tensor> gradients_where_reached(const std::vector<Tensor>& outputs, const std::vector<Tensor>& leaves,
                                            const std::vector<Tensor>& output_gradients = {}, bool keep_graph = false);

/// torch.autograd.grad that gives zeros where nothing depends on a leaf.
std::vector<Tensor> gradients_of(const std::vector<Tensor>& outputs, const std::vector<Tensor>& leaves,
                                 const std::vector<Tensor>& output_gradients = {}, bool keep_graph = false);

}  // namespace vem
