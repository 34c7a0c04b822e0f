// EM of all four covariance structures against scikit-learn: the same data, start and iterations
// (golden/gaussian_mixture.py).
#include <gtest/gtest.h>

#include <fstream>

#include "support/amortised.h"
#include "support/models.h"
#include "support/places.h"

namespace vem {
namespace golden_mixture_test {

Dataset formula_data() {
  const Tensor n = at::arange(120, at::kDouble).unsqueeze(1), d = at::arange(3, at::kDouble).unsqueeze(0);
  const Tensor centers = at::tensor({0., 0., 0., 2.5, 1., -1., -1., 2., 2.5}, at::kDouble).view({3, 3});
  Dataset data;
  data.size = 120;
  data.columns["label"] = at::arange(120, at::kLong).remainder(3);
  data.columns["x"] = centers.index_select(0, data.columns["label"]) + at::sin(1.7 * (n + 1) * (d + 1)) +
                      0.5 * at::cos(2.3 * n + d * n / 7);
  data.schema.item_shape = {3};
  data.schema.num_classes = 3;
  return data;
}

TEST(MixtureGolden, EmOfFourCovariancesFollowsScikitLearn) {
  std::ifstream file(tests_folder() + "/golden/gaussian_mixture.txt");
  std::map<std::string, std::vector<double>> golden;
  std::string covariance;
  size_t steps = 0;
  for (double value = 0; file >> covariance >> steps >> value;) golden[covariance].push_back(value);
  ASSERT_EQ(golden.size(), 4u);
  const Dataset data = formula_data();
  for (const auto& [name, values] : golden) {
    ASSERT_EQ(values.size(), 20u);
    for (const std::string standardize : {"true", "false"}) {
      // a spherical covariance depends on the units
      if (name == "spherical" && standardize == "true") continue;
      const auto model = make_model(
          "[model]\nkind = \"gmm\"\nnum_components = 3\nestimate = \"ml\"\nstart = \"labels\"\n"
          "standardize = " +
              standardize +
              "\n[model.observation]\nkind = \"normal\"\n"
              "variance_floor = 0\ncovariance = \"" +
              name + "\"\n",
          data);
      FitOptions options;
      options.epochs = 20;
      options.tolerance = 0;
      const FitResult result = fit(*model, data, options, {plugins()});
      for (size_t i = 0; i < 20; ++i)
        EXPECT_NEAR(result.bounds[i], values[i], 1e-9 * std::abs(values[i])) << name << " " << i;
    }
  }
}

}  // namespace golden_mixture_test
}  // namespace vem
