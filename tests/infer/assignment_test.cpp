// The assignment problem against every permutation.
#include "vem/infer/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "vem/core/error.h"
#include "vem/core/rng.h"

namespace vem {
namespace assignment_test {

TEST(Assignment, IsTheCheapestPermutation) {
  for (int64_t n = 1; n <= 6; ++n) {
    const Tensor costs = Rng(1).normal(at::arange(n, at::kLong), {n}, "costs");
    const auto total = [&](const std::vector<int64_t>& column) {
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += costs[i][column[static_cast<size_t>(i)]].item<double>();
      return sum;
    };
    std::vector<int64_t> permutation(static_cast<size_t>(n));
    std::iota(permutation.begin(), permutation.end(), 0);
    double best = std::numeric_limits<double>::infinity();
    do best = std::min(best, total(permutation));
    while (std::next_permutation(permutation.begin(), permutation.end()));
    EXPECT_NEAR(total(assignment(costs)), best, 1e-12) << n;
  }
}

TEST(Assignment, CostsAreFinite) { EXPECT_THROW(assignment(at::full({2, 2}, std::nan(""), at::kDouble)), Error); }

}  // namespace assignment_test
}  // namespace vem
