// Few rows of many columns: families of independent columns take memory in proportion to the columns, and a family of
// matrices that no machine holds says so before it begins.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/memory_limit.h"
#include "support/models.h"
#include "support/sanitized.h"
#include "vem/core/error.h"

namespace vem {
namespace wide_rows_test {

constexpr int64_t kRows = 50, kColumns = 10000;
// What a matrix of the columns takes is 800 MB. A sanitizer keeps for a while what is given back.
constexpr int64_t kEnough = int64_t{kSanitized ? 4096 : 256} << 20;

Dataset wide(const Tensor& x) {
  Dataset data;
  data.columns["x"] = x;
  data.schema.item_shape = {x.size(1)};
  data.size = x.size(0);
  return data;
}

/// Zeros, ones and twos, which every family explains.
Tensor few_counts(int64_t categories) {
  return Rng(1).uniform(at::arange(kRows, at::kLong), {kColumns}, "rows").mul(categories).floor();
}

FitOptions passes(int64_t count) {
  FitOptions options;
  options.epochs = count;
  return options;
}

TEST(WideRows, ClosedFormModelsOfIndependentColumnsFormNoMatrixOfThem) {
  const Dataset counts = wide(few_counts(3)), bits = wide(few_counts(2));
  for (const std::string kind : {"mixture", "hmm"})
    for (const auto& [observation, data] : std::initializer_list<std::pair<std::string, const Dataset*>>{
             {"normal\"\ncovariance = \"diagonal", &counts},
             {"normal\"\ncovariance = \"spherical", &counts},
             {"bernoulli", &bits},
             {"poisson", &counts},
             {"exponential", &counts},
             {"multinomial", &counts},
             {"categorical\"\nnum_symbols = 3\n#", &counts}}) {
      if (kind == "hmm" && data == &counts && observation != "poisson") continue;  // the same observations
      Dataset rows = *data;
      if (kind == "hmm") {
        rows.offsets = at::arange(0, kRows + 1, 10, at::kLong);
        rows.size = kRows / 10;
      }
      const MemoryLimit limit(kEnough);
      const auto model = make_model(
          "[model]\nkind = \"" + kind + "\"\nnum_components = 2\n[model.observation]\nkind = \"" + observation + "\"\n",
          rows);
      const FitResult result = fit(*model, rows, passes(2), {plugins()});
      EXPECT_GE(result.bounds.back(), result.bounds[0]) << kind << " " << observation;
      EXPECT_TRUE(std::isfinite(evaluate(*model, rows, 0, 0).bound.item<double>())) << kind << " " << observation;
      model->diagnostics();
    }
}

// Of the columns of a product, those of a full covariance alone have one.
TEST(WideRows, AProductAsksForTheCovarianceOfSomeColumns) {
  Dataset data = wide(few_counts(2));
  std::vector<std::string> bits;
  for (int64_t d = 0; d < kColumns; ++d) {
    data.schema.feature_names.push_back("x" + std::to_string(d));
    if (d > 2) bits.push_back(data.schema.feature_names.back());
  }
  const MemoryLimit limit(kEnough);
  const auto model = make_model(fmt::format("[model]\nkind = \"mixture\"\n[model.observation]\nkind = \"product\"\n"
                                            "normal_columns = \"x0,x1,x2\"\nbernoulli_columns = \"{}\"\n",
                                            fmt::join(bits, ",")),
                                data);
  const FitResult result = fit(*model, data, passes(3), {plugins()});
  EXPECT_GE(result.bounds.back(), result.bounds[0]);
}

TEST(WideRows, AVaeBeginsWithoutAMatrixOfColumns) {
  const Dataset data = wide(few_counts(2));
  const MemoryLimit limit(kEnough);
  const auto model = make_model(
      "[model]\nkind = \"vae\"\nlatent_dim = 2\nlikelihood = \"normal\"\nstandardize = true\nprior = {kind = "
      "\"mixture\", num_components = 3}\nencoder = {kind = \"mlp\", widths = [8]}\ndecoder = {kind = \"mlp\", widths = "
      "[8]}\n",
      data);
  EXPECT_TRUE(std::isfinite(fit(*model, data, passes(2), {plugins()}).bounds.back()));
}

TEST(WideRows, MatricesBeyondTheMachineAreRefusedAtOnce) {
  const Dataset data = wide(few_counts(2));
  for (const std::string covariance : {"full", "tied", "ppca"}) {
    const MemoryLimit limit(kEnough);
    try {
      make_model(
          "[model]\nkind = \"mixture\"\nnum_components = 4000\nestimate = \"ml\"\n[model.observation]\nkind = "
          "\"normal\"\ncovariance = \"" +
              covariance + "\"\n",
          data);
      ADD_FAILURE() << covariance;
    } catch (const ConfigError& e) {
      const std::string words = e.what();
      EXPECT_EQ(words.find("normal: 4000 components with covariance = \"" + covariance +
                           "\" of 10000 columns need about 32.0 TiB of memory, and there are "),
                0u)
          << words;
    }
  }
}

}  // namespace wide_rows_test
}  // namespace vem
