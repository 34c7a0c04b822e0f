// Moves: births find every cluster from a start with one component, merges from a start with too many.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/models.h"

namespace vem {
namespace moves_test {

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

/// A model that has one of its moves only.
class OnlyMove final : public Model {
 public:
  OnlyMove(std::shared_ptr<Model> model, std::string name) : model_(std::move(model)), name_(std::move(name)) {
    blocks_ = model_->blocks();
  }
  void initialize(const Dataset& train, const Rng& rng) override { model_->initialize(train, rng); }
  Expectation e_step(const Batch& batch, const Step& step, const Rng& rng) const override {
    return model_->e_step(batch, step, rng);
  }
  std::vector<Method> methods() const override { return model_->methods(); }
  at::ScalarType dtype() const override { return model_->dtype(); }
  std::vector<std::shared_ptr<Move>> moves() const override {
    std::vector<std::shared_ptr<Move>> one;
    for (const auto& move : model_->moves())
      if (move->name() == name_) one.push_back(move);
    return one;
  }

 private:
  std::shared_ptr<Model> model_;
  std::string name_;
};

struct Trap {
  std::string move;
  int64_t clusters, start;  // of the data, and components with rows at the start
};

// Two components that share one cluster, or one that has two: updates alone stop there, each move leads out.
TEST(Moves, EachMoveIsKeptWhereItHelps) {
  for (const Trap& trap : {Trap{"merge", 1, 2}, Trap{"delete", 1, 2}, Trap{"birth", 2, 1}}) {
    const int64_t n = 300;
    const Tensor index = at::arange(n, at::kLong);
    Dataset data;
    data.size = n;
    Tensor x = Rng(2).normal(index, {2}, "x");
    if (trap.clusters == 2) x = x + 5 * index.remainder(2).to(at::kDouble).unsqueeze(1);
    data.columns["x"] = x;
    data.columns["label"] = trap.start == 2 ? (x.select(1, 0) > 0).to(at::kLong) : at::zeros({n}, at::kLong);
    data.schema.item_shape = {2};
    data.schema.num_classes = 2;
    FitOptions options;
    options.epochs = 500;
    options.tolerance = 1e-4;
    const std::string toml = "[model]\nkind = \"gmm\"\nnum_components = 2\nstart = \"labels\"\n";
    const auto stuck = make_model(toml, data);
    const double without = fit(*stuck, data, options, {plugins()}).bounds.back();
    EXPECT_EQ(components_with_rows(*stuck, data), trap.start) << trap.move;
    options.moves = true;
    OnlyMove moved(make_model(toml, data), trap.move);
    const FitResult result = fit(moved, data, options, {plugins()});
    EXPECT_EQ(result.kept.count(trap.move), 1u) << trap.move;
    EXPECT_EQ(components_with_rows(moved, data), trap.clusters) << trap.move;
    EXPECT_GT(result.bounds.back(), without + 1) << trap.move;
    for (size_t i = 1; i < result.bounds.size(); ++i) EXPECT_GE(result.bounds[i], result.bounds[i - 1] - 1e-7);
  }
}

}  // namespace moves_test
}  // namespace vem
