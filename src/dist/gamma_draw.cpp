// Gamma draws whose logarithm is differentiable: x = y u^(1/a) with y ~ Gamma(a + 1) (Marsaglia and Tsang 2000, section
// 6), so that no draw underflows, and the slope of y by implicit reparameterisation (Figurnov, Mohamed and Mnih 2018):
// at a fixed quantile dx/da = -(dF/da) / p(x), here as an integral that has no cancellation on the side of x's tail:
//   dx/da = +x int_0^inf exp( a s - x (e^s - 1)) (log x - digamma(a) + s) ds    from x upwards,
//   dx/da = -x int_0^inf exp(-a s + x (1 - e^-s)) (log x - digamma(a) - s) ds   from x downwards,
// since p(x e^s) e^s / p(x) = exp(a s - x (e^s - 1)) and d log p / da = log x - digamma(a) has mean zero.
#include <torch/csrc/autograd/custom_function.h>

#include <array>

#include "check.h"
#include "draws.h"

namespace vem {
namespace {

constexpr size_t kNodes = 64;

struct QuadratureRule {
  std::array<double, kNodes> node, weight;
};

/// Gauss-Legendre on [0, 1]: roots of the Legendre polynomial by Newton's method.
const QuadratureRule& legendre() {
  static const QuadratureRule rule = [] {
    QuadratureRule r{};
    for (size_t i = 0; i < kNodes; ++i) {
      double x = std::cos(M_PI * (static_cast<double>(i) + 0.75) / (kNodes + 0.5)), slope = 1;
      for (int step = 0; step < 20; ++step) {
        double p = 1, before = 0;
        for (size_t n = 1; n <= kNodes; ++n) {
          const auto k = static_cast<double>(n);
          before = std::exchange(p, ((2 * k - 1) * x * p - (k - 1) * before) / k);
        }
        slope = kNodes * (x * p - before) / (x * x - 1);
        x -= p / slope;
      }
      r.node[i] = 0.5 * (1 + x);
      r.weight[i] = 1 / ((1 - x * x) * slope * slope);
    }
    return r;
  }();
  return rule;
}

double digamma(double x) {
  double shift = 0;
  for (; x < 16; x += 1) shift -= 1 / x;
  const double q = 1 / (x * x);
  return shift + std::log(x) - 0.5 / x -
         q * (1. / 12 - q * (1. / 120 - q * (1. / 252 - q * (1. / 240 - q * (1. / 132 - q * (691. / 32760))))));
}

class LogGammaDraw final : public torch::autograd::Function<LogGammaDraw> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& a, const Tensor& y,
                        const Tensor& log_u) {
    const Tensor wide = a.to(at::kDouble);
    context->save_for_backward({wide, y, log_u});
    return (y.log() + log_u / wide).to(a.scalar_type());
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradient) {
    const auto saved = context->get_saved_variables();
    const Tensor a = saved[0].contiguous(), y = saved[1].contiguous();
    Tensor slope = at::empty_like(y);
    const double *as = a.data_ptr<double>(), *ys = y.data_ptr<double>();
    double* out = slope.data_ptr<double>();
    at::parallel_for(0, y.numel(), 256, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = gamma_quantile_slope(as[i] + 1, ys[i]) / ys[i];
    });
    return {gradient[0] * (slope - saved[2] / (a * a)).to(gradient[0].scalar_type()), Tensor(), Tensor()};
  }
};

}  // namespace

double gamma_quantile_slope(double a, double x) {
  const double sign = x > a ? 1 : -1;
  const auto exponent = [&](double s) { return sign * a * s - x * std::expm1(sign * s); };
  // where the integrand is e^-45 of its value at zero: found by doubling, then bisected; the exponent is concave
  double length = 1 / std::max(a, x), step;
  while (exponent(length) > -45) length *= 2;
  for (step = length / 2; step > 0.01 * length; step /= 2)
    if (exponent(length - step) < -45) length -= step;
  const double constant = std::log(x) - digamma(a);
  double total = 0;
  for (size_t i = 0; i < kNodes; ++i) {
    const double s = length * legendre().node[i];
    total += legendre().weight[i] * std::exp(exponent(s)) * (constant + sign * s);
  }
  return sign * x * length * total;
}

Tensor log_gamma_draw(const Tensor& a, const Shape& sample_shape, const Rng& rng, const char* stream) {
  const Tensor full = a.expand(concatenated(sample_shape, Shape(static_cast<size_t>(a.dim()), -1))).contiguous();
  const Rng key = rng.fold(stream);
  const Tensor y = key.gamma(full.detach().to(at::kDouble) + 1, "gamma");
  return LogGammaDraw::apply(full, y, uniform_noise(sample_shape, a, key).log());
}

}  // namespace vem
