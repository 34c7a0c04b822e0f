#include "vem/infer/gradients.h"

#include <torch/csrc/autograd/autograd.h>

namespace vem {

std::vector<Tensor> gradients_where_reached(const std::vector<Tensor>& outputs, const std::vector<Tensor>& leaves,
                                            const std::vector<Tensor>& output_gradients, bool keep_graph) {
  return torch::autograd::grad(outputs, leaves, output_gradients, keep_graph, false, true);
}

std::vector<Tensor> gradients_of(const std::vector<Tensor>& outputs, const std::vector<Tensor>& leaves,
                                 const std::vector<Tensor>& output_gradients, bool keep_graph) {
  auto gradients = gradients_where_reached(outputs, leaves, output_gradients, keep_graph);
  for (size_t i = 0; i < gradients.size(); ++i)
    if (!gradients[i].defined()) gradients[i] = at::zeros_like(leaves[i]);
  return gradients;
}

}  // namespace vem
