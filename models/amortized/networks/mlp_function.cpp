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
  static Tensor forward(AutogradContext* context, at::TensorList tensors, int64_t activation, bool gated, bool bf16) {
    const auto kind = static_cast<Activation>(activation);
    const auto type = tensors[0].scalar_type(), products = bf16 ? at::kBFloat16 : type;
    auto next = [&, place = size_t{1}]() mutable { return tensors[place++].to(products); };
    variable_list
        saved;  // of each layer its input and weight, of gated ones also the gate, its weight and what it gates
    Tensor h = tensors[0].to(products);
    for (size_t left = num_layers(tensors.size(), gated); left-- > 0;) {
      const Tensor weight = next();
      saved.insert(saved.end(), {h, weight});
      if (left == 0) {  // the output is float32 whatever its product is
        h = bf16 ? at::mm(h, weight.t()).to(type).add_(tensors.back()) : at::addmm(tensors.back(), h, weight.t());
        break;
      }
      const Tensor linear = at::addmm(next(), h, weight.t());
      if (!gated) {
        h = activate(linear, kind);
        continue;
      }
      const Tensor gate_weight = next(), gate = at::sigmoid(at::addmm(next(), h, gate_weight.t()));
      saved.insert(saved.end(), {gate, gate_weight, linear});
      h = linear * gate;
    }
    context->save_for_backward(saved);
    context->saved_data["activation"] = activation;
    context->saved_data["gated"] = gated;
    context->saved_data["type"] = static_cast<int64_t>(type);
    return h;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const auto kind = static_cast<Activation>(context->saved_data["activation"].toInt());
    const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
    const bool gated = context->saved_data["gated"].toBool();
    const size_t per_layer = gated ? 5 : 2, hidden = (saved.size() - 2) / per_layer, per_input = gated ? 4 : 2;
    variable_list out(1 + per_input * hidden + 2 + 3);  // the last three stand for what is no tensor
    const auto add_parameters = [&](size_t place, const Tensor& d, const Tensor& input) {
      if (context->needs_input_grad(place)) out[place] = at::mm(d.t(), input).to(type);
      if (context->needs_input_grad(place + 1)) out[place + 1] = column_sums(d.to(type));
    };
    Tensor d = gradients[0].to(saved[0].scalar_type());
    for (size_t i = hidden + 1; i-- > 0;) {
      const Tensor *own = &saved[per_layer * i], &input = own[0], &weight = own[1];
      const size_t place = 1 + per_input * i;
      const bool last = i == hidden, wanted = i > 0 || context->needs_input_grad(0);
      Tensor to_gate;
      if (!last && gated) {
        const Tensor &gate = own[2], &linear = own[4];
        to_gate = at::sigmoid_backward(d * linear, gate);
        d = d * gate;
        add_parameters(place + 2, to_gate, input);
      } else if (!last) {
        d = activation_backward(d, saved[per_layer * (i + 1)], kind);
      }
      add_parameters(place, d, input);
      if (!wanted) break;
      d = at::mm(d, weight);
      if (to_gate.defined()) d.addmm_(to_gate, own[3]);
    }
    if (context->needs_input_grad(0)) out[0] = d.to(type);
    return out;
  }

 private:
  /// Of `tensors` in all: the input, weight and bias of each layer, and of the gate of each but the last.
  static size_t num_layers(size_t tensors, bool gated) { return gated ? (tensors - 3) / 4 + 1 : (tensors - 1) / 2; }
};

}  // namespace

bool has_output_derivative(Activation activation) {
  return activation == Activation::relu || activation == Activation::tanh || activation == Activation::sigmoid;
}

Tensor mlp_function(at::TensorList tensors, Activation activation, bool gated, bool bf16) {
  return MlpFunction::apply(tensors, static_cast<int64_t>(activation), gated, bf16);
}

}  // namespace vem
