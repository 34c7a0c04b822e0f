// VAEs on tables as people have them: real columns of any unit and counts of any size train with the default options,
// what an encoder sees of them, and the words when a first step fails.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/linear_vae.h"
#include "vem/core/error.h"

namespace vem {
namespace vae_inputs_test {

Dataset table_of(const Tensor& x, std::vector<std::string> names = {}) {
  Dataset data;
  data.size = x.size(0);
  data.schema.item_shape = {x.size(1)};
  data.schema.feature_names = std::move(names);
  data.columns["x"] = x;
  return data;
}

/// 13 columns that depend on two factors, with the means and deviations of measurements of wine: from 0.1 to 300 about
/// values up to 750.
Dataset wine() {
  const Tensor mean = at::tensor({13., 2.3, 2.4, 19.5, 100., 2.3, 2., .36, 1.6, 5.1, .96, 2.6, 750.}, at::kDouble),
               deviation = at::tensor({.8, 1.1, .27, 3.3, 14., .63, 1., .12, .57, 2.3, .23, .71, 315.}, at::kDouble);
  const int64_t n = 300;
  const Tensor factors = at::mm(random({n, 2}, "factors"), random({2, 13}, "loadings"));
  return table_of(mean + deviation * (0.8 * factors + 0.5 * random({n, 13}, "noise")));
}

/// Counts of 12 columns whose means lie between 1 and `largest` and rise and fall together.
Dataset counts(double largest) {
  const int64_t n = 300;
  const Tensor level =
      (at::linspace(0, std::log(largest), 12, at::kDouble) + 0.5 * random({n, 1}, "level") * random({12}, "loading"));
  return table_of((level.clamp_max(std::log(largest)).exp() + level.exp().sqrt() * random({n, 12}, "noise"))
                      .clamp(0, 1.3 * largest)
                      .round());
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

/// The bound of an item after so many epochs of the model with its default options.
double trained(const std::string& likelihood, const Dataset& data, int64_t epochs) {
  const auto model = make_model("[model]\nkind = \"vae\"\nlikelihood = \"" + likelihood + "\"\n", data);
  FitOptions options;
  options.epochs = epochs;
  options.batch_size = 128;
  fit(*model, data, options, {plugins()});
  return evaluate(*model, data, 0, 1).bound.item<double>() / static_cast<double>(data.size);
}

// More than independent normals with the columns' own moments: by those the mean log-density is -log std - log(2 pi
// e) / 2 a column, the best that knows nothing of the dependence.
TEST(VaeInputs, DefaultsTrainOnRealColumnsOfEveryScale) {
  const Dataset data = wine();
  const double independent =
      -(data.columns.at("x").std(0, false).log() + 0.5 * std::log(2 * M_PI * M_E)).sum().item<double>();
  for (const char* likelihood : {"normal", "student-t"}) EXPECT_GT(trained(likelihood, data, 30), independent + 1);
  EXPECT_GT(trained("laplace", data, 30), independent);
}

// More than a Poisson distribution for each column at the mean of its counts.
TEST(VaeInputs, DefaultsTrainOnCountsOfEverySize) {
  const auto independent = [](const Dataset& data) {
    const Tensor& x = data.columns.at("x");
    return (at::xlogy(x, x.mean(0)) - x.mean(0) - at::lgamma(x + 1)).sum(1).mean().item<double>();
  };
  const Dataset small = counts(80), large = counts(1000);
  EXPECT_GT(trained("poisson", small, 12), independent(small) + 5);
  EXPECT_GT(trained("poisson", large, 12), independent(large) + 10);
  EXPECT_GT(trained("negative-binomial", large, 4), independent(large) + 10);
  EXPECT_TRUE(std::isfinite(trained("multinomial", large, 4)));
}

/// The mean that `encode` gives where a linear encoder copies what it sees of rows x.
Tensor seen(const std::string& options, const Tensor& x) {
  const Dataset data = table_of(x);
  const int64_t columns = x.size(1);
  const auto model =
      make_model(fmt::format("[model]\nkind = \"vae\"\nlatent_dim = {}\nprecision = \"float64\"\nencoder "
                             "= {{widths = []}}\ndecoder = {{widths = [4]}}\n{}",
                             columns, options),
                 data);
  model->initialize(data, Rng(3));
  const Tensor identity = at::eye(columns, at::kDouble);
  model->globals().at("encoder.output.weight").detach().copy_(at::cat({identity, 0 * identity}));
  model->globals().at("encoder.output.bias").detach().zero_();
  return Model::find(model->methods(), "encode")->call({x}, Rng(1))[0];
}

TEST(VaeInputs, AnEncoderSeesScaledNumbers) {
  Tensor x = (40 * at::sigmoid(2 * random({30, 3}, "x"))).floor();
  const Tensor standard = (x - x.mean(0)) / x.std(0, false);
  const auto expect = [&](const std::string& options, const Tensor& expected) {
    EXPECT_LT(difference(seen(options, x), expected), 1e-12) << options;
  };
  expect("likelihood = \"poisson\"\n", x.log1p());
  expect("likelihood = \"negative-binomial\"\n", x.log1p());
  expect("likelihood = \"multinomial\"\n", x.log1p());
  expect("likelihood = {kind = \"categorical\", num_categories = 41}\n", x / 40);
  expect("likelihood = \"normal\"\n", standard);
  expect("likelihood = \"normal\"\nstandardize = false\n", standard);
  expect("likelihood = {kind = \"laplace\", scale = \"fixed\"}\n", standard);
  const std::string raw = "encoder_inputs = \"raw\"\n";
  for (const char* likelihood :
       {"\"poisson\"", "{kind = \"categorical\", num_categories = 41}", "{kind = \"normal\", scale = \"fixed\"}"})
    expect(raw + "likelihood = " + likelihood + "\n", x);
  expect(raw + "likelihood = \"student-t\"\nstandardize = false\n", x);
  x[4][1] = std::nan("");
  EXPECT_EQ(seen("likelihood = \"poisson\"\n", x)[4][1].item<double>(), 0);
}

// A scale that the user gives is in the unit of the data: the evidence of such a linear model is known.
TEST(VaeInputs, AGivenScaleIsInTheUnitOfTheData) {
  const LinearVae v = linear_vae();
  Step judging;
  judging.training = false;
  const Batch batch = v.data.batch(items(40), 0, at::kDouble);
  EXPECT_NEAR((v.model->e_step(batch, judging, Rng(1)).bound - v.log_evidence().sum()).item<double>(), 0, 20);
  EXPECT_TRUE(at::equal(v.model->state().at("model/scaling.scale"), at::ones({5}, at::kDouble)));
}

// One scale for all pixels of a channel: by itself, a pixel that is nearly always dark would be blown up.
TEST(VaeInputs, ImagesAreStandardisedByChannel) {
  Dataset data = sample_data(Sample::positive_images);
  data.schema.item_shape = {2, 3, 6};
  const auto model = make_model("[model]\nkind = \"vae\"\nlikelihood = \"normal\"\n", data);
  model->initialize(data, Rng(1));
  const Tensor x = data.columns.at("x").view({60, 2, 18}).transpose(0, 1).reshape({2, -1});
  const TensorMap state = model->state();
  for (const auto& [key, expected] :
       std::map<std::string, Tensor>{{"model/scaling.center", x.mean(1)}, {"model/scaling.scale", x.std(1, false)}})
    EXPECT_LT(difference(state.at(key).view({2, 18}), expected.unsqueeze(1).expand({2, 18})), 1e-12) << key;
}

TEST(VaeInputs, AFirstStepThatFailsNamesTheColumnAndTheOption) {
  Dataset data = wine();
  data.columns["x"] = 1e18 * data.columns["x"];
  for (int64_t i = 0; i < 13; ++i) data.schema.feature_names.push_back(fmt::format("c{}", i));
  const auto words = [&](const std::string& options, const Dataset& table) {
    const auto model = make_model("[model]\nkind = \"vae\"\n" + options, table);
    FitOptions once;
    once.epochs = 1;
    return message_of([&] { fit(*model, table, once, {plugins()}); });
  };
  const std::string real = words("likelihood = \"normal\"\nstandardize = false\nencoder_inputs = \"raw\"\n", data);
  EXPECT_EQ(real.find("vae: the bound is "), 0u) << real;
  EXPECT_NE(real.find(" at iteration 0; the largest number that the encoder sees is "), std::string::npos) << real;
  EXPECT_NE(real.find(", of c12; model.standardize = true brings columns to one scale"), std::string::npos) << real;
  const std::string many =
      words("likelihood = \"multinomial\"\nencoder_inputs = \"raw\"\n", table_of(1e18 * counts(1000).columns.at("x")));
  EXPECT_NE(many.find(", of feature "), std::string::npos) << many;
  EXPECT_NE(many.find("; model.encoder_inputs = \"scaled\" brings them to one scale"), std::string::npos) << many;
}

}  // namespace vae_inputs_test
}  // namespace vem
