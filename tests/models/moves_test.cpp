// Moves: births find every cluster from a start with one component, merges from a start with too many.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/models.h"

namespace vem {
namespace {

/// Eight clusters on a ring, ten standard deviations apart.
Dataset ring() {
  const int64_t n = 400;
  const Tensor index = at::arange(n, at::kLong), angle = index.remainder(8).to(at::kDouble) * (M_PI / 4);
  Dataset data;
  data.size = n;
  data.columns["x"] = 13 * at::stack({angle.cos(), angle.sin()}, 1) + Rng(2).normal(index, {2}, "x");
  data.columns["label"] = at::zeros({n}, at::kLong);
  data.schema.item_shape = {2};
  data.schema.num_classes = 1;
  return data;
}

int64_t components_with_rows(const Model& model, const Dataset& data) {
  const auto methods = model.methods();
  const Method& responsibilities = *Model::find(methods, "responsibilities");
  return (responsibilities.call({data.columns.at("x")}, Rng(0))[0].sum(0) > 0.5).sum().item<int64_t>();
}

class Warnings final : public Callback {
 public:
  void on_warning(const std::string& text) override { texts.push_back(text); }
  std::vector<std::string> texts;
};

TEST(Moves, FindEightClustersFromOneComponentAndFromThirty) {
  const Dataset data = ring();
  for (const std::string allocation : {"mixture-weights", "stick-breaking"})
    for (const std::string start : {"labels", "kmeans++"}) {  // one component; thirty
      const std::string toml = "[model]\nkind = \"gmm\"\nnum_components = 30\nstart = \"" + start +
                               "\"\n[model.allocation]\nkind = \"" + allocation + "\"\n";
      FitOptions options;
      options.epochs = 2000;
      options.seed = 3;
      const auto plain = make_model(toml, data), moved = make_model(toml, data);
      const FitResult without = fit(*plain, data, options, {plugins()});
      options.moves = true;
      Warnings warnings;
      const FitResult with = fit(*moved, data, options, {plugins(), nullptr, nullptr, {&warnings}});
      EXPECT_EQ(components_with_rows(*moved, data), 8) << allocation << " " << start;
      EXPECT_GE(with.bounds.back(), without.bounds.back() - 1e-3) << allocation << " " << start;
      // from one component, births are all that helps; thirty may empty themselves
      if (start == "labels") {
        EXPECT_GE(with.kept.count("birth"), 1u) << allocation;
      }
      EXPECT_TRUE(warnings.texts.empty());
      for (size_t i = 1; i < with.bounds.size(); ++i)
        EXPECT_GE(with.bounds[i] - with.bounds[i - 1], -1e-9 * std::abs(with.bounds[i]));
    }
}

}  // namespace
}  // namespace vem
