// Both products of moments against the plain ones, for every set of instructions that this machine has.
#include "../models/factored/observations/moment_product.h"

#include <gtest/gtest.h>

#include "support/gaussian_reference.h"

namespace vem {
namespace moment_product_test {

using Vectors = MomentProduct::Vectors;

struct Sizes {
  int64_t n, D, K;
};
// Around whole vectors, tiles and panels; one row, one column, one component; many rows with sums in parts.
const std::vector<Sizes> kSizes{{1, 1, 1},   {7, 2, 3},    {8, 3, 8},    {9, 5, 9},     {16, 4, 16},   {17, 13, 17},
                                {33, 15, 5}, {64, 16, 25}, {255, 8, 32}, {256, 17, 33}, {257, 31, 41}, {700, 6, 100}};

class MomentProductOf : public testing::TestWithParam<std::tuple<Vectors, bool, at::ScalarType>> {
 protected:
  void SetUp() override {
    const auto [vectors, full, dtype] = GetParam();
    if (vectors > MomentProduct::best()) GTEST_SKIP() << "this machine lacks these instructions";
  }
};

TEST_P(MomentProductOf, IsThePlainProduct) {
  const auto [vectors, full, dtype] = GetParam();
  const double tolerance = dtype == at::kFloat ? 3e-5 : 1e-13;
  at::manual_seed(0);
  for (const Sizes& s : kSizes) {
    SCOPED_TRACE(fmt::format("{} rows, {} features, {} components", s.n, s.D, s.K));
    const Tensor x = at::randn({s.n, s.D}, dtype), moments = plain_moments(x, full);
    const Tensor weights = at::randn({moments.size(1), s.K}, dtype), r = at::rand({s.n, s.K}, dtype);
    const MomentProduct product(weights, full, vectors);
    EXPECT_EQ(product.num_features(), s.D);
    const Tensor columns = product.columns(x);
    EXPECT_TRUE(at::equal(columns, at::cat({at::ones({s.n, 1}, dtype), x}, 1)));
    const auto expect_near = [&](const Tensor& got, const Tensor& wanted) {
      ASSERT_EQ(got.sizes(), wanted.sizes());
      const double size = wanted.abs().max().item<double>();
      EXPECT_LT((got.to(at::kDouble) - wanted).abs().max().item<double>(), tolerance * (1 + size));
    };
    expect_near(product.log_lik(columns), at::mm(moments, weights.to(at::kDouble)));
    const Tensor sums = product.sums(columns, r);
    EXPECT_EQ(sums.scalar_type(), at::kDouble);
    expect_near(sums, at::mm(r.to(at::kDouble).t(), moments));
    // Rows beside each other, as they come from a table of several families.
    const Tensor rows = columns.contiguous();
    EXPECT_TRUE(at::equal(product.log_lik(rows), product.log_lik(columns)));
    EXPECT_TRUE(at::equal(product.sums(rows, r), sums));
  }
}

TEST_P(MomentProductOf, TakesNoRowsAndOtherTypes) {
  const auto [vectors, full, dtype] = GetParam();
  const Tensor x = at::arange(12, at::kDouble).view({4, 3}), moments = plain_moments(x, full);
  const MomentProduct product(at::ones({moments.size(1), 2}, dtype), full, vectors);
  const Tensor none = product.columns(x.slice(0, 0, 0));
  EXPECT_EQ(product.log_lik(none).sizes(), (Shape{0, 2}));
  EXPECT_TRUE(at::equal(product.sums(none, at::zeros({0, 2}, dtype)), at::zeros({2, moments.size(1)}, at::kDouble)));
  // Small integers: every type and order is exact.
  const Tensor bytes = product.columns(x.to(at::kByte));
  EXPECT_TRUE(at::equal(product.log_lik(bytes).to(at::kDouble), moments.sum(1, true).expand({4, 2})));
  EXPECT_TRUE(at::equal(product.sums(bytes, at::ones({4, 2}, dtype)), moments.sum(0, true).expand({2, -1})));
}

INSTANTIATE_TEST_SUITE_P(Instructions, MomentProductOf,
                         testing::Combine(testing::Values(Vectors::any, Vectors::avx2, Vectors::avx512),
                                          testing::Bool(), testing::Values(at::kFloat, at::kDouble)));

}  // namespace moment_product_test
}  // namespace vem
