// One pass instead of a dozen: with e = exp(-|l|),
//   log p = x l - max(l, 0) - log1p(e),   d log p / d l = x - sigmoid(l),   sigmoid(l) = (l >= 0 ? 1 : e) / (1 + e).
// log1p(e) = 2 atanh(e / (2 + e)) by its series, whose argument is at most 1/3: the plain version in tests/support
// checks it.
#include "bernoulli_kernel.h"

#include <torch/csrc/autograd/custom_function.h>

#include "vem/core/exp_log.h"
#include "vem/core/target_clones.h"

namespace vem {
namespace {

/// exp(x) for x <= 0: below -87 it stays at e^-87, which no sum notices.
VEM_INLINE float exp_negative(float x) { return exp_inside(x < -87.0f ? -87.0f : x); }

/// log(1 + e) for 0 <= e <= 1: 2 atanh(s), s = e / (2 + e) <= 1/3; the first term left out is below 1e-8.
VEM_INLINE float log1p_unit(float e) {
  const float s = e / (2.0f + e), q = s * s;
  float p = 1.0f / 15;
  p = p * q + 1.0f / 13;
  p = p * q + 1.0f / 11;
  p = p * q + 1.0f / 9;
  p = p * q + 1.0f / 7;
  p = p * q + 1.0f / 5;
  p = p * q + 1.0f / 3;
  p = p * q + 1.0f;
  return 2.0f * s * p;
}

/// One row: the sum, and the derivative by element.
VEM_CLONES float row(const float* __restrict logits, const float* __restrict x, float* __restrict derivative,
                     int64_t n) {
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) {
    const float l = logits[i], size = __builtin_fabsf(l), e = exp_negative(-size);
    total += x[i] * l - 0.5f * (l + size) - log1p_unit(e);
    derivative[i] = x[i] - (l >= 0 ? 1.0f : e) / (1.0f + e);
  }
  return total;
}

class BernoulliLogProb final : public torch::autograd::Function<BernoulliLogProb> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& logits, const Tensor& x) {
    const Tensor l = logits.contiguous(), data = x.contiguous();
    const int64_t S = l.size(0), B = l.size(1), D = l.size(2);
    Tensor sums = at::empty({S, B}, l.options()), derivative = at::empty_like(l);
    const float *from = l.data_ptr<float>(), *values = data.data_ptr<float>();
    float *to = sums.data_ptr<float>(), *slope = derivative.data_ptr<float>();
    at::parallel_for(0, S * B, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, D)), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) to[r] = row(from + r * D, values + (r % B) * D, slope + r * D, D);
    });
    context->save_for_backward({derivative});
    return sums;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradient) {
    return {gradient[0].unsqueeze(-1) * context->get_saved_variables()[0], Tensor()};
  }
};

}  // namespace

Tensor bernoulli_log_prob(const Tensor& logits, const Tensor& x) { return BernoulliLogProb::apply(logits, x); }

}  // namespace vem
