#include "vem/infer/aggregate.h"

#include <gtest/gtest.h>

#include "support/gradcheck.h"
#include "vem/core/rng.h"
#include "vem/dist/multivariate_normal.h"
#include "vem/dist/normal.h"

namespace vem {
namespace aggregate_test {

Tensor random(const Shape& shape, const std::string& stream) {
  int64_t n = 1;
  for (const int64_t size : shape) n *= size;
  return Rng(4).normal(at::arange(n, at::kLong), {}, stream).view(shape);
}

constexpr int64_t kItems = 5, kDraws = 3, kDims = 2;

struct Parts {
  Tensor mean = random({kItems, kDims}, "mean"), log_std = 0.3 * random({kItems, kDims}, "log std"),
         z = random({2, kDraws, kDims}, "z"), log_weight = random({kDraws, kItems}, "weight");
};

TEST(Aggregate, IsTheMixtureWrittenOut) {
  const Parts p;
  const DiagonalNormal q(p.mean, p.log_std);
  const AggregateDensity density = aggregate_density(q, p.z, p.log_weight);
  ASSERT_EQ(density.joint.sizes(), (Shape{2, kDraws}));
  for (int64_t s = 0; s < 2; ++s)
    for (int64_t i = 0; i < kDraws; ++i) {
      double joint = 0, product = 1;
      for (int64_t j = 0; j < kItems; ++j)
        joint += std::exp((p.log_weight[i][j] + q.log_prob(p.z[s][i].expand({kItems, kDims}))[j]).item<double>());
      for (int64_t d = 0; d < kDims; ++d) {
        double marginal = 0;
        for (int64_t j = 0; j < kItems; ++j) {
          const Normal one(p.mean[j][d], p.log_std[j][d].exp());
          marginal += std::exp((p.log_weight[i][j] + one.log_prob(p.z[s][i][d])).item<double>());
        }
        product *= marginal;
      }
      EXPECT_NEAR(density.joint[s][i].item<double>(), std::log(joint), 1e-12);
      EXPECT_NEAR(density.product[s][i].item<double>(), std::log(product), 1e-12);
    }
}

TEST(Aggregate, DependentDimensionsHaveTheJointAlone) {
  const Parts p;
  const FullNormal q(p.mean, at::diag_embed(p.log_std.exp()));
  const AggregateDensity full = aggregate_density(q, p.z, p.log_weight),
                         diagonal = aggregate_density(DiagonalNormal(p.mean, p.log_std), p.z, p.log_weight);
  EXPECT_LT((full.joint - diagonal.joint).abs().max().item<double>(), 1e-12);
  EXPECT_FALSE(full.product.defined());
}

TEST(Aggregate, GradientsAreThoseOfCentralDifferences) {
  const Parts p;
  const auto value = [&](const std::vector<Tensor>& in) {
    const AggregateDensity density = aggregate_density(DiagonalNormal(in[0], in[1]), in[2], p.log_weight);
    return (density.joint + 2 * density.product).sum();
  };
  EXPECT_LT(gradient_error(value, {p.mean, p.log_std, p.z}), 1e-6);
}

}  // namespace aggregate_test
}  // namespace vem
