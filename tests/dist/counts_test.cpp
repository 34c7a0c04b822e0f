// Draws of counts against sums of exact probabilities, and against normal quantiles where they are billions.
#include "vem/dist/counts.h"

#include <gtest/gtest.h>

#include <cmath>

namespace vem {
namespace counts_test {

double log_choose(int64_t n, int64_t k) {
  return std::lgamma(static_cast<double>(n) + 1) - std::lgamma(static_cast<double>(k) + 1) -
         std::lgamma(static_cast<double>(n - k) + 1);
}

/// draw(u) must change from k to k + 1 where P(X <= k) is.
template <class Draw, class LogProbability>
void expect_inverse(int64_t low, int64_t high, const Draw& draw, const LogProbability& log_probability) {
  double below = 0;
  for (int64_t k = low; k <= high; ++k) {
    const double p = std::exp(log_probability(k));
    if (p > 1e-9) {
      EXPECT_EQ(draw(below + 1e-3 * p), k);
      EXPECT_EQ(draw(below + 0.999 * p), k);
    }
    below += p;
  }
  EXPECT_NEAR(below, 1, 1e-12);
}

TEST(Counts, HypergeometricIsTheInverseOfItsDistribution) {
  for (const std::array<int64_t, 3>& row :
       {std::array<int64_t, 3>{3, 10, 5}, {7, 10, 8}, {0, 5, 2}, {5, 5, 3}, {40, 90, 45}}) {
    const int64_t marked = row[0], total = row[1], draws = row[2];  // no structured binding: lambdas capture them
    expect_inverse(
        std::max<int64_t>(0, draws - (total - marked)), std::min(marked, draws),
        [=](double u) { return hypergeometric(u, marked, total, draws); },
        [=](int64_t k) {
          return log_choose(marked, k) + log_choose(total - marked, draws - k) - log_choose(total, draws);
        });
  }
}

TEST(Counts, BinomialIsTheInverseOfItsDistribution) {
  for (const auto& row : {std::pair<int64_t, double>{1, .5}, {10, .3}, {60, .97}, {200, .01}}) {
    const int64_t trials = row.first;
    const double p = row.second;
    expect_inverse(
        0, trials, [=](double u) { return binomial(u, trials, p); },
        [=](int64_t k) {
          return log_choose(trials, k) + static_cast<double>(k) * std::log(p) +
                 static_cast<double>(trials - k) * std::log1p(-p);
        });
  }
  EXPECT_EQ(binomial(.5, 7, 0), 0);
  EXPECT_EQ(binomial(.5, 7, 1), 7);
}

// One deviation above the mean at u = Phi(1), but for one count of rounding to whole numbers and 1 / sqrt(n) of skew.
TEST(Counts, BillionsTakeNoTime) {
  const int64_t n = 2000000000;
  const double above = 0.8413447460685429;
  EXPECT_NEAR(static_cast<double>(hypergeometric(.5, n, 2 * n, n)), 1e9, 2);
  EXPECT_NEAR(static_cast<double>(hypergeometric(above, n, 2 * n, n)), 1e9 + std::sqrt(2e9 / 8), 2);
  EXPECT_NEAR(static_cast<double>(binomial(above, n, .25)), 5e8 + std::sqrt(2e9 * 3 / 16), 2);
}

}  // namespace counts_test
}  // namespace vem
