// See counts.h.
#include "vem/dist/counts.h"

#include <algorithm>
#include <cmath>

namespace vem {
namespace {

// Values that are so much less probable than the mode are left out.
constexpr double kNegligible = 1e-20;

/// The least k with P(X <= k) >= u, for a distribution on [low, high] whose weights rise to about `mode` and fall from
/// there. ratio(k) = P(k + 1) / P(k).
template <class Ratio>
int64_t inverse(double u, int64_t low, int64_t high, int64_t mode, const Ratio& ratio) {
  double total = 1, weight = 1, first_weight = 1;
  int64_t first = mode, last = mode;
  for (; first > low && weight > kNegligible; total += weight) first_weight = weight /= ratio(--first);
  for (weight = 1; last < high && weight > kNegligible; total += weight) weight *= ratio(last++);
  double left = u * total - first_weight;
  weight = first_weight;
  int64_t k = first;
  for (; left > 0 && k < last; left -= weight) weight *= ratio(k++);
  return k;
}

}  // namespace

int64_t hypergeometric(double u, int64_t marked, int64_t total, int64_t draws) {
  const int64_t low = std::max<int64_t>(0, draws - (total - marked)), high = std::min(marked, draws);
  const auto M = static_cast<double>(marked), n = static_cast<double>(draws), N = static_cast<double>(total);
  const auto mode = static_cast<int64_t>(std::floor((n + 1) * ((M + 1) / (N + 2))));
  const auto ratio = [&](int64_t value) {
    const auto k = static_cast<double>(value);
    return (M - k) * (n - k) / ((k + 1) * (N - M - n + k + 1));
  };
  return inverse(u, low, high, std::clamp(mode, low, high), ratio);
}

int64_t binomial(double u, int64_t trials, double p) {
  if (p <= 0) return 0;
  if (p >= 1) return trials;
  const double odds = p / (1 - p);
  const auto mode = static_cast<int64_t>(std::floor((static_cast<double>(trials) + 1) * p));
  const auto ratio = [&](int64_t k) { return static_cast<double>(trials - k) / static_cast<double>(k + 1) * odds; };
  return inverse(u, 0, trials, std::min(mode, trials), ratio);
}

}  // namespace vem
