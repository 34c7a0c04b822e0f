// Forward and backward of a perceptron by hand: what Mlp::forward computes layer by layer, checked against it by tests.
#include "mlp_function.h"

#include <torch/csrc/autograd/custom_function.h>

namespace vem {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The gradient before an activation from the one after it and the activation's output.
Tensor activation_backward(const Tensor& gradient, const Tensor& output, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return at::threshold_backward(gradient, output, 0);
    case Activation::tanh:
      return at::tanh_backward(gradient, output);
    default:
      return at::sigmoid_backward(gradient, output);
  }
}

/// Sums of columns, [rows, columns] -> [columns]: the gradient of a bias.
Tensor column_sums(const Tensor& x) {
  const Tensor rows = x.contiguous();
  Tensor sums = at::zeros({x.size(1)}, x.options());
  const int64_t n = x.size(0), columns = x.size(1), grain = std::max<int64_t>(64, 65536 / std::max<int64_t>(1, n));
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "column_sums", [&] {
    const scalar_t* from = rows.data_ptr<scalar_t>();
    scalar_t* to = sums.data_ptr<scalar_t>();
    at::parallel_for(0, columns, grain, [&](int64_t begin, int64_t end) {
      for (int64_t r = 0; r < n; ++r)
        for (int64_t c = begin; c < end; ++c) to[c] += from[r * columns + c];
    });
  });
  return sums;
}

class MlpFunction final : public torch::autograd::Function<MlpFunction> {
 public:
  static Tensor forward(AutogradContext* context, at::TensorList tensors, int64_t activation) {
    const auto kind = static_cast<Activation>(activation);
    const size_t layers = (tensors.size() - 1) / 2;
    variable_list saved;  // input and weight of each layer
    Tensor h = tensors[0];
    for (size_t i = 0; i < layers; ++i) {
      saved.push_back(h);
      saved.push_back(tensors[1 + 2 * i]);
      h = at::addmm(tensors[2 + 2 * i], h, tensors[1 + 2 * i].t());
      if (i + 1 < layers) h = activate(h, kind);
    }
    context->save_for_backward(saved);
    context->saved_data["activation"] = activation;
    return h;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const auto kind = static_cast<Activation>(context->saved_data["activation"].toInt());
    const size_t layers = saved.size() / 2;
    variable_list out(2 * layers + 2);  // the last one stands for the activation
    Tensor d = gradients[0];
    for (size_t i = layers; i-- > 0;) {
      const Tensor &input = saved[2 * i], &weight = saved[2 * i + 1];
      if (context->needs_input_grad(1 + 2 * i)) out[1 + 2 * i] = at::mm(d.t(), input);
      if (context->needs_input_grad(2 + 2 * i)) out[2 + 2 * i] = column_sums(d);
      if (i == 0 && !context->needs_input_grad(0)) break;
      d = at::mm(d, weight);
      if (i > 0)
        d = activation_backward(d, input, kind);
      else
        out[0] = d;
    }
    return out;
  }
};

}  // namespace

bool has_output_derivative(Activation activation) {
  return activation == Activation::relu || activation == Activation::tanh || activation == Activation::sigmoid;
}

Tensor mlp_function(at::TensorList tensors, Activation activation) {
  return MlpFunction::apply(tensors, static_cast<int64_t>(activation));
}

}  // namespace vem
