// A conjugate mixture as a prior has one normalised density: it integrates to one, draws of the program and of an
// export follow it, and importance sampling and annealing find the likelihood that it gives, by quadrature in one
// dimension.
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include "support/amortised.h"
#include "support/models.h"
#include "support/temporary_folder.h"
#include "vem/infer/prior.h"
#include "vem/train/exporter.h"

namespace vem {
namespace prior_density_test {

constexpr double kNoise = 0.4;

/// Leaves so little of what the components have seen that their posterior is wide, and a Student-t far from a normal.
void forget(const std::vector<std::shared_ptr<Block>>& blocks) {
  for (const auto& each : blocks) {
    auto* block = dynamic_cast<ConjugateBlock*>(each.get());
    if (!block) continue;
    Expectation few;
    few.sums[block->key()] = 0.02 * (block->eta() - block->eta_prior());  // of 512 pseudo items
    block->m_step(few, Step(), Rng(0));
  }
}

/// Points and weights of the trapezoid rule in s with z = 3 sinh(pi / 2 sinh s), which copes with heavy tails.
std::pair<Tensor, Tensor> line() {
  const int64_t n = 4001;
  const Tensor s = at::linspace(-3.2, 3.2, n, at::kDouble), inner = s.sinh() * M_PI_2;
  return {3 * inner.sinh(), 3 * inner.cosh() * s.cosh() * (M_PI_2 * 6.4 / static_cast<double>(n - 1))};
}

/// The largest difference of the distribution functions of draws [n] and of a density on the line.
double distance(const Tensor& draws, const Tensor& log_density) {
  const auto [z, weight] = line();
  const Tensor mass = log_density.exp() * weight, below = mass.cumsum(0) - 0.5 * mass;
  const Tensor sorted = std::get<0>(draws.flatten().to(at::kDouble).sort());
  const Tensor above = at::searchsorted(z, sorted).clamp(1, z.size(0) - 1), under = above - 1;
  const Tensor share = (sorted - z.index_select(0, under)) / (z.index_select(0, above) - z.index_select(0, under));
  const Tensor expected = at::lerp(below.index_select(0, under), below.index_select(0, above), share);
  const int64_t n = sorted.size(0);
  return (expected - (at::arange(n, at::kDouble) + 0.5) / static_cast<double>(n)).abs().max().item<double>();
}

/// Kolmogorov's bound at about one in a thousand.
double allowed(int64_t draws) { return 1.95 / std::sqrt(static_cast<double>(draws)); }

std::string options(const std::string& estimate, const std::string& covariance, const std::string& allocation) {
  return "kind = \"mixture\", num_components = 3, estimate = \"" + estimate + "\", allocation = \"" + allocation +
         "\", observation = {kind = \"normal\", covariance = \"" + covariance + "\"}";
}

TEST(PriorDensity, IntegratesToOneAndIsWhatIsDrawn) {
  const auto [z, weight] = line();
  const at::NoGradGuard no_grad;
  for (const std::string estimate : {"map", "posterior"})
    for (const std::string covariance : {"full", "tied", "diagonal", "spherical"})
      for (const std::string allocation : {"mixture-weights", "stick-breaking"}) {
        const std::string name = options(estimate, covariance, allocation);
        ChoiceOptions choice("prior", "mixture");
        Config::parse("prior = {" + name + "}\n", "test").read(choice, plugins());
        const auto prior = plugins().create<Prior>(choice.choice, {1, at::kDouble, parameter_block(), plugins()});
        prior->initialize(at::zeros({1, 1}, at::kDouble), Rng(6));
        forget(prior->blocks());
        TensorMap globals;
        for (const auto& block : prior->blocks()) globals.merge(block->globals());
        const Batch batch = blank_batch(z.size(0));
        const auto density = [&, points = z.view({1, -1, 1})](bool predictive) {
          return (predictive ? prior->log_predictive(points, batch, globals) : prior->log_prob(points, batch, globals))
              .detach()[0];
        };
        // Tails beyond the line: of two degrees of freedom or more, below 1e-8.
        EXPECT_NEAR((density(true).exp() * weight).sum().item<double>(), 1, 1e-6) << name;
        EXPECT_LT(distance(prior->sample(items(8000), Rng(2)), density(true)), allowed(8000)) << name;
        if (estimate == "map") {
          EXPECT_TRUE(at::equal(density(true), density(false))) << name;
        } else {  // exp E[log p] has lost some of its mass, and is nowhere above E[p]
          EXPECT_LT((density(false).exp() * weight).sum().item<double>(), 0.95) << name;
          EXPECT_GT((density(true) - density(false)).min().item<double>(), 0) << name;
        }
      }
}

/// z with a mixture of Student-t as its prior, and x = z + noise.
struct OneDimension {
  OneDimension() {
    data.size = 5;
    data.schema.item_shape = {1};
    data.columns["x"] = at::tensor({-2.5, -0.4, 0.3, 1.1, 4.0}, at::kDouble).view({5, 1});
    model = make_model(
        "[model]\nkind = \"vae\"\nlatent_dim = 1\nprecision = \"float64\"\nencoder_inputs = \"raw\"\n"
        "encoder = {widths = []}\ndecoder = {widths = []}\nlikelihood = {kind = \"normal\", scale = \"fixed\", value = "
        "0.4}\nprior = {" +
            options("posterior", "diagonal", "mixture-weights") + "}\n",
        data);
    model->initialize(data, Rng(3));
    const auto put = [&](const std::string& name, const std::vector<double>& values) {
      const Tensor to = model->globals().at(name).detach();
      to.copy_(at::tensor(values, at::kDouble).view_as(to));
    };
    put("encoder.output.weight", {0.8, 0});
    put("encoder.output.bias", {0, std::log(0.6)});
    put("decoder.output.weight", {1});
    put("decoder.output.bias", {0});
    forget(model->blocks());
  }

  /// log p(z) at points [n], written out anew: weights from the Dirichlet's mean, Student-t from the normal-gamma
  /// (Bishop, PRML, equations 2.159 and B.68).
  Tensor log_prior(const Tensor& z) const {
    TensorMap state = model->state();
    const Tensor alpha = state.at("model/prior.weights.eta")[0] + 1;
    const Tensor eta = state.at("model/prior.components.eta");
    const Tensor beta = eta.select(1, 0), m = eta.select(1, 1) / beta, a = 0.5 * (eta.select(1, 3) + 1),
                 b = 0.5 * (eta.select(1, 2) - eta.select(1, 1) * m);
    const Tensor scale = (b * (beta + 1) / (a * beta)).sqrt(), x = (z.unsqueeze(1) - m) / scale;
    const Tensor student = at::lgamma(a + 0.5) - at::lgamma(a) - 0.5 * (2 * M_PI * a).log() - scale.log() -
                           (a + 0.5) * at::log1p(x * x / (2 * a));
    return at::logsumexp(student + (alpha / alpha.sum()).log(), {1});
  }
  /// log p(x) [5] by quadrature over z.
  Tensor log_likelihood() const {
    const auto [z, weight] = line();
    const Tensor x = data.columns.at("x"), distance = (x - z) / kNoise;  // [5, n]
    const Tensor log_px = -0.5 * distance.square() - std::log(kNoise) - 0.5 * std::log(2 * M_PI);
    return at::logsumexp(log_px + log_prior(z) + weight.log(), {1});
  }
  std::vector<Tensor> call(const std::string& name, const std::vector<Tensor>& inputs) const {
    return Model::find(model->methods(), name)->call(inputs, Rng(1));
  }

  Dataset data;
  std::shared_ptr<Model> model;
};

Tensor whole(int64_t n) { return at::scalar_tensor(n, at::kLong); }

/// Of the log of a mean of weights [draws, items], item by item.
Tensor standard_error(const Tensor& log_weights) {
  const Tensor relative = (log_weights - log_weights.logsumexp(0) + std::log(double(log_weights.size(0)))).exp();
  return relative.std(0) / std::sqrt(static_cast<double>(log_weights.size(0)));
}

TEST(PriorDensity, ImportanceSamplingAndAnnealingFindTheLikelihoodOfQuadrature) {
  const OneDimension one;
  const Tensor x = one.data.columns.at("x"), exact = one.log_likelihood();
  const std::vector<Tensor> weights{one.call("importance", {x, whole(40000)})[0],
                                    one.call("annealed", {x, whole(2400), whole(40)})[0]};
  for (const Tensor& log_weights : weights) {
    const Tensor estimate = log_weights.logsumexp(0) - std::log(static_cast<double>(log_weights.size(0))),
                 error = standard_error(log_weights);
    EXPECT_LT(error.max().item<double>(), 0.1);
    EXPECT_LT(((estimate - exact).abs() / error).max().item<double>(), 4) << log_weights.size(0);
  }
  // From both sides: draws of the exact posterior, which simulated data have.
  const auto made = one.call("simulate", {whole(2000)});
  const Tensor down = -one.call("annealed_from", {made[0], made[1], whole(20)})[0],
               up = one.call("annealed", {made[0], whole(1), whole(20)})[0];
  const Tensor gap = (down - up).flatten();
  EXPECT_GT(gap.mean().item<double>(), -4 * gap.std().item<double>() / std::sqrt(2000.0));
  EXPECT_LT(gap.mean().item<double>(), 1);
  // The bound takes exp E[log p(z)], so it lies below the likelihood of the predictive density.
  Step judging;
  judging.training = false;
  double bound = 0;  // of single draws, which vary by about four nats
  for (uint64_t seed = 0; seed < 200; ++seed)
    bound += one.model->e_step(one.data.batch(items(5), 0, at::kDouble), judging, Rng(seed)).bound.item<double>() / 200;
  EXPECT_LT(bound, exact.sum().item<double>() - 1);
}

TEST(PriorDensity, DrawsOfTheProgramAndOfTheExportFollowIt) {
  const OneDimension one;
  const Tensor log_prior = one.log_prior(line().first);
  const int64_t n = 20000;
  EXPECT_LT(distance(one.call("simulate", {whole(n)})[1], log_prior), allowed(n));
  EXPECT_LT(distance(one.call("sample", {whole(n)})[0], log_prior), allowed(n));  // the mean of x given z is z
  const TemporaryFolder folder;
  export_torchscript(*one.model, "", folder.file("model.pt"));
  const torch::jit::Module module = torch::jit::load(folder.file("model.pt"));
  at::manual_seed(1);
  EXPECT_LT(distance(module.get_method("sample")({n}).toTensor(), log_prior), allowed(n));
}

}  // namespace prior_density_test
}  // namespace vem
