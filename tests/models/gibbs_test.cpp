// Gibbs sampling against variational Bayes, where the posterior is nearly factorised: components are far apart, so the
// rows of each are known, and q is the posterior.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/models.h"
#include "vem/infer/mcmc.h"

namespace vem {
namespace gibbs_test {

/// Three groups of 40 rows that no responsibility mixes: 30 standard deviations apart, or counts of 1, 60 and 400.
Dataset groups(bool counts) {
  const int64_t n = 120;
  const Tensor index = at::arange(n, at::kLong), group = index.remainder(3);
  Dataset data;
  data.size = n;
  const Tensor center = at::tensor({0., 30., 60.}, at::kDouble).index_select(0, group).unsqueeze(1);
  const Tensor rate = at::tensor({1., 60., 400.}, at::kDouble).index_select(0, group).unsqueeze(1).expand({n, 2});
  const Tensor noise = Rng(8).normal(index, {2}, "x");
  data.columns["x"] = counts ? (rate + rate.sqrt() * noise).round().clamp_min(0) : center + noise;
  data.columns["label"] = group;
  data.schema.item_shape = {2};
  data.schema.num_classes = 3;
  return data;
}

/// What every conjugate block hands out after each pass.
class Draws final : public Callback {
 public:
  bool on_epoch(const Model& model, const EpochReport& r, const std::function<TensorMap()>&) override {
    if (r.epoch > 20) draws_.push_back(flat(model));
    return true;
  }
  static Tensor flat(const Model& model) {
    std::vector<Tensor> all;
    for (const auto& [key, t] : model.globals()) all.push_back(t.detach().flatten());
    return at::cat(all);
  }
  Tensor stacked() const { return at::stack(draws_); }

 private:
  std::vector<Tensor> draws_;
};

TEST(Gibbs, AgreesWithVariationalBayesWhereThePosteriorFactorises) {
  std::vector<std::string> observations{"kind = \"poisson\"\n"};
  for (const std::string covariance : {"full", "diagonal", "tied", "spherical"})
    observations.push_back("kind = \"normal\"\ncovariance = \"" + covariance + "\"\n");
  for (const std::string& observation : observations) {
    const Dataset data = groups(observation.find("poisson") != std::string::npos);
    const auto model = [&](const std::string& estimate) {
      return make_model("[model]\nkind = \"mixture\"\nnum_components = 3\nstart = \"labels\"\nestimate = \"" +
                            estimate + "\"\n[model.observation]\n" + observation,
                        data);
    };
    FitOptions options;
    options.epochs = 1520;
    const auto variational = model("posterior"), sampler = model("gibbs");
    fit(*variational, data, options, {plugins()});
    Draws draws;
    fit(*sampler, data, options, {plugins(), nullptr, nullptr, {&draws}});
    const Tensor chain = draws.stacked(), expected = Draws::flat(*variational);  // E_q[t] of every block
    for (int64_t i = 0; i < expected.numel(); ++i) {
      const Tensor one = chain.select(1, i).unsqueeze(0);
      const double error = one.std().item<double>() / std::sqrt(effective_sample_size(one));
      // about 130 statistics: five Monte Carlo standard errors
      EXPECT_NEAR(one.mean().item<double>(), expected[i].item<double>(), 5 * error) << observation << i;
    }
  }
}

}  // namespace gibbs_test
}  // namespace vem
