// Sums that are not finite are noticed where they are used, and batches of no weight change nothing.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/models.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"
#include "vem/dist/dirichlet.h"
#include "vem/train/fit.h"

namespace vem {
namespace not_finite_test {

/// A bound of 0 an item, whatever the sums: one entry of each is as told from the iteration `from` on.
class FiniteBound final : public Model {
 public:
  FiniteBound(const std::string& optimizer, int64_t from, double gradient, double statistic)
      : from_(from), gradient_(gradient), statistic_(statistic) {
    block_ = std::make_shared<GradientBlock>("networks",
                                             plugins().create<Optimizer>(chosen("optimizer", optimizer), {plugins()}));
    p_ = block_->add("p", {20}, at::kDouble);
    weights_ =
        std::make_shared<ConjugateBlock>("weights", std::make_shared<DirichletFamily>(2), 1, Estimate::posterior);
    weights_->set_prior(at::zeros({1, 2}, at::kDouble));
    blocks_ = {block_, weights_};
  }
  void initialize(const Dataset&, const Rng&) override {}
  Expectation e_step(const Batch& batch, const Step& step, const Rng&) const override {
    Expectation e;
    e.count = batch.weight.sum();
    e.bound = at::zeros({}, at::kDouble);
    e.sums["p"] = at::ones({20}, at::kDouble);
    e.sums["weights.t"] = at::ones({1, 2}, at::kDouble);
    if (step.iteration >= from_) {
      e.sums["p"][17] = gradient_;
      e.sums["weights.t"][0][1] = statistic_;
    }
    return e;
  }
  std::vector<Method> methods() const override { return {}; }
  at::ScalarType dtype() const override { return at::kDouble; }

 private:
  int64_t from_;
  double gradient_, statistic_;
  std::shared_ptr<GradientBlock> block_;
  std::shared_ptr<ConjugateBlock> weights_;
  Tensor p_;
};

std::string words(FiniteBound model) {
  const Dataset data = sample_data(Sample::blobs);
  FitOptions o;
  o.epochs = 3;
  o.batch_size = 20;
  try {
    fit(model, data, o, {plugins()});
  } catch (const NumericError& e) {
    return e.what();
  }
  return "no error";
}

TEST(NotFinite, ASumIsNoticedThoughTheBoundIsFinite) {
  for (const double bad : {std::nan(""), kInfinity, -kInfinity}) {
    EXPECT_EQ(
        words({"kind = \"sgd\"\n", 4, 1, bad}).rfind("m_step: the sums for weights.t are not finite at iteration 4", 0),
        0u);
    for (const std::string kind : {"adam", "adamax", "rmsprop", "sgd"})
      for (const std::string clipped : {"", "clip_value = 1.0\n", "average = 0.9\nclip_value = 1.0\n"})
        EXPECT_EQ(words({"kind = \"" + kind + "\"\n" + clipped, 4, bad, 1}),
                  "m_step: the gradient of p is not finite at its update 5")
            << kind << clipped << bad;
  }
  EXPECT_EQ(words({"kind = \"adam\"\n", 4, 1, 1}), "no error");
}

/// The first 16 items weigh nothing: a batch in order is theirs alone.
Dataset with_weightless_batch(Sample sample) {
  Dataset data = sample_data(sample);
  data.weight = at::ones({data.size}, at::kDouble);
  data.weight.slice(0, 0, 16).zero_();
  return data;
}

TEST(NotFinite, ABatchWithoutWeightChangesNothing) {
  for (const std::string toml : {"kind = \"gmm\"\n", "kind = \"gmm\"\nestimate = \"ml\"\n",
                                 "kind = \"vae\"\nlatent_dim = 2\nencoder = {widths = [8]}\ndecoder = {widths = [8]}\n"
                                 "likelihood = \"normal\"\n",
                                 "kind = \"vae\"\nlatent_dim = 2\nencoder = {widths = [8]}\ndecoder = {widths = [8]}\n"
                                 "likelihood = \"normal\"\nprior = {kind = \"mixture\"}\n",
                                 "kind = \"vae\"\nlatent_dim = 2\nencoder = {widths = [8]}\ndecoder = {widths = [8]}\n"
                                 "likelihood = \"normal\"\nobjective = \"dip\"\n",
                                 "kind = \"vae\"\nlatent_dim = 2\nencoder = {widths = [8]}\ndecoder = {widths = [8]}\n"
                                 "likelihood = \"normal\"\nobjective = \"total-correlation\"\n",
                                 "kind = \"vae\"\nlatent_dim = 2\nencoder = {widths = [8]}\ndecoder = {widths = [8]}\n"
                                 "likelihood = \"normal\"\nobjective = \"info\"\n"}) {
    const Dataset data = with_weightless_batch(Sample::blobs);
    const auto model = make_model("[model]\n" + toml, data);
    FitOptions o;
    o.epochs = 2;
    o.batch_size = 16;
    o.shuffle = false;
    const FitResult result = fit(*model, data, o, {plugins()});
    EXPECT_EQ(result.iteration, 6) << toml;  // of eight batches
    for (const auto& [key, value] : model->state()) EXPECT_FALSE(value.isnan().any().item<bool>()) << toml << key;
    for (const double bound : result.bounds) EXPECT_TRUE(std::isfinite(bound)) << toml;
    // nor does an M-step from that batch alone, outside a fit
    const Batch none = data.batch(at::arange(16, at::kLong), 0, model->dtype());
    model->m_step(model->e_step(none, Step(), Rng(0)), Step(), Rng(0));
    for (const auto& [key, value] : model->state()) EXPECT_FALSE(value.isnan().any().item<bool>()) << toml << key;
  }
}

TEST(NotFinite, DataWithoutWeightAreRefused) {
  Dataset data = sample_data(Sample::images);
  data.weight = at::zeros({data.size}, at::kDouble);
  const auto model =
      make_model("[model]\nkind = \"vae\"\nlatent_dim = 2\nencoder = {widths = [8]}\ndecoder = {widths = [8]}\n", data);
  EXPECT_THROW(fit(*model, data, FitOptions(), {plugins()}), DataError);
  model->initialize(sample_data(Sample::images), Rng(0));
  EXPECT_THROW(evaluate(*model, data, 10, 0), DataError);
}

// Of no row, as when a training resumes: the message used to look for the largest number in row 0.
TEST(NotFinite, ParametersAreNamedWhereNoRowIsTheReason) {
  const Dataset data = sample_data(Sample::blobs);
  const auto model = make_model("[model]\nkind = \"mixture\"\nnum_components = 2\n", data);
  model->initialize(data, Rng(1));
  TensorMap state = model->state();
  for (auto& entry : state)
    if (entry.first.find("scaling.") != std::string::npos) entry.second = at::full_like(entry.second, std::nan(""));
  model->load(state);
  const Batch none = data.batch(at::empty({0}, at::kLong), 0, model->dtype());
  try {
    model->e_step(none, Step(), Rng(1));
    ADD_FAILURE() << "no error";
  } catch (const NumericError& e) {
    const std::string message = e.what();
    EXPECT_NE(message.find("parameters are not numbers; was a damaged checkpoint loaded?"), std::string::npos)
        << message;
  }
}

}  // namespace not_finite_test
}  // namespace vem
