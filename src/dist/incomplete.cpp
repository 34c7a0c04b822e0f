// The incomplete gamma and beta functions by their series and continued fractions (Abramowitz and Stegun 6.5.29,
// 6.5.31 and 26.5.8; evaluated by Lentz's method).
#include "vem/dist/incomplete.h"

#include <cmath>
#include <cstdint>
#include <limits>

namespace vem::special {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kTiny = 1e-300;        // in the place of a denominator of 0
constexpr int64_t kTerms = 10'000'000;  // the square root of the largest argument decides how many are needed

double nonzero(double x) { return std::abs(x) < kTiny ? kTiny : x; }

double gamma_series(double a, double x) {
  double term = 1 / a, sum = term;
  for (int64_t n = 1; n < kTerms && term > kEpsilon * sum; ++n) sum += term *= x / (a + static_cast<double>(n));
  return sum;
}
double gamma_fraction(double a, double x) {
  double b = x + 1 - a, c = 1 / kTiny, d = 1 / nonzero(b), h = d;
  for (int64_t n = 1; n < kTerms; ++n) {
    const auto i = static_cast<double>(n);
    b += 2;
    d = 1 / nonzero(-i * (i - a) * d + b);
    c = nonzero(b - i * (i - a) / c);
    const double factor = c * d;
    h *= factor;
    if (std::abs(factor - 1) < kEpsilon) break;
  }
  return h;
}

double beta_fraction(double a, double b, double x) {
  double c = 1, d = 1 / nonzero(1 - (a + b) * x / (a + 1)), h = d;
  for (int64_t n = 1; n < kTerms; ++n) {
    const auto m = static_cast<double>(n);
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / nonzero(1 + even * d);
    c = nonzero(1 + even / c);
    h *= c * d;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / nonzero(1 + odd * d);
    c = nonzero(1 + odd / c);
    const double factor = c * d;
    h *= factor;
    if (std::abs(factor - 1) < kEpsilon) break;
  }
  return h;
}

}  // namespace

double incomplete_gamma_above(double a, double x) {
  if (std::isnan(a) || std::isnan(x)) return std::nan("");
  if (x <= 0) return 1;
  if (std::isinf(x)) return 0;
  const double front = std::exp(a * std::log(x) - x - std::lgamma(a));
  return x < a + 1 ? 1 - front * gamma_series(a, x) : front * gamma_fraction(a, x);
}

double incomplete_beta(double a, double b, double x) {
  if (std::isnan(a) || std::isnan(b) || std::isnan(x)) return std::nan("");
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

}  // namespace vem::special
