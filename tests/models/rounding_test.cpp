// Bounds that fall by rounding alone are no warning; those that fall by more are.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/lda_reference.h"
#include "support/models.h"
#include "vem/core/error.h"

namespace vem {
namespace rounding_test {

class Warnings final : public Callback {
 public:
  void on_warning(const std::string& text) override { texts.push_back(text); }
  std::vector<std::string> texts;
};

std::vector<std::string> warnings_of(Model& model, const Dataset& data, int64_t epochs) {
  FitOptions options;
  options.epochs = epochs;
  options.tolerance = 0;
  Warnings warnings;
  fit(model, data, options, {plugins(), nullptr, nullptr, {&warnings}});
  return warnings.texts;
}

// Every row has the logarithm of a number near 1, so that the bound is 0 and its errors are as large as their number.
TEST(Rounding, OfABoundNearZeroIsThatOfItsTerms) {
  Dataset data;
  data.columns["x"] = at::zeros({98, 1}, at::kDouble);
  data.schema.item_shape = {1};
  data.offsets = at::arange(8, at::kLong) * 14;
  data.size = 7;
  const auto model = make_model(
      "[model]\nkind = \"hmm\"\nnum_components = 3\nestimate = \"ml\"\nstart = \"segments\"\n[model.observation]\nkind "
      "= "
      "\"categorical\"\n",
      data);
  EXPECT_EQ(warnings_of(*model, data, 100), std::vector<std::string>());
}

// Twenty short documents whose sums are of float32 numbers.
TEST(Rounding, OfFloat32SumsIsTheirs) {
  const Tensor u = Rng(1).uniform(at::arange(20, at::kLong), {12}, "words"),
               group = at::arange(20, at::kLong).remainder(3);
  const Tensor own = at::arange(12, at::kLong).div(4, "floor").unsqueeze(0).eq(group.unsqueeze(1)).to(at::kDouble);
  Dataset data = documents_of_counts((u * (1 + 3 * own)).floor());
  const auto model = make_model("[model]\nkind = \"lda\"\nnum_topics = 3\n", data);
  EXPECT_EQ(warnings_of(*model, data, 300), std::vector<std::string>());
}

/// A model whose M-step takes the bound down.
class Falling final : public Model {
 public:
  explicit Falling(std::shared_ptr<Model> model) : model_(std::move(model)) { blocks_ = model_->blocks(); }
  void initialize(const Dataset& train, const Rng& rng) override { model_->initialize(train, rng); }
  Expectation e_step(const Batch& batch, const Step& step, const Rng& rng) const override {
    Expectation e = model_->e_step(batch, step, rng);
    e.bound = e.bound - 1e-6 * static_cast<double>(step.iteration) * e.bound.abs();
    return e;
  }
  std::vector<Method> methods() const override { return {}; }
  at::ScalarType dtype() const override { return model_->dtype(); }

 private:
  std::shared_ptr<Model> model_;
};

TEST(Rounding, AFallByMoreIsAWarning) {
  const Dataset data = sample_data(Sample::counts);
  Falling model(make_model("[model]\nkind = \"mixture\"\n[model.observation]\nkind = \"poisson\"\n", data));
  EXPECT_GT(warnings_of(model, data, 200).size(), 10u);
}

// Where a pass may lower the bound, a higher one does not tell that an extrapolation was good.
TEST(Rounding, AccelerationNeedsABoundThatNoPassLowers) {
  const Dataset data = sample_data(Sample::documents);
  const auto model = make_model("[model]\nkind = \"lda\"\nnum_topics = 3\ngamma_start = \"fresh\"\n", data);
  FitOptions options;
  options.acceleration = FitOptions::Acceleration::squarem;
  EXPECT_THROW(fit(*model, data, options, {plugins()}), ConfigError);
}

}  // namespace rounding_test
}  // namespace vem
