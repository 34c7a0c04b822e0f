// What the machine is asked for: kernels of OpenBLAS, and exponentials of our own in loops.
#include "vem/core/platform.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "vem/core/exp_log.h"

namespace vem {
namespace platform_test {

TEST(Platform, OpenBlasUsesTheVectorsOfTheProcessor) {
  tune_platform(1);
  const BlasInfo blas = blas_info();
  if (blas.config.find("OpenBLAS") == std::string::npos || vector_instructions() == "baseline")
    GTEST_SKIP() << "no OpenBLAS, or no vectors: " << blas.config;
  EXPECT_EQ(blas.config.find("Prescott"), std::string::npos) << blas.config;
  const at::Tensor a = at::rand({70, 50}, at::kDouble), b = at::rand({50, 60}, at::kDouble);
  EXPECT_TRUE(at::allclose(at::mm(a, b), (a.unsqueeze(2) * b.unsqueeze(0)).sum(1), 1e-13, 1e-13));
}

TEST(ExpLog, AreThoseOfTheLibraryToTheLastPlaces) {
  for (int i = -5100; i <= 5100; ++i) {
    const double x = 0.137 * i;
    EXPECT_NEAR(exp_of(x) / std::exp(x), 1, 1e-15) << x;
    EXPECT_NEAR(log_of(std::exp(x)) - x, 0, 1e-15 * std::max(1., std::abs(x))) << x;
  }
  for (int i = -6270; i <= 6400; ++i) {
    const float x = 0.0137F * static_cast<float>(i);
    EXPECT_NEAR(static_cast<double>(exp_of(x)) / std::exp(double{x}), 1, 2e-7) << x;
  }
  EXPECT_EQ(exp_of(-1e30F), 0);
  EXPECT_EQ(exp_of(-std::numeric_limits<double>::infinity()), 0);
  EXPECT_TRUE(std::isnan(exp_of(std::numeric_limits<double>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(exp_of(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace platform_test
}  // namespace vem
