// The nodes of a training step against the same formulas written as tensor operations.
#include "vem/dist/normal_function.h"

#include <gtest/gtest.h>

#include "support/amortised.h"
#include "vem/core/error.h"

namespace vem {
namespace normal_function_test {

using Formula = std::function<Tensor(const Tensor& mean, const Tensor& log_std)>;

/// Values, and gradients of a randomly weighted sum, of two formulas. Mean and log_std are the halves of one tensor, as
/// an encoder gives them.
void expect_equal(const Formula& ours, const Formula& plain, at::ScalarType type, double tolerance) {
  const Tensor parameters = random({5, 6}, "parameters").to(type).requires_grad_();
  const auto value = [&](const Formula& f) { return f(parameters.slice(1, 0, 3), parameters.slice(1, 3, 6)); };
  const Tensor a = value(ours), b = value(plain), weight = random(a.sizes().vec(), "weight").to(type);
  EXPECT_LE((a - b).abs().max().item<double>(), tolerance);
  const Tensor da = torch::autograd::grad({a}, {parameters}, {weight})[0],
               db = torch::autograd::grad({b}, {parameters}, {weight})[0];
  EXPECT_LE((da - db).abs().max().item<double>(), tolerance);
}

TEST(NormalFunction, EqualsTheFormulas) {
  for (const auto& [type, tolerance] : {std::pair{at::kDouble, 1e-13}, {at::kFloat, 1e-5}}) {  // some roundings
    for (const int64_t samples : {1, 4}) {
      const Tensor noise = random({samples, 5, 3}, "noise").to(type);
      expect_equal([&](const Tensor& m, const Tensor& l) { return normal_sample(m, l, noise); },
                   [&](const Tensor& m, const Tensor& l) { return m + l.exp() * noise; }, type, tolerance);
    }
    expect_equal(
        &normal_kl_to_standard, [](const Tensor& m, const Tensor& l) { return ((2 * l).exp() + m * m - 1) / 2 - l; },
        type, tolerance);
  }
}

TEST(NormalFunction, TakesNoiseThatExpandsAndNoRows) {
  const Tensor zero = at::zeros({4, 2}, at::kDouble), noise = random({3, 1, 2}, "noise");
  EXPECT_TRUE(at::equal(normal_sample(zero, zero, noise), noise.expand({3, 4, 2})));
  EXPECT_EQ(normal_sample(zero.slice(0, 0, 0), zero.slice(0, 0, 0), noise.slice(1, 0, 0)).numel(), 0);
  EXPECT_THROW(normal_sample(zero, zero.slice(1, 0, 1), noise), Error);
  EXPECT_THROW(normal_sample(zero, zero, noise[0][0]), Error);
}

}  // namespace normal_function_test
}  // namespace vem
