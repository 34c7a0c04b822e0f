#include "vem/core/missing.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace vem {
namespace missing_test {

TEST(HasMissing, FindsTheOneCellWhereverItIs) {
  for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16})
    for (const int64_t columns : {1, 3, 100}) {
      const Tensor x = at::ones({7, columns}, dtype);
      x[0][0] = std::numeric_limits<double>::infinity();
      x[6][0] = -std::numeric_limits<double>::infinity();
      EXPECT_FALSE(has_missing(x));
      for (int64_t c = 0; c < columns; ++c) {
        const Tensor gap = x.clone();
        gap[5][c] = std::nan("");
        EXPECT_TRUE(has_missing(gap)) << dtype << " " << c;
        EXPECT_TRUE(has_missing(gap.t())) << dtype << " " << c;
        EXPECT_FALSE(has_missing(gap.slice(0, 0, 5)));
      }
    }
  EXPECT_FALSE(has_missing(at::zeros({0, 4})));
  EXPECT_FALSE(has_missing(at::ones({4}, at::kLong)));
}

}  // namespace missing_test
}  // namespace vem
