// The gradient check that every differentiable piece goes through: autograd against central differences, every element.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

#include "vem/core/types.h"

namespace vem {

/// Largest |autograd - central difference| / max(1, |central difference|) of f, which gives a scalar, over every
/// element of its float64 inputs. With h = 1e-5 the differences themselves err by about h^2 f''' + 1e-16 |f| / h: ask
/// for 1e-6.
inline double gradient_error(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                             const std::vector<Tensor>& inputs, double h = 1e-5) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) leaves.push_back(input.detach().clone().requires_grad_());
  const std::vector<Tensor> analytic = [&] {
    const at::AutoGradMode on(true);
    return torch::autograd::grad({f(leaves)}, leaves, {}, {}, false, true);
  }();
  const at::NoGradGuard off;
  double largest = 0;
  for (size_t i = 0; i < leaves.size(); ++i) {
    const Tensor flat = leaves[i].detach().view({-1}),
                 gradient = analytic[i].defined() ? analytic[i].reshape({-1}) : at::zeros_like(flat);
    for (int64_t j = 0; j < flat.numel(); ++j) {
      const double start = flat[j].item<double>();
      const auto value_at = [&](double x) {
        flat[j].fill_(x);
        return f(leaves).item<double>();
      };
      const double numeric = (value_at(start + h) - value_at(start - h)) / (2 * h);
      flat[j].fill_(start);
      largest = std::max(largest, std::abs(gradient[j].item<double>() - numeric) / std::max(1.0, std::abs(numeric)));
    }
  }
  return largest;
}

}  // namespace vem
