// For each mistake that code of this kind is known for, one test that would see it.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/linear_vae.h"
#include "vem/infer/objective.h"

namespace vem {
namespace mistakes_test {

std::string vae(const std::string& top) {
  return "[model]\nkind = \"vae\"\nlatent_dim = 2\nprecision = \"float64\"\nencoder = {widths = [8]}\ndecoder = "
         "{widths "
         "= [8]}\n" +
         top;
}

Step step_of(bool training) {
  Step step;
  step.training = training;
  step.weights["learning_rate"] = 0.1;
  return step;
}

Expectation judged(const Model& model, const Dataset& data) {
  return model.e_step(data.batch(items(data.size), 0, at::kDouble), step_of(false), Rng(1));
}

// Binarisations mixed up: training sees new pixels each epoch, an evaluation the same ones always, which training never
// changes.
TEST(Mistakes, BinarisationsAreNotMixedUp) {
  Dataset data = sample_data(Sample::positive_images);
  data.binarize = Binarize::dynamic;
  const auto pixels = [&](int64_t epoch) { return data.batch(items(data.size), epoch, at::kDouble).at("x"); };
  EXPECT_FALSE(at::equal(pixels(1), pixels(2)));
  const auto model = make_model(vae(""), data);
  model->initialize(data, Rng(3));
  const double before = evaluate(*model, data, 20, 1).bound.item<double>();
  FitOptions options;
  options.epochs = 3;
  options.batch_size = 20;
  const auto other = make_model(vae(""), data);
  fit(*other, data, options, {plugins()});
  EXPECT_EQ(evaluate(*model, data, 20, 1).bound.item<double>(), before);
  EXPECT_EQ(evaluate(*model, data, 7, 1).count.item<double>(), 60);
}

// Means in the place of sums: log p(x | z) is a sum over pixels and the KL one over dimensions, in nats an item.
TEST(Mistakes, TheBoundIsASumOverPixelsAndDimensions) {
  const Dataset data = sample_data(Sample::images);
  const auto model = make_model(vae(""), data);
  model->initialize(data, Rng(3));
  // Networks that say nothing: every pixel has probability 1/2, and q(z | x) is N(1, 1) in each of two dimensions.
  for (auto& [name, value] : model->globals()) value.detach().zero_();
  model->globals().at("encoder.output.bias").detach().slice(0, 0, 2).fill_(1);
  const Expectation e = judged(*model, data);
  EXPECT_NEAR(e.bound.item<double>() / 60, 36 * std::log(.5) - 2 * .5, 1e-12);
  EXPECT_NEAR(e.metrics.at("kl").item<double>() / 60, 2 * .5, 1e-12);
}

// The sign of the KL: a q that is away from the exact posterior is worse, never better than the evidence.
TEST(Mistakes, TheKlIsTakenOff) {
  const LinearVae v = linear_vae("objective = {kind = \"elbo\", num_samples = 2000}\n");
  const double evidence = v.log_evidence().sum().item<double>();
  double last = evidence;
  for (const double error : {.3, .6, 1.}) {
    v.set_encoder(error);
    const Expectation e = judged(*v.model, v.data);
    EXPECT_LT(e.bound.item<double>(), last);
    EXPECT_GT(e.metrics.at("kl").item<double>(), 0);
    EXPECT_NEAR(e.bound.item<double>(), e.metrics.at("log_px").item<double>() - e.metrics.at("kl").item<double>(),
                1e-9);
    last = e.bound.item<double>();
  }
}

// Beta left on: an evaluation is that of the plain bound, whatever training maximises.
TEST(Mistakes, NoWeightIsLeftOnInAnEvaluation) {
  const Dataset data = sample_data(Sample::images);
  const auto plain = make_model(vae(""), data);
  plain->initialize(data, Rng(3));
  const double bound = judged(*plain, data).bound.item<double>();
  for (const char* objective : {"{kl_weight = 4.0}", "{free_bits = 1.0}", "{pull_to_capacity = true, capacity = 5.0}",
                                "{kind = \"dip\"}", "{kind = \"info\"}"}) {
    const auto bent = make_model(vae("objective = " + std::string(objective) + "\n"), data);
    bent->load(plain->state());
    EXPECT_NEAR(judged(*bent, data).bound.item<double>(), bound, 1e-10) << objective;
  }
}

// Partial batches: an update takes the mean over the items that it has seen, so ten items move parameters as far as the
// same ten twice; and the bound of a pass is the mean over items, not over batches.
TEST(Mistakes, PartialBatchesWeighAsManyItemsAsTheyHave) {
  const Dataset data = sample_data(Sample::images);
  const auto moved = [&](const Tensor& positions) {
    const auto model = make_model(vae("optimizer = {kind = \"sgd\"}\n"), data);
    model->initialize(data, Rng(3));
    model->m_step(model->e_step(data.batch(positions, 0, at::kDouble), step_of(true), Rng(1)), step_of(true), Rng(1));
    return copy(model->state());
  };
  const Tensor ten = items(10);
  EXPECT_LT(difference(moved(ten), moved(at::cat({ten, ten}))), 1e-12);

  const auto first_bound = [&](int64_t batch_size) {
    FitOptions options;
    options.epochs = 1;
    options.batch_size = batch_size;
    options.shuffle = false;
    const auto model = make_model(vae("optimizer = {kind = \"sgd\", learning_rate = 0.0}\n"), data);
    return fit(*model, data, options, {plugins()}).bounds.at(0);
  };
  EXPECT_NEAR(first_bound(25), first_bound(0), 1e-10);  // 25, 25 and 10 items
}

// Weights not detached: what scales the gradient of doubly reparameterised samples is a number, and the surrogate's
// value stays the bound's.
TEST(Mistakes, ImportanceWeightsThatScaleGradientsAreConstants) {
  const auto prior =
      plugins().create<Prior>(chosen("prior", "kind = \"standard\"\n"), {2, at::kDouble, nullptr, plugins()});
  const auto posterior = plugins().create<Posterior>(chosen("posterior", "kind = \"diagonal\"\n"), {2});
  const auto objective = plugins().create<Objective>(
      chosen("objective", "kind = \"iwae\"\nnum_samples = 4\ngradient = \"dreg\"\n"), {plugins()});
  const at::AutoGradMode on(true);
  const Batch batch = blank_batch(5);
  const Tensor parameters = (.5 * random({5, 4}, "parameters")).requires_grad_();
  const Tensor z = posterior->at(parameters)->rsample(random({4, 5, 2}, "noise"));
  const TensorMap globals;
  const Trace trace{{Latent(*posterior, parameters, z, *prior, batch, globals)}, -(z - 1).pow(2).sum(-1)};
  const ObjectiveValue value = (*objective)(trace, step_of(true));
  EXPECT_TRUE(value.bound.requires_grad());
  EXPECT_FALSE(value.path_scale.requires_grad());
  EXPECT_LT((value.path_scale.sum(0) - 1).abs().max().item<double>(), 1e-12);
  EXPECT_LT((value.surrogate - value.bound).abs().max().item<double>(), 1e-12);
}

}  // namespace mistakes_test
}  // namespace vem
