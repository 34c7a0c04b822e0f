#include "vem/dist/normal_function.h"

#include <torch/csrc/autograd/custom_function.h>

#include "log_gamma.h"
#include "vem/core/error.h"

namespace vem {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class NormalSample final : public torch::autograd::Function<NormalSample> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& mean, const Tensor& log_std, const Tensor& noise) {
    const Tensor m = mean.contiguous(), std = log_std.exp().contiguous(), e = noise.contiguous();
    Tensor z = at::empty_like(e);
    const int64_t n = m.numel(), S = n > 0 ? e.numel() / n : 0;
    AT_DISPATCH_FLOATING_TYPES(m.scalar_type(), "normal_sample", [&] {
      const scalar_t *center = m.data_ptr<scalar_t>(), *scale = std.data_ptr<scalar_t>(),
                     *from = e.data_ptr<scalar_t>();
      scalar_t* to = z.data_ptr<scalar_t>();
      for (int64_t s = 0; s < S; ++s)
        for (int64_t i = 0; i < n; ++i) to[s * n + i] = center[i] + scale[i] * from[s * n + i];
    });
    context->save_for_backward({std, e});
    return z;
  }

  // d z / d mean = 1, d z / d log_std = exp(log_std) * noise, summed over samples.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &std = saved[0], &e = saved[1], g = gradients[0].contiguous();
    Tensor to_mean = at::zeros_like(std), to_log_std = at::zeros_like(std);
    const int64_t n = std.numel(), S = n > 0 ? e.numel() / n : 0;
    AT_DISPATCH_FLOATING_TYPES(std.scalar_type(), "normal_sample_backward", [&] {
      const scalar_t *scale = std.data_ptr<scalar_t>(), *noise = e.data_ptr<scalar_t>(), *from = g.data_ptr<scalar_t>();
      scalar_t *first = to_mean.data_ptr<scalar_t>(), *second = to_log_std.data_ptr<scalar_t>();
      for (int64_t s = 0; s < S; ++s)
        for (int64_t i = 0; i < n; ++i) {
          first[i] += from[s * n + i];
          second[i] += from[s * n + i] * scale[i] * noise[s * n + i];
        }
    });
    return {to_mean, to_log_std, Tensor()};
  }
};

class NormalKl final : public torch::autograd::Function<NormalKl> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& mean, const Tensor& log_std) {
    const Tensor m = mean.contiguous(), l = log_std.contiguous(), excess = l.expm1();
    Tensor kl = at::empty_like(m);
    AT_DISPATCH_FLOATING_TYPES(m.scalar_type(), "normal_kl", [&] {
      const scalar_t *a = m.data_ptr<scalar_t>(), *b = l.data_ptr<scalar_t>(), *u = excess.data_ptr<scalar_t>();
      scalar_t* to = kl.data_ptr<scalar_t>();
      for (int64_t i = 0; i < kl.numel(); ++i)
        to[i] = (u[i] * (u[i] + 2) + a[i] * a[i]) * static_cast<scalar_t>(0.5) - b[i];
    });
    context->save_for_backward({m, excess});
    return kl;
  }

  // d KL / d mean = mean, d KL / d log_std = exp(2 log_std) - 1 = u (u + 2) with u = exp(log_std) - 1: no digits are
  // lost near 1.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &m = saved[0], &excess = saved[1], g = gradients[0].contiguous();
    Tensor to_mean = at::empty_like(m), to_log_std = at::empty_like(m);
    AT_DISPATCH_FLOATING_TYPES(m.scalar_type(), "normal_kl_backward", [&] {
      const scalar_t *a = m.data_ptr<scalar_t>(), *u = excess.data_ptr<scalar_t>(), *from = g.data_ptr<scalar_t>();
      scalar_t *first = to_mean.data_ptr<scalar_t>(), *second = to_log_std.data_ptr<scalar_t>();
      for (int64_t i = 0; i < m.numel(); ++i) {
        first[i] = from[i] * a[i];
        second[i] = from[i] * (u[i] * (u[i] + 2));
      }
    });
    return {to_mean, to_log_std};
  }
};

}  // namespace

Tensor normal_sample(const Tensor& mean, const Tensor& log_std, const Tensor& noise) {
  if (mean.sizes() != log_std.sizes() || noise.dim() < mean.dim())
    fail<Error>("normal_sample: mean [{}], log_std [{}] and noise [{}] do not fit", fmt::join(mean.sizes(), ", "),
                fmt::join(log_std.sizes(), ", "), fmt::join(noise.sizes(), ", "));
  Shape shape = noise.sizes().vec();
  std::copy(mean.sizes().begin(), mean.sizes().end(), shape.end() - mean.dim());
  return NormalSample::apply(mean, log_std, noise.sizes() == at::IntArrayRef(shape) ? noise : noise.expand(shape));
}

Tensor normal_kl_to_standard(const Tensor& mean, const Tensor& log_std) { return NormalKl::apply(mean, log_std); }

Tensor normal_log_density(const Tensor& square, const Tensor& half_log_det, int64_t dims) {
  return -0.5 * square - half_log_det - kHalfLogTwoPi * static_cast<double>(dims);
}

}  // namespace vem
