// Known parameters are found again within 4 standard errors: components are far apart, so that a parameter's error is
// that of the rows of its own component. And stochastic passes end near the bound of the batch.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/long_tests.h"
#include "support/models.h"

namespace vem {
namespace recovery_test {

constexpr int64_t kRows = 3000, kColumns = 12, K = 3;
constexpr double kRowsOfEach = 1000;

/// Parameters of a family by component [K, ...], rows drawn from them, and the standard errors with a number of rows.
struct Family {
  std::string name, toml, parameter;
  Tensor truth;
  std::function<Tensor(const Tensor& theta, const Rng& rng)> draw;  // rows [N, D] of parameters [N, ...]
  std::function<Tensor(const Tensor& theta, double n)> standard_error;
};

Tensor uniform(const Tensor& like, const Rng& rng) {
  return rng.uniform(at::arange(like.size(0), at::kLong), {like.size(1)}, "x");
}
Tensor normal(const Tensor& like, const Rng& rng) {
  return rng.normal(at::arange(like.size(0), at::kLong), {like.size(1)}, "x");
}
/// Where uniform numbers [N, M] fall when probabilities [N, M or 1, C] are laid end to end.
Tensor category(const Tensor& p, const Tensor& u) { return u.unsqueeze(-1).ge(p.cumsum(-1)).sum(-1); }

std::vector<Family> families() {
  const Tensor u = Rng(5).uniform(at::arange(K, at::kLong), {kColumns}, "truth"),
               k = at::arange(K, at::kDouble).unsqueeze(1);
  const Tensor high = (at::arange(kColumns, at::kLong).remainder(K).unsqueeze(0) == k).to(at::kDouble);
  std::vector<Family> all;
  for (const std::string covariance : {"full", "diagonal", "tied", "spherical"})
    all.push_back({covariance, "kind = \"normal\"\ncovariance = \"" + covariance + "\"\n", "means", 6 * k + u,
                   [](const Tensor& theta, const Rng& rng) { return theta + normal(theta, rng); },
                   [](const Tensor& theta, double n) { return (at::ones_like(theta) / n).sqrt(); }});
  all.push_back({"bernoulli", "kind = \"bernoulli\"\n", "probabilities", 0.04 + 0.02 * u + 0.9 * high,
                 [](const Tensor& theta, const Rng& rng) { return (uniform(theta, rng) < theta).to(at::kDouble); },
                 [](const Tensor& theta, double n) { return (theta * (1 - theta) / n).sqrt(); }});
  // each column has a favourite symbol, another one in each component
  const Tensor favourite = (at::arange(kColumns, at::kLong).unsqueeze(0) + at::arange(K, at::kLong).unsqueeze(1)) % 3;
  all.push_back(
      {"categorical", "kind = \"categorical\"\nnum_symbols = 3\n", "probabilities",
       0.1 + 0.7 * at::one_hot(favourite, 3).to(at::kDouble),
       [](const Tensor& theta, const Rng& rng) { return category(theta, uniform(theta, rng)).to(at::kDouble); },
       [](const Tensor& theta, double n) { return (theta * (1 - theta) / n).sqrt(); }});
  const Tensor shares = 0.2 + u + 8 * high;
  all.push_back({"multinomial", "kind = \"multinomial\"\n", "probabilities", shares / shares.sum(1, true),
                 [](const Tensor& theta, const Rng& rng) {  // 40 words a row
                   const Tensor words = category(theta.unsqueeze(1), uniform(at::zeros({theta.size(0), 40}), rng));
                   return at::one_hot(words.clamp_max(kColumns - 1), kColumns).sum(1).to(at::kDouble);
                 },
                 [](const Tensor& theta, double n) { return (theta * (1 - theta) / (40 * n)).sqrt(); }});
  all.push_back({"poisson", "kind = \"poisson\"\n", "rates", 2 + u + 30 * high,
                 [](const Tensor& theta, const Rng& rng) {
                   // a sum of exponential gaps; 200 of them are far more than any count here
                   Tensor time = at::zeros_like(theta), count = at::zeros_like(theta);
                   for (uint64_t i = 0; i < 200; ++i) {
                     time = time - uniform(theta, rng.fold(i)).log() / theta;
                     count = count + (time < 1).to(at::kDouble);
                   }
                   return count;
                 },
                 [](const Tensor& theta, double n) { return (theta / n).sqrt(); }});
  all.push_back({"exponential", "kind = \"exponential\"\n", "rates", 0.05 + 0.01 * u + 20 * high,
                 [](const Tensor& theta, const Rng& rng) { return -uniform(theta, rng).log() / theta; },
                 [](const Tensor& theta, double n) { return theta / std::sqrt(n); }});
  return all;
}

TEST(Recovery, KnownParametersAreFoundWithinFourStandardErrors) {
  const uint64_t seeds = long_tests() ? 40 : 1;
  const double bound = long_tests() ? 5.5 : 4;  // in standard errors; of 420 parameters, or of 17,000
  for (const Family& family : families())
    for (uint64_t seed = 0; seed < seeds; ++seed) {
      const Tensor index = at::arange(kRows, at::kLong), group = index.remainder(3);
      Dataset data;
      data.size = kRows;
      data.columns["x"] = family.draw(family.truth.index_select(0, group), Rng(100 + seed));
      data.schema.item_shape = {kColumns};
      const auto model = make_model(
          "[model]\nkind = \"mixture\"\nestimate = \"ml\"\nnum_components = 3\nrestarts = 5\n"
          "[model.observation]\n" +
              family.toml,
          data);
      FitOptions options;
      options.seed = seed;
      fit(*model, data, options, {plugins()});
      const auto methods = model->methods();
      const Method& parameters = *Model::find(methods, "component_parameters");
      const std::vector<Tensor> values = parameters.call({}, Rng(0));
      const auto place = std::find(parameters.outputs.begin(), parameters.outputs.end(), family.parameter);
      ASSERT_NE(place, parameters.outputs.end()) << family.name;
      const Tensor found = values[static_cast<size_t>(place - parameters.outputs.begin())];
      // in whatever order: the nearest component
      const Tensor order = (family.truth.unsqueeze(1) - found.unsqueeze(0)).abs().flatten(2).sum(-1).argmin(1);
      const Tensor z = (found.index_select(0, order) - family.truth) / family.standard_error(family.truth, kRowsOfEach);
      EXPECT_LT(z.abs().max().item<double>(), bound) << family.name << " seed " << seed;
      EXPECT_TRUE(at::allclose(values[0], at::full({3}, 1. / 3, at::kDouble), 0, 0.01)) << family.name;  // exact shares
    }
}

TEST(Recovery, StochasticPassesEndNearTheBatchBound) {
  const int64_t n = 100000;
  const Tensor index = at::arange(n, at::kLong), angle = index.remainder(8).to(at::kDouble) * (M_PI / 4);
  Dataset data;
  data.size = n;
  data.columns["x"] = 4 * at::stack({angle.cos(), angle.sin()}, 1) + Rng(2).normal(index, {2}, "x");
  data.schema.item_shape = {2};
  const std::string toml = "[model]\nkind = \"gmm\"\nnum_components = 8\n";
  const auto batch = make_model(toml, data), stochastic = make_model(toml, data);
  FitOptions options;
  options.seed = 1;
  options.epochs = 60;
  const double best = fit(*batch, data, options, {plugins()}).bounds.back();
  options.epochs = 3;
  options.batch_size = 1000;
  fit(*stochastic, data, options, {plugins()});
  const Expectation e = evaluate(*stochastic, data, 0, 0);
  const double bound = (e.bound - stochastic->kl_global()).item<double>();
  EXPECT_NEAR(bound, best, 0.005 * std::abs(best));
}

}  // namespace recovery_test
}  // namespace vem
